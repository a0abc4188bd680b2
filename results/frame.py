"""The table of a run's trials."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from attnas.core import Trial

from .columns import columns, number_columns, row
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
    candidates = {t.number: c for c in run.candidates for t in c.replicates or (c,)}
    on_front = {trial.number for trial in run.front()}
    rows = [row(run, trial, on_front, candidates[trial.number]) for trial in trials]
    table = pd.DataFrame(rows, columns=columns(run))
    numbers = [*number_columns(run), "seconds"]
    table[numbers] = table[numbers].astype("float64")  # also where no trial has the figure
    return table


def pareto_frame(run: "Run") -> pd.DataFrame:
    """`pareto_rows` as a table, which has its columns where the front is empty, too."""
    if rows := pareto_rows(run):
        return pd.DataFrame(rows)
    left = [name for name in columns(run) if name not in ALIKE_ON_FRONT]
    return pd.DataFrame(columns=[*left, "within_noise", "best", "knee", "baseline"])
