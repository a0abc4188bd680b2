"""How far a supernet's ranking can be believed: its rank correlation with real trainings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .correlation import ENOUGH, TRUSTED, RankCorrelation, rank_correlation
from .metrics import Objective, described
from .trial import Trial

if TYPE_CHECKING:
    from attnas.search_space import Architecture

LOSS = "validation_loss"
"""What a supernet ranks by."""
RECOMMENDATIONS_FILE = "recommendations.json"
RECOMMENDATIONS_FORMAT = 2
ALONE = "Stand-alone training alone ranks all that is shown."


@dataclass(frozen=True)
class SupernetRanking:
    """What the trials of a run say of the supernet that recommended some of them.

    `by_loss` is the correlation of what the supernet ranks by, the inherited validation loss,
    with the stand-alone `metric` that the run asks for; `by_metric` that of the inherited
    `metric` with it. Both are positive where supernet and trainings agree.
    """

    metric: str
    by_loss: RankCorrelation
    by_metric: RankCorrelation

    @property
    def ranks_poorly(self) -> bool:
        """Whether there is enough to tell, and it speaks against the supernet's ranking."""
        return self.by_loss.pairs >= ENOUGH and not self.by_loss.trusted

    def __str__(self) -> str:
        found = self.by_loss
        if found.pairs < ENOUGH:
            return (
                f"Inherited losses were compared with stand-alone training for {found.pairs} "
                f"architectures; a verdict needs {ENOUGH}. All that is shown is stand-alone."
            )
        name = self.metric.replace("_", " ")
        head = (
            "Kendall's tau between the inherited loss, by which the supernet ranks, and the "
            f"stand-alone {name} of {found.pairs} networks"
        )
        if math.isnan(found.tau):
            return f"{head} cannot be told: one of the two does not vary. {ALONE}"
        said = f"{head}: {found.tau:.2f} (95 % interval {found.low:.2f} to {found.high:.2f})."
        if self.metric != LOSS and not math.isnan(self.by_metric.tau):
            said += f" Of the inherited {name}: {self.by_metric.tau:.2f}."
        if found.trusted:
            return f"{said} All that is shown is stand-alone."
        return (
            f"{said} The lower bound is under {TRUSTED}: the supernet does not rank reliably "
            f"here. {ALONE}"
        )


def supernet_ranking(
    inherited: "Mapping[Architecture, Mapping[str, float]]",
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
) -> SupernetRanking:
    """Inherited figures against stand-alone ones, over the trained trials whose both are known.

    `inherited` has the task's metrics, `validation_loss` among them. The metric is the first of
    the objectives that takes a training. Of an architecture that was trained several times its
    longest training counts.
    """
    trained = [o.metric for o in objectives if not o.described.cheap]
    metric = trained[0] if trained else LOSS
    by_loss = _correlation(inherited, trials, LOSS, metric)
    return SupernetRanking(metric, by_loss, _correlation(inherited, trials, metric, metric))


def _correlation(
    inherited: "Mapping[Architecture, Mapping[str, float]]",
    trials: Sequence[Trial],
    by: str,
    metric: str,
) -> RankCorrelation:
    """Positive if what is better by the inherited figure is better by the trials' metric."""
    longest: dict[Architecture, float] = {}
    for trial in sorted(trials, key=lambda t: t.epochs):
        value = trial.metrics.get(metric, math.nan)
        known = by in inherited.get(trial.architecture, {})
        if trial.state == "complete" and math.isfinite(value) and known:
            longest[trial.architecture] = value
    sign = 1.0 if described(by).better == described(metric).better else -1.0
    return rank_correlation([sign * inherited[a][by] for a in longest], list(longest.values()))
