"""What a run's trials are in its pictures, and how far their figures may be off."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnas.core import Trial, Z

from .rows import recommended

if TYPE_CHECKING:
    from .run import Run

# after Okabe and Ito (2008), told apart by the colour-blind; of a lightness for any ground
BLUE, ORANGE, GREEN, RED, GREY = "#2F86C9", "#E69F00", "#009E73", "#D55E00", "#8A8A8A"

NOT_TRAINED = "not trained (at the bottom)"


def roles(run: "Run", front: Sequence[Trial]) -> dict[str, list[Trial]]:
    """The trained trials by the role in which they are drawn, the faintest first."""
    best = recommended(run)
    on_front = {trial.number for trial in front}
    baselines = {trial.number for trial in run.baselines.values()}
    found: dict[str, list[Trial]] = {
        "breaks a constraint": [],
        "dominated": [],
        "front": [],
        "baseline": [],
        "plain backbone": [],
        "recommended": [],
    }
    for trial in run.candidates:
        if trial.state != "complete":
            continue
        if best is not None and trial.number == best.number:
            role = "recommended"
        elif trial.architecture.is_plain:
            role = "plain backbone"
        elif not trial.feasible:
            role = "breaks a constraint"
        elif trial.number in baselines:
            role = "baseline"
        else:
            role = "front" if trial.number in on_front else "dominated"
        found[role].append(trial)
    return found


def known(trial: Trial, metric: str) -> bool:
    """Whether the trial has a finite value of it."""
    return math.isfinite(trial.metrics.get(metric, math.nan))


def untrained(run: "Run", x: str, y: str) -> list[Trial]:
    """The trials that a constraint kept from training: with a value of `x`, without one of `y`."""
    rejected = (trial for trial in run.trials if trial.state == "infeasible")
    return [trial for trial in rejected if known(trial, x) and not known(trial, y)]


def error_bar(run: "Run", trial: Trial, metric: str) -> tuple[float, float]:
    """How far below and above its value a 95 % interval goes; zeros if there is none.

    Of scores it is that of the paired difference to the plain backbone.
    """
    difference = run.differences.get(trial.number) if metric == run.scored else None
    if difference is not None:
        half = Z * difference.standard_error
        return half, half
    if metric not in trial.intervals:
        return 0.0, 0.0
    value, (low, high) = trial.metrics[metric], trial.intervals[metric]
    return max(0.0, value - low), max(0.0, high - value)


def step_line(front: Sequence[Trial], x: str, y: str) -> tuple[list[float], list[float]]:
    """The corners of the line between what the front dominates and what nothing reached."""
    corners = sorted((trial.metrics[x], trial.metrics[y]) for trial in front)
    return [corner[0] for corner in corners], [corner[1] for corner in corners]


def below(low: float, high: float) -> float:
    """Where trials that were not trained are drawn, below values from `low` to `high`."""
    return low - 0.08 * ((high - low) or abs(low) or 1.0)
