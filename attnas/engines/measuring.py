"""The measuring node of a cluster: one actor screens, on the machine whose latency counts."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attnas.core import PredictedCost, Screening, TrainingResult
from attnas.evaluator import Latency, TimeSlices
from attnas.search_space import Architecture

from ..config import Config, parse_config
from ..evaluation import EvaluatorLost
from ..objects import Parcel
from ..problem import make_problem
from ..setup import make_evaluator
from .ray_session import MEASURING


class MeasuringNode:
    """An evaluator that measures in another process, alone on its machine; the workers train.

    It is its own `LatencyMeter`.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.plain: Screening = self._ask("plain")

    @property
    def latency(self) -> "MeasuringNode":
        return self

    def screen(self, architecture: Architecture) -> Screening:
        return self._ask("screen", list(architecture.options))

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]:
        """As `LatencyMeter.latencies`."""
        return self._ask("latencies", [list(a.options) for a in architectures], max_seconds)

    def plain_latency(self, *, max_seconds: float) -> Latency:
        """As `LatencyMeter.plain_latency`."""
        return self._ask("plain_latency", max_seconds)

    def table(
        self, note: Callable[[str], None], progress: Callable[[int, int], None] | None = None
    ) -> PredictedCost:
        """As `LatencyMeter.table`, kept on that machine; nobody hears of the progress."""
        note("The measuring node makes or reads its latency table.")
        made, notes = self._ask("table")
        for text in notes:
            note(text)
        return made

    def screen_by(self, table: PredictedCost) -> None:
        """As `LatencyMeter.screen_by`."""
        self._ask("screen_by", table)

    def train(self, architecture: Architecture, epochs: int, *_: Any, **__: Any) -> TrainingResult:
        """Never: the engine hands trainings to its workers."""
        raise RuntimeError("a measuring node was asked to train")

    def environment(self) -> dict[str, Any]:
        """Of that machine."""
        return self._ask("environment")

    def _ask(self, method: str, *arguments: Any) -> Any:
        import ray

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except ray.exceptions.RayActorError as error:
            raise EvaluatorLost(
                f"the node with the resource '{MEASURING}' was lost while it measured. All "
                "finished trials are kept; the same command goes on."
            ) from error


def remote_evaluator(config: Config, plain: Screening | None, turns: Path) -> MeasuringNode | None:
    """The evaluator on the node with the resource `latency`; None if no node has it.

    There it takes its turns with that machine's trainings in the folder `turns`. Where a table
    is replayed there is nothing to measure, and it is None too.
    """
    import ray

    if config.evaluator is not None or not ray.cluster_resources().get(MEASURING):
        return None
    actor = ray.remote(num_cpus=0, resources={MEASURING: 1})(_Measuring)
    content = {**config.model_dump(mode="json"), "init": None}  # it trains nothing
    objects = Parcel.of(content)
    return MeasuringNode(actor.remote(content, plain, str(Path.cwd()), str(turns), objects))


class _Measuring:
    """The actor."""

    def __init__(
        self,
        content: dict[str, Any],
        plain: Screening | None,
        directory: str,
        turns: str,
        objects: Parcel,
    ) -> None:
        objects.unpack()
        if Path(directory).is_dir():
            os.chdir(directory)
        self._slices = TimeSlices(turns)
        self._config = parse_config(content)
        self._problem = make_problem(self._config)
        with self._slices.alone():
            self._evaluator: Any = make_evaluator(self._config, self._problem, plain)

    def plain(self) -> Screening:
        return self._evaluator.plain

    def screen(self, options: list[str]) -> Screening:
        with self._slices.alone():
            return self._evaluator.screen(self._problem.space.read(options))

    def latencies(self, many: list[list[str]], max_seconds: float) -> list[Latency]:
        with self._slices.alone():
            architectures = [self._problem.space.read(options) for options in many]
            return self._evaluator.latency.latencies(architectures, max_seconds=max_seconds)

    def plain_latency(self, max_seconds: float) -> Latency:
        with self._slices.alone():
            return self._evaluator.latency.plain_latency(max_seconds=max_seconds)

    def table(self) -> tuple[PredictedCost, list[str]]:
        notes: list[str] = []
        with self._slices.alone():
            table = self._evaluator.latency.table(notes.append)
        return table, notes

    def screen_by(self, table: PredictedCost) -> None:
        self._evaluator.latency.screen_by(table)

    def environment(self) -> dict[str, Any]:
        return self._evaluator.environment()
