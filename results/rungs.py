"""Trainings of one architecture for several numbers of epochs: which counts, and how alike."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Protocol

from attnas.core import RankCorrelation, Trial, merged, rank_correlation

if TYPE_CHECKING:
    from attnas.search_space import Architecture


class Planned(Protocol):
    """A training that has begun: how long, and for how long its schedule is laid out."""

    @property
    def architecture(self) -> "Architecture": ...
    @property
    def epochs(self) -> int: ...
    @property
    def schedule_epochs(self) -> int | None: ...
    @property
    def seed(self) -> int | None: ...


@dataclass(frozen=True)
class RungCorrelation:
    """How alike the architectures trained for both numbers of epochs are ranked after them."""

    epochs: tuple[int, int]
    correlation: RankCorrelation

    @property
    def architectures(self) -> int:
        """How many have been trained for both."""
        return self.correlation.pairs

    def __str__(self) -> str:
        c, (shorter, longer) = self.correlation, self.epochs
        tau = "cannot be told" if math.isnan(c.tau) else f"{c.tau:.2f}"
        interval = f", 95 % interval {c.low:.2f} to {c.high:.2f}" if c.pairs >= 5 else ""
        many = f"{c.pairs} architecture{'s' if c.pairs > 1 else ''}"
        return f"{shorter} and {longer}: {tau} ({many}{interval})"


def longest(trials: Iterable[Trial]) -> list[Trial]:
    """The complete trials but for those whose architecture was trained for longer, in order.

    Those that differ in their seed alone are one (`merged`).
    """
    scored = merged(trial for trial in trials if trial.state == "complete")
    most: dict[Architecture, int] = {}
    for trial in scored:
        most[trial.architecture] = max(trial.epochs, most.get(trial.architecture, 0))
    return [trial for trial in scored if trial.epochs == most[trial.architecture]]


def epochs_trained(trials: Iterable[Trial], running: Iterable[Planned] = ()) -> int:
    """Epochs trained over all trials, those in flight counted as if they had ended.

    A training that went on with another of the same schedule and seed adds only what was new; a
    failed one counts whole.
    """
    trained = (trial for trial in trials if trial.state != "infeasible")
    reached: dict[tuple[Architecture, int, int | None], int] = {}
    for training in (*trained, *running):
        length = training.schedule_epochs or training.epochs
        schedule = training.architecture, length, training.seed
        reached[schedule] = max(training.epochs, reached.get(schedule, 0))
    return sum(reached.values())


def rung_correlations(trials: Sequence[Trial], metric: str) -> list[RungCorrelation]:
    """Kendall's tau of a metric between each two numbers of epochs; empty if there is only one.

    Only architectures with a finite figure after both count. Where the better ones were chosen
    to be trained on, tau is over these alone, and less than over all.
    """
    rungs: dict[int, dict[Architecture, float]] = {}
    for trial in merged(trials):
        value = trial.metrics.get(metric, math.nan)
        if trial.state == "complete" and math.isfinite(value):
            rungs.setdefault(trial.epochs, {}).setdefault(trial.architecture, value)
    found = []
    for shorter, longer in combinations(sorted(rungs), 2):
        both = [a for a in rungs[shorter] if a in rungs[longer]]
        if both:
            figures = ([rungs[epochs][a] for a in both] for epochs in (shorter, longer))
            found.append(RungCorrelation((shorter, longer), rank_correlation(*figures)))
    return found


def rungs_text(trials: Sequence[Trial], metric: str) -> str:
    """`rung_correlations` in one line for people; empty if all trained as long."""
    found = rung_correlations(trials, metric)
    if not found:
        return ""
    name = metric.replace("_", " ")
    return f"Kendall's tau of {name} between epochs: {'; '.join(map(str, found))}."
