"""Whether the trials of a run differ from each other at all, beyond the noise of the items."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc, fdtrc

from attnas.core import AttnasError, ItemScores

from .statistics import LEVEL

if TYPE_CHECKING:
    from .run import Run

FEWEST, MOST = 5, 200
"""Trials that are compared; of more than the most, as many that are spread over the run."""


def nothing_differs(run: "Run") -> str:
    """What to say of a run whose trials are all within noise of each other; empty otherwise.

    Compared are the trials with the most epochs and the run's own seed, on the items that they
    were scored on.
    """
    own = run.facts["seed"]
    complete = [t for t in run.trials if t.state == "complete" and t.seed == own]
    longest = max((trial.epochs for trial in complete), default=0)
    chosen = [trial for trial in complete if trial.epochs == longest]
    chosen = chosen[:: max(1, -(-len(chosen) // MOST))]
    scores = [trial.scores for trial in chosen if trial.scores is not None]
    if len(scores) < FEWEST or len({(s.metric, s.items, s.kind) for s in scores}) > 1:
        return ""
    if any(not difference.within_noise for difference in run.differences.values()):
        return ""  # and no scores are read for it
    try:
        p_value = difference_p_value(scores)
    except AttnasError:  # scores that cannot be read, of which the run tells
        return ""
    if p_value <= LEVEL:
        return ""
    return (
        f"The {len(scores)} trials compared are all within noise of each other (p = {p_value:.2f}, "
        f"on {scores[0].items:,} items): none can be recommended for its "
        f"{scores[0].metric.replace('_', ' ')}. Train for more epochs, or score more items."
    )


def difference_p_value(scores: Sequence[ItemScores]) -> float:
    """The p-value of the hypothesis that all trainings score alike, on the same items.

    Of bits that of Cochran's Q (1950, doi:10.1093/biomet/37.3-4.256), of numbers that of the
    F test of an analysis of variance with the items as blocks. Like `paired_difference` it knows
    the noise of the items alone. 1 where nothing varies.
    """
    trials, items = len(scores), scores[0].items
    of_trials, of_items, squares = np.zeros(trials), np.zeros(items), 0.0
    for index, one in enumerate(scores):
        values = one.values
        of_trials[index] = values.sum()
        of_items += values
        squares += float(np.square(values).sum())
    total = of_trials.sum()
    between = np.square(of_trials).sum() / items - total**2 / (trials * items)
    blocks = np.square(of_items).sum() / trials - total**2 / (trials * items)
    within = squares - np.square(of_items).sum() / trials  # of the items' scores over trials
    if within <= 1e-12 * max(1.0, squares) or between <= 0:
        return 1.0
    if scores[0].kind == "bits":
        return float(chdtrc(trials - 1, (trials - 1) * items * between / within))
    rest = max(within - between, 0.0)
    freedom = (trials - 1) * (items - 1)
    if rest == 0 or freedom == 0 or blocks < 0:
        return 0.0
    return float(fdtrc(trials - 1, freedom, between / (trials - 1) / (rest / freedom)))
