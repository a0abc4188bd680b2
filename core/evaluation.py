"""What is known of an architecture: without training, and from one training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .constraints import Constraint
from .scores import ItemScores

Interval = tuple[float, float]
OnEpoch = Callable[[int, float], None]
"""Is told the number of epochs done and the mean training loss of the last one."""


@dataclass(frozen=True)
class Screening:
    """What is known of an architecture without training it.

    Measuring stops at the first broken constraint, so `metrics` may lack the dearer ones.
    `intervals` are at 95 %. `uncounted` names the operators that the flop count skipped.
    `predicted`: the latency, which breaks a bound, is the latency table's, not measured.
    """

    metrics: Mapping[str, float]
    violations: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()
    predicted: bool = False


@dataclass(frozen=True)
class TrainingResult:
    """What one training gave on the split that it was scored on.

    `scores` has one score an item if the task can tell. `seconds` is the time that it took, not
    what it went on from. `losses` are the mean training losses by epoch. `half_size`: scored on
    images of half the side, the only ones that it has been trained on. `failure` says why there
    is no result: its kind, a colon and the reason; everything else is empty then.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    scores: ItemScores | None = None
    epochs: int = 0
    losses: tuple[float, ...] = ()
    precision: str = ""
    half_size: bool = False
    failure: str = ""


def excesses(
    constraints: Sequence[Constraint], metrics: Mapping[str, float], plain: Mapping[str, float]
) -> dict[str, float]:
    """The broken ones among the constraints on metrics that are known, with their excess."""
    found = {
        f"{c.metric} {c}": c.excess(metrics[c.metric], plain.get(c.metric))
        for c in constraints
        if c.metric in metrics
    }
    return {text: excess for text, excess in found.items() if excess > 0}
