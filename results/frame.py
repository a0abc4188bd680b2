"""The table of a run's trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from .metrics import METRICS
from .rows import ALIKE_ON_FRONT, pareto_rows
from .statistics import difference_to_plain
from .trial import Trial, excess_text

if TYPE_CHECKING:
    from .run import Run

DIFFERENCE = ("accuracy_difference", "accuracy_difference_se")


def frame(run: "Run") -> pd.DataFrame:
    """One row a trial, by number; a run's own frame is a table for the table evaluator.

    Columns: `trial`, `state`, one per stage with the choice as text, `epochs`, one per metric
    that a trial has or an objective names, each followed by `<metric>_low` and
    `<metric>_high` (95 % interval) where there is one, `accuracy_difference` (to the plain
    backbone after the same epochs, on the same validation images) with its paired standard
    error `accuracy_difference_se`, `violations` ("latency_ms <= 5 by 12 %; ..."),
    `feasible`, `on_front`, `reason`, `seconds`, `seed`, `started`. What a trial lacks is NaN.
    """
    trials = run.trials
    stages = run.backbone.stage_names
    metrics = _metric_columns(run)
    on_front = {trial.number for trial in run.front()}
    plain = [trial for trial in trials if trial.architecture.is_plain]
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            **{stage: str(choice) for stage, choice in trial.architecture.by_stage.items()},
            "epochs": trial.epochs,
            **_measured(trial),
            **_difference(trial, plain),
            "violations": "; ".join(
                f"{bound} by {excess_text(excess)}" for bound, excess in trial.violations.items()
            ),
            "feasible": trial.feasible,
            "on_front": trial.number in on_front,
            "reason": trial.reason,
            "seconds": trial.seconds,
            "seed": trial.seed,
            "started": trial.started,
        }
        for trial in trials
    ]
    columns = ["trial", "state", *stages, "epochs", *metrics, *DIFFERENCE, "violations"]
    columns += ["feasible", "on_front", "reason", "seconds", "seed", "started"]
    table = pd.DataFrame(rows, columns=columns)
    numbers = [*metrics, *DIFFERENCE, "seconds"]
    table[numbers] = table[numbers].astype("float64")  # also where no trial has the figure
    return table


def pareto_frame(run: "Run") -> pd.DataFrame:
    """`pareto_rows` as a table, which has its columns where the front is empty, too."""
    if rows := pareto_rows(run):
        return pd.DataFrame(rows)
    columns = [*frame(run).columns.drop(ALIKE_ON_FRONT), "within_noise", "best", "knee"]
    return pd.DataFrame(columns=columns)


def _metric_columns(run: "Run") -> list[str]:
    """The metrics in their usual order, each with its interval's ends where there are any."""
    taken = {name for trial in run.trials for name in trial.metrics}
    taken |= {objective.metric for objective in run.objectives}
    with_interval = {name for trial in run.trials for name in trial.intervals}
    ordered = [name for name in METRICS if name in taken] + sorted(taken - METRICS.keys())
    ends = {name: [f"{name}_low", f"{name}_high"] for name in with_interval}
    return [column for name in ordered for column in (name, *ends.get(name, ()))]


def _measured(trial: Trial) -> dict[str, float]:
    measured = dict(trial.metrics)
    for name, (low, high) in trial.intervals.items():
        measured |= {f"{name}_low": low, f"{name}_high": high}
    return measured


def _difference(trial: Trial, trials: Sequence[Trial]) -> dict[str, float]:
    found = difference_to_plain(trial, trials) if trial.state == "complete" else None
    if found is None:
        return {}
    return dict(zip(DIFFERENCE, (found.difference, found.standard_error), strict=True))
