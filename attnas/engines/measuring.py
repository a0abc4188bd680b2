"""The measuring node of a cluster: one actor screens, on the machine whose latency counts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnas.evaluator import Evaluation, LatencyTable, Screening, TimeSlices
from attnas.evaluator.latency import Latency
from attnas.search_space import Architecture

from ..config import Config, parse_config
from ..evaluation import EvaluatorLost
from ..latency_tables import latency_table
from ..setup import environment, make_evaluator, make_problem
from .ray_session import MEASURING


class MeasuringNode:
    """An evaluator that measures in another process, alone on its machine; it does not train."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self.plain: Screening = self._ask("plain")

    def screen(self, architecture: Architecture) -> Screening:
        return self._ask("screen", _texts(architecture))

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]:
        """As `TrainingEvaluator.latencies`."""
        return self._ask("latencies", [_texts(a) for a in architectures], max_seconds)

    def plain_latency(self, *, max_seconds: float) -> Latency:
        """As `TrainingEvaluator.plain_latency`."""
        return self._ask("plain_latency", max_seconds)

    def latency_table(self) -> tuple[LatencyTable, list[str]]:
        """As `latency_tables.latency_table`, kept on that machine; with what there is to note."""
        return self._ask("latency_table")

    def screen_by(self, table: LatencyTable) -> None:
        """As `TrainingEvaluator.screen_by`."""
        self._ask("screen_by", table)

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
    return MeasuringNode(actor.remote(content, plain, str(Path.cwd()), str(turns)))


def _texts(architecture: Architecture) -> list[str]:
    return [str(choice) for choice in architecture.choices]


class _Measuring:
    """The actor."""

    def __init__(
        self, content: dict[str, Any], plain: Screening | None, directory: str, turns: str
    ) -> None:
        if Path(directory).is_dir():
            os.chdir(directory)
        self._slices = TimeSlices(turns)
        self._config = parse_config(content)
        self._problem = make_problem(self._config)
        with self._slices.alone():
            self._evaluator: Any = make_evaluator(self._config, self._problem, plain)

    def plain(self) -> Screening:
        return self._evaluator.plain

    def screen(self, choices: list[str]) -> Screening:
        with self._slices.alone():
            return self._evaluator.screen(self._architecture(choices))

    def latencies(self, many: list[list[str]], max_seconds: float) -> list[Latency]:
        with self._slices.alone():
            architectures = [self._architecture(choices) for choices in many]
            return self._evaluator.latencies(architectures, max_seconds=max_seconds)

    def plain_latency(self, max_seconds: float) -> Latency:
        with self._slices.alone():
            return self._evaluator.plain_latency(max_seconds=max_seconds)

    def latency_table(self) -> tuple[LatencyTable, list[str]]:
        notes: list[str] = []
        with self._slices.alone():
            table = latency_table(self._config, self._problem, self._evaluator, notes.append)
        return table, notes

    def screen_by(self, table: LatencyTable) -> None:
        self._evaluator.screen_by(table)

    def environment(self) -> dict[str, Any]:
        return environment(self._evaluator)

    def _architecture(self, choices: list[str]) -> Architecture:
        space = self._problem.space
        return Architecture.from_texts(space.backbone, choices, space.identity_start)
