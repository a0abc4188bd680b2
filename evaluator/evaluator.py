"""Evaluation of one architecture: cheap metrics and constraints first, then brief training."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attnas.core import OnEpoch, PredictedCost, Screening, TrainingResult
from attnas.search_space import Architecture

from .latency import Latency
from .screening import Screener
from .trainers import Trainer


class LatencyMeter(Protocol):
    """Measures latencies on a device, here or on another machine."""

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]:
        """Measured side by side, for about `max_seconds` each, in fresh processes.

        In this one where that is not possible: `Latency.in_one_process` then says why.
        Relative to the plain backbone, of which the evaluator's `plain` has the latency.
        """
        ...

    def plain_latency(self, *, max_seconds: float) -> Latency:
        """The plain backbone's, measured anew; `plain` keeps the run's."""
        ...

    def table(
        self, note: Callable[[str], None], progress: Callable[[int, int], None] | None = None
    ) -> PredictedCost:
        """The device's latency table, relative to `plain`: read, or else measured and kept."""
        ...

    def screen_by(self, table: PredictedCost) -> None:
        """From now on measures no latency that the table is sure to be above the bound."""
        ...


class Evaluator(Protocol):
    """Scores architectures: `screen` without training, `train` what passed.

    `plain` are the cheap metrics of the plain backbone, to which relative constraints and
    latencies refer. `latency` measures, None where nothing is measured.
    """

    @property
    def plain(self) -> Screening: ...

    @property
    def latency(self) -> LatencyMeter | None: ...

    def screen(self, architecture: Architecture) -> Screening:
        """The cheap metrics, up to the first broken constraint."""
        ...

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
    ) -> TrainingResult:
        """The result after so many epochs, with that seed, the run's own if None.

        `schedule_epochs` is what the training's schedule is laid out for, `epochs` itself if
        None; one that stopped before it goes on from there.

        Raises:
            TrainingFailed: the training diverged, ran out of memory or time, or raised.
        """
        ...

    def environment(self) -> dict[str, Any]:
        """`device` (what latency is measured on, {} if nothing is), `training_device`,
        `precision`: what the figures hold for."""
        ...


class TrainingEvaluator:
    """Builds, measures and trains for real."""

    def __init__(self, screener: Screener, trainer: Trainer) -> None:
        self.screener, self.trainer = screener, trainer

    @property
    def plain(self) -> Screening:
        return self.screener.plain

    @property
    def latency(self) -> LatencyMeter:
        return self.screener

    def screen(self, architecture: Architecture) -> Screening:
        return self.screener.screen(architecture)

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
    ) -> TrainingResult:
        return self.trainer.train(
            architecture, epochs, on_epoch, schedule_epochs=schedule_epochs, seed=seed
        )

    def environment(self) -> dict[str, Any]:
        return {"device": self.screener.device.describe(), **self.trainer.environment()}
