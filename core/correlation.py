"""Rank correlation of two figures of the same things, with its interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ENOUGH = 10
"""Pairs that a verdict needs."""
TRUSTED = 0.3
"""The lower bound of tau from which one figure may rank for the other."""
Z = 1.959963984540054
"""Half the width of a normal 95 % interval in standard errors."""


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
    from scipy.stats import kendalltau  # a second to load

    tau = float(kendalltau(x, y).statistic) if n > 1 else math.nan
    if n < 5 or math.isnan(tau):
        return RankCorrelation(tau, -1.0, 1.0, n)
    most = 1 - 1 / (n * (n - 1) / 2)
    z, half = math.atanh(min(most, max(-most, tau))), Z * math.sqrt(0.437 / (n - 4))
    low, high = math.tanh(z - half), math.tanh(z + half)
    return RankCorrelation(tau, min(low, tau), max(high, tau), n)
