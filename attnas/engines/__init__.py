"""What runs the trials of a search: this process, or Ray's workers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from attnas.core import Screening
from attnas.evaluator import Evaluator

from ..config import Config
from ..coordinator import Coordinator
from ..problem import Problem
from .local import LocalEngine


class Engine(Protocol):
    """Runs the trials that a coordinator hands out."""

    def evaluator(
        self, config: Config, problem: Problem, plain: Screening | None, checkpoints: Path
    ) -> Evaluator:
        """What screens; it measures the plain backbone now if `plain` is not given."""
        ...

    def environment(self, evaluator: Evaluator) -> dict[str, Any]:
        """Versions and machine that the figures hold for, as `environment.json` keeps them."""
        ...

    def run(self, coordinator: Coordinator, evaluator: Evaluator) -> None:
        """Evaluates what is handed out until the coordinator has an ending.

        Raises:
            AttnasError: a trial cannot be stored, or the first ones all failed alike.
        """
        ...


@contextmanager
def engine(config: Config) -> Iterator[Engine]:
    """The engine that the config asks for; what it starts ends with the block.

    Raises:
        AttnasError: what it needs is not installed.
    """
    if config.engine.ray is None:
        yield LocalEngine()
        return
    from .ray_tune import RayEngine  # only when asked for

    with RayEngine(config.engine.ray) as opened:
        yield opened


__all__ = ["Engine", "engine"]
