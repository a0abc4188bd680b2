"""How far a supernet's ranking can be believed: its rank correlation with real trainings."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import kendalltau

from attnas.search_space import Architecture

from .folder import to_json, write
from .statistics import Z
from .trial import Trial

if TYPE_CHECKING:
    from .run import Run

RECOMMENDATIONS_FILE = "recommendations.json"
DOUBT_FILE = "doubt.json"
RECOMMENDATIONS_FORMAT = 1
ENOUGH = 10  # architectures that a verdict needs
ALONE = "Stand-alone training alone ranks all that is shown."
TRUSTED = 0.3  # the lower bound of tau from which inherited accuracies may rank


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
    """What the trials of a run say of the supernet that recommended some of them."""

    correlation: RankCorrelation

    @property
    def ranks_poorly(self) -> bool:
        """Whether there is enough to tell, and it speaks against the supernet's ranking."""
        return self.correlation.pairs >= ENOUGH and not self.correlation.trusted

    def __str__(self) -> str:
        c = self.correlation
        if c.pairs < ENOUGH:
            return (
                f"Inherited accuracies were held against stand-alone training for {c.pairs} "
                f"architectures; a verdict needs {ENOUGH}. All that is shown is stand-alone."
            )
        head = f"Kendall's tau between inherited and stand-alone accuracy over {c.pairs} networks"
        if math.isnan(c.tau):
            return f"{head} cannot be told: one of the two does not vary. {ALONE}"
        said = f"{head}: {c.tau:.2f} (95 % interval {c.low:.2f} to {c.high:.2f})."
        if c.trusted:
            return f"{said} All that is shown is stand-alone."
        return (
            f"{said} Its lower bound is under {TRUSTED}: the supernet does not rank reliably "
            f"here. {ALONE}"
        )


def doubt(inherited: Mapping[Architecture, float], trials: Sequence[Trial]) -> Doubt:
    """Inherited against stand-alone accuracy over the trained trials whose both are known.

    Of an architecture that was trained several times its longest training counts.
    """
    longest: dict[Architecture, Trial] = {}
    for trial in sorted(trials, key=lambda t: t.epochs):
        scored = trial.state == "complete" and np.isfinite(trial.metrics.get("accuracy", np.nan))
        if scored and trial.architecture in inherited:
            longest[trial.architecture] = trial
    return Doubt(
        rank_correlation(
            [inherited[a] for a in longest],
            [trial.metrics["accuracy"] for trial in longest.values()],
        )
    )


def doubt_of(run: "Run") -> Doubt | None:
    """What the run's trials say of its supernet; None if it has none."""
    file = _recommendations(run)
    return None if file is None else doubt(_inherited(file, run.trials), run.trials)


def write_doubt(run: "Run") -> None:
    """Puts the verdict beside the recommendations, if the run has any.

    Raises:
        AttnasError: it cannot be written.
    """
    file, found = _recommendations(run), doubt_of(run)
    if file is None or found is None:
        return
    c = found.correlation
    content = {
        "tau": None if math.isnan(c.tau) else c.tau,
        "interval": [c.low, c.high],
        "architectures": c.pairs,
        "enough": c.pairs >= ENOUGH,
        "trusted": c.trusted,
        "text": str(found),
    }
    write(file.with_name(DOUBT_FILE), to_json(content))


def _recommendations(run: "Run") -> Path | None:
    """The file of the run's recommendations; a run has one strategy, so there is one."""
    return next(iter(sorted(run.checkpoints.glob(f"*/{RECOMMENDATIONS_FILE}"))), None)


def _inherited(file: Path, trials: Sequence[Trial]) -> dict[Architecture, float]:
    """The inherited accuracies of the trials' architectures; empty if it cannot be read."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries: list[Any] = [*content["candidates"], *content["controls"]]
        known = {_key(e["choices"]): float(e["predicted"]["accuracy"]) for e in entries}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    architectures = {t.architecture: _key(t.architecture.by_stage) for t in trials}
    return {a: known[key] for a, key in architectures.items() if key in known}


def _key(choices: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((stage, str(choice)) for stage, choice in sorted(choices.items()))
