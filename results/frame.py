"""The table of a run's trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from attnas.core import Trial, excess_text, in_order

from .rows import ALIKE_ON_FRONT, pareto_rows

if TYPE_CHECKING:
    from .run import Run


def frame(run: "Run", trials: Sequence[Trial] | None = None) -> pd.DataFrame:
    """One row a trial, by number, of `run.trials` or those given (such as `run.candidates`).

    A run's own frame is a table for the table evaluator. Of an architecture trained with several
    seeds each trial has its own figures, and the difference is that of their mean.

    Columns: `trial`, `state`, one per decision with the option as text, `epochs`, one per metric
    that a trial has or an objective names, each followed by `<metric>_low` and
    `<metric>_high` (95 % interval) where there is one, `<metric>_difference` of what the items'
    scores average to (to the plain backbone after the same epochs, on the same validation items)
    with its paired standard error `<metric>_difference_se`, `violations` ("latency_ms <= 5 by
    12 %; ..."), `feasible`, `on_front`, `reason`, `seconds`, `seed`, `seeds` (how many the
    architecture was trained with), `started`. What a trial lacks is NaN.
    """
    trials = run.trials if trials is None else trials
    first = {t.number: c for c in run.candidates for t in c.replicates or (c,)}
    difference = difference_columns(run)
    metrics = _metric_columns(run, trials)
    on_front = {trial.number for trial in run.front()}
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            **trial.architecture.by_name,
            "epochs": trial.epochs,
            **_measured(trial),
            **_difference(run, first[trial.number], difference),
            "violations": "; ".join(
                f"{bound} by {excess_text(excess)}" for bound, excess in trial.violations.items()
            ),
            "feasible": trial.feasible,
            "on_front": first[trial.number].number in on_front,
            "reason": trial.reason,
            "seconds": trial.seconds,
            "seed": trial.seed,
            "seeds": len(first[trial.number].seeds),
            "started": trial.started,
        }
        for trial in trials
    ]
    names = [decision.name for decision in run.decisions]
    columns = ["trial", "state", *names, "epochs", *metrics, *difference, "violations"]
    columns += ["feasible", "on_front", "reason", "seconds", "seed", "seeds", "started"]
    table = pd.DataFrame(rows, columns=columns)
    numbers = [*metrics, *difference, "seconds"]
    table[numbers] = table[numbers].astype("float64")  # also where no trial has the figure
    return table


def pareto_frame(run: "Run") -> pd.DataFrame:
    """`pareto_rows` as a table, which has its columns where the front is empty, too."""
    if rows := pareto_rows(run):
        return pd.DataFrame(rows)
    columns = [*frame(run).columns.drop(ALIKE_ON_FRONT), "within_noise", "best", "knee"]
    columns.append("baseline")
    return pd.DataFrame(columns=columns)


def _metric_columns(run: "Run", trials: Sequence[Trial]) -> list[str]:
    """The metrics in their usual order, each with its interval's ends where there are any."""
    taken = {name for trial in (*run.trials, *trials) for name in trial.metrics}
    taken |= {objective.metric for objective in run.objectives}
    with_interval = {name for trial in (*run.trials, *trials) for name in trial.intervals}
    ends = {name: [f"{name}_low", f"{name}_high"] for name in with_interval}
    return [column for name in in_order(taken) for column in (name, *ends.get(name, ()))]


def _measured(trial: Trial) -> dict[str, float]:
    measured = dict(trial.metrics)
    for name, (low, high) in trial.intervals.items():
        measured |= {f"{name}_low": low, f"{name}_high": high}
    return measured


def difference_columns(run: "Run") -> tuple[str, ...]:
    """The names of the columns of the difference to the plain backbone and its error."""
    return (f"{run.scored}_difference", f"{run.scored}_difference_se") if run.scored else ()


def _difference(run: "Run", trial: Trial, columns: tuple[str, ...]) -> dict[str, float]:
    found = run.differences.get(trial.number)
    if found is None or not columns:
        return {}
    return dict(zip(columns, (found.difference, found.standard_error), strict=True))
