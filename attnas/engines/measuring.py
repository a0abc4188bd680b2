"""The measuring node of a cluster: one actor screens, on the machine whose latency counts."""

import os
from pathlib import Path
from typing import Any

from attnas.evaluator import Evaluation, Screening
from attnas.search_space import Architecture

from ..config import Config, parse_config
from ..evaluation import EvaluatorLost
from ..setup import environment, make_evaluator, make_problem
from .ray_session import MEASURING


class MeasuringNode:
    """An evaluator that screens in another process; it does not train."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.plain: Screening = self._ask("plain")

    def screen(self, architecture: Architecture) -> Screening:
        return self._ask("screen", [str(choice) for choice in architecture.choices])

    def train(self, architecture: Architecture, epochs: int, *_: Any, **__: Any) -> Evaluation:
        raise NotImplementedError("the workers train")

    def environment(self) -> dict[str, Any]:
        """As `setup.environment`, of that machine."""
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


def remote_evaluator(config: Config, plain: Screening | None) -> MeasuringNode | None:
    """The evaluator on the node with the resource `latency`; None if no node has it."""
    import ray

    if not ray.cluster_resources().get(MEASURING):
        return None
    actor = ray.remote(num_cpus=0, resources={MEASURING: 1})(_Measuring)
    content = config.model_dump(mode="json")
    return MeasuringNode(actor.remote(content, plain, str(Path.cwd())))


class _Measuring:
    """The actor."""

    def __init__(self, content: dict[str, Any], plain: Screening | None, directory: str) -> None:
        if Path(directory).is_dir():
            os.chdir(directory)
        config = parse_config(content)
        self._problem = make_problem(config)
        self._evaluator = make_evaluator(config, self._problem, plain)

    def plain(self) -> Screening:
        return getattr(self._evaluator, "plain", Screening({}))

    def screen(self, choices: list[str]) -> Screening:
        space = self._problem.space
        architecture = Architecture.from_texts(space.backbone, choices, space.identity_start)
        return self._evaluator.screen(architecture)

    def environment(self) -> dict[str, Any]:
        return environment(self._evaluator)
