"""How far a supernet's ranking can be believed: its rank correlation with real trainings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import kendalltau

from attnas.search_space import Architecture

from .folder import to_json, write
from .metrics import METRICS, Objective
from .statistics import Z
from .trial import Trial

if TYPE_CHECKING:
    from .run import Run

RECOMMENDATIONS_FILE = "recommendations.json"
DOUBT_FILE = "doubt.json"
RECOMMENDATIONS_FORMAT = 1
ENOUGH = 10  # architectures that a verdict needs
ALONE = "Stand-alone training alone ranks all that is shown."
TRUSTED = 0.3  # the lower bound of tau from which the supernet may rank


@dataclass(frozen=True)
class RankCorrelation:
    """Kendall's tau-b over n pairs with its 95 % interval; NaN if nothing varies."""

    tau: float
    low: float
    high: float
    pairs: int

    @property
    def trusted(self) -> bool:
        """Whether there are enough pairs and the whole interval is at least 0.3."""
        return self.pairs >= ENOUGH and self.low >= TRUSTED


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> RankCorrelation:
    """Kendall's tau-b of two figures of the same things.

    The interval is symmetric in z = atanh(tau), with variance 0.437 / (n - 4): Fieller,
    Hartley and Pearson 1957, "Tests for rank correlation coefficients I", Biometrika 44,
    470-481. Below 5 pairs it is all from -1 to 1. A perfect tau counts as half a discordant
    pair short of it, as its z is infinite.

    Raises:
        ValueError: the two differ in length.
    """
    if len(x) != len(y):
        raise ValueError(f"{len(x)} figures against {len(y)}")
    n = len(x)
    tau = float(kendalltau(x, y).statistic) if n > 1 else math.nan
    if n < 5 or math.isnan(tau):
        return RankCorrelation(tau, -1.0, 1.0, n)
    most = 1 - 1 / (n * (n - 1) / 2)
    z, half = math.atanh(min(most, max(-most, tau))), Z * math.sqrt(0.437 / (n - 4))
    low, high = math.tanh(z - half), math.tanh(z + half)
    return RankCorrelation(tau, min(low, tau), max(high, tau), n)


@dataclass(frozen=True)
class Doubt:
    """What the trials of a run say of the supernet that recommended some of them.

    `ranking` holds what the supernet ranks by, the inherited validation loss, against the
    stand-alone `metric` that the run asks for; `accuracies` the two accuracies. Both are
    positive where supernet and trainings agree.
    """

    metric: str
    ranking: RankCorrelation
    accuracies: RankCorrelation

    @property
    def ranks_poorly(self) -> bool:
        """Whether there is enough to tell, and it speaks against the supernet's ranking."""
        return self.ranking.pairs >= ENOUGH and not self.ranking.trusted

    def __str__(self) -> str:
        found = self.ranking
        if found.pairs < ENOUGH:
            return (
                f"Inherited losses were held against stand-alone training for {found.pairs} "
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
        if not math.isnan(self.accuracies.tau):
            said += f" Between the accuracies: {self.accuracies.tau:.2f}."
        if found.trusted:
            return f"{said} All that is shown is stand-alone."
        return (
            f"{said} The lower bound is under {TRUSTED}: the supernet does not rank reliably "
            f"here. {ALONE}"
        )


def doubt(
    inherited: Mapping[Architecture, Mapping[str, float]],
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
) -> Doubt:
    """Inherited figures against stand-alone ones, over the trained trials whose both are known.

    `inherited` has `accuracy` and `validation_loss`. The metric is the first of the objectives
    that takes a training. Of an architecture that was trained several times its longest
    training counts.
    """
    metric = next((o.metric for o in objectives if not METRICS[o.metric].cheap), "accuracy")
    ranking = _correlation(inherited, trials, "validation_loss", metric)
    return Doubt(metric, ranking, _correlation(inherited, trials, "accuracy", "accuracy"))


def _correlation(
    inherited: Mapping[Architecture, Mapping[str, float]],
    trials: Sequence[Trial],
    by: str,
    metric: str,
) -> RankCorrelation:
    """Positive if what is better by the inherited figure is better by the trials' metric."""
    longest: dict[Architecture, float] = {}
    for trial in sorted(trials, key=lambda t: t.epochs):
        value = trial.metrics.get(metric, math.nan)
        if trial.state == "complete" and math.isfinite(value) and trial.architecture in inherited:
            longest[trial.architecture] = value
    sign = 1.0 if METRICS[by].better == METRICS[metric].better else -1.0
    return rank_correlation([sign * inherited[a][by] for a in longest], list(longest.values()))


def doubt_of(run: "Run") -> Doubt | None:
    """What the run's trials say of its supernet; None if it has none."""
    file = _recommendations(run)
    if file is None:
        return None
    return doubt(_inherited(file, run.trials), run.trials, run.objectives)


def write_doubt(run: "Run") -> None:
    """Puts the verdict beside the recommendations, if the run has any.

    Raises:
        AttnasError: it cannot be written.
    """
    file, found = _recommendations(run), doubt_of(run)
    if file is None or found is None:
        return
    ranking = found.ranking
    content = {
        "metric": found.metric,
        "tau": _or_none(ranking.tau),
        "interval": [ranking.low, ranking.high],
        "tau_of_accuracies": _or_none(found.accuracies.tau),
        "architectures": ranking.pairs,
        "enough": ranking.pairs >= ENOUGH,
        "trusted": ranking.trusted,
        "text": str(found),
    }
    write(file.with_name(DOUBT_FILE), to_json(content))


def _recommendations(run: "Run") -> Path | None:
    """The file of the run's recommendations; a run has one strategy, so there is one."""
    return next(iter(sorted(run.checkpoints.glob(f"*/{RECOMMENDATIONS_FILE}"))), None)


def _or_none(tau: float) -> float | None:
    return None if math.isnan(tau) else tau


def _inherited(file: Path, trials: Sequence[Trial]) -> dict[Architecture, Mapping[str, float]]:
    """The inherited figures of the trials' architectures; empty if it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries: list[Any] = [*content["candidates"], *content["controls"]]
        known = {
            _key(e["choices"]): {
                name: float(e["predicted"][name]) for name in ("accuracy", "validation_loss")
            }
            for e in entries
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    architectures = {t.architecture: _key(t.architecture.by_stage) for t in trials}
    return {a: known[key] for a, key in architectures.items() if key in known}


def _key(choices: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((stage, str(choice)) for stage, choice in sorted(choices.items()))
