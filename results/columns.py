"""The columns that a run's trials have in tables, and the row of each."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from attnas.core import Trial, excess_text, in_order

if TYPE_CHECKING:
    from .run import Run


def columns(run: "Run") -> list[str]:
    """All columns, in the order that `Run.frame` has them."""
    names = [decision.name for decision in run.decisions]
    begin = ["trial", "state", *names, "epochs", *number_columns(run), "violations"]
    return [*begin, "feasible", "on_front", "reason", "seconds", "seed", "seeds", "started"]


def number_columns(run: "Run") -> list[str]:
    """The metrics in their usual order, each with its interval's ends where there are any, and
    the difference to the plain backbone with its error."""
    trials = [*run.trials, *(trial for trial in run.candidates if trial.replicates)]
    taken = {name for trial in trials for name in trial.metrics}
    taken |= {objective.metric for objective in run.objectives}
    with_interval = {name for trial in trials for name in trial.intervals}
    ends = {name: [f"{name}_low", f"{name}_high"] for name in with_interval}
    metrics = [column for name in in_order(taken) for column in (name, *ends.get(name, ()))]
    return [*metrics, *_difference_columns(run)]


def row(run: "Run", trial: Trial, on_front: Collection[int], candidate: Trial) -> dict[str, Any]:
    """The trial's values by column; what it lacks is left out.

    `candidate` is the one of `run.candidates` that the trial is, or is among.
    """
    return {
        "trial": trial.number,
        "state": trial.state,
        **trial.architecture.by_name,
        "epochs": trial.epochs,
        **_measured(trial),
        **_difference(run, candidate),
        "violations": "; ".join(
            f"{bound} by {excess_text(excess)}" for bound, excess in trial.violations.items()
        ),
        "feasible": trial.feasible,
        "on_front": candidate.number in on_front,
        "reason": trial.reason,
        "seconds": trial.seconds,
        "seed": trial.seed,
        "seeds": len(candidate.seeds),
        "started": trial.started,
    }


def _measured(trial: Trial) -> dict[str, float]:
    measured = dict(trial.metrics)
    for name, (low, high) in trial.intervals.items():
        measured |= {f"{name}_low": low, f"{name}_high": high}
    return measured


def _difference_columns(run: "Run") -> tuple[str, ...]:
    return (f"{run.scored}_difference", f"{run.scored}_difference_se") if run.scored else ()


def _difference(run: "Run", trial: Trial) -> dict[str, float]:
    found = run.differences.get(trial.number)
    named = _difference_columns(run)
    if found is None or not named:
        return {}
    return dict(zip(named, (found.difference, found.standard_error), strict=True))
