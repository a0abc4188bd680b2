"""One evaluated proposal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Literal

from .metrics import described, in_order
from .scores import ItemScores

if TYPE_CHECKING:
    from attnas.search_space import Architecture

State = Literal["complete", "infeasible", "failed"]


@dataclass(frozen=True, repr=False)
class Trial:
    """One evaluated proposal, as the run keeps it.

    `complete`: trained and scored. `infeasible`: a cheap metric broke a constraint, so it
    was not trained; `metrics` has what was measured. `failed`: it raised, diverged, ran out
    of memory or time; `reason` says which.

    `violations` maps each broken constraint, as text, to the relative excess over its bound
    (0.1: 10 % too much). A complete trial may have some too (a bound on accuracy).
    `intervals` are 95 % confidence intervals by metric. `scores` has one score per item of the
    validation split, where the task can tell. `uncounted` names the operators that the flop
    count skipped. `schedule_epochs` is the number of epochs that the training's schedule was
    laid out for where it stopped before (None: `epochs`); `half_size`: scored on images of half
    the side, the only ones that it had seen by then. `replicates` are the trainings with several
    seeds of which this is the mean (`merged`), empty for a single one.
    """

    number: int
    architecture: "Architecture"
    epochs: int
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    seconds: float = 0.0
    seed: int = 0
    started: str = ""  # ISO 8601, UTC
    scores: ItemScores | None = field(default=None, repr=False)
    uncounted: tuple[str, ...] = ()
    schedule_epochs: int | None = None
    half_size: bool = False
    replicates: tuple["Trial", ...] = field(default=(), repr=False)

    def __repr__(self) -> str:
        rows = self._shown()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in self._shown()
        )
        return f"<table>{rows}</table>"

    def _shown(self) -> list[tuple[str, str]]:
        """What a person wants to know of it: names and values."""
        state = f"{self.state}, {epochs_text(self.epochs)}" if self.epochs else self.state
        shown = [(f"trial {self.number}", state), *self.architecture.by_name.items()]
        for name in in_order(self.metrics):
            figure = described(name)
            shown.append((figure.heading, figure.text(self.metrics[name])))
        if self.replicates:
            shown.append(("seeds", ", ".join(map(str, self.seeds))))
        if self.violations:
            shown.append(("violations", violations_text(self.violations)))
        return [*shown, *([("reason", self.reason)] if self.reason else [])]

    @property
    def feasible(self) -> bool:
        """Trained, scored, and within every constraint."""
        return self.state == "complete" and not self.violations

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the trainings behind its figures, in order of number."""
        return tuple(one.seed for one in self.replicates) or (self.seed,)

    @property
    def violation(self) -> float:
        """The sum of the relative excesses, 0 if none."""
        return sum(self.violations.values())


def epochs_text(epochs: int) -> str:
    """'1 epoch', '4 epochs'."""
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"


def violations_text(violations: Mapping[str, float], *, predicted: bool = False) -> str:
    """Broken constraints for people, each with its relative excess.

    `predicted`: that of the latency is the latency table's prediction.
    """
    return ", ".join(
        f"{text} {'predicted to be ' if predicted and text.startswith('latency_ms ') else ''}"
        f"missed by {excess_text(excess)}"
        for text, excess in violations.items()
    )


def excess_text(excess: float) -> str:
    """How far a bound is missed, as a share of it: '3.1%', or 'a factor of 785'."""
    return f"{excess:.1%}" if excess < 10 else f"a factor of {1 + excess:,.4g}"
