"""The confidence interval of a latency, from a handful of instances of the network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95

_LEAST_TO_TRIM = 6
_TRIMMED = 0.2  # of the values, on either side


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its 95 % confidence interval."""

    centre: float
    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def exp(self, factor: float = 1.0) -> "Interval":
        """The interval of a logarithm as one of the thing itself, times a factor."""
        high = math.inf if self.high == math.inf else math.exp(self.high)
        return Interval(factor * math.exp(self.centre), factor * math.exp(self.low), factor * high)


def interval(values: Sequence[float], *, shared: float = 0.0) -> Interval:
    """95 % confidence interval of the mean of exchangeable values, one per instance.

    The mean is trimmed by a fifth on either side, its standard error comes from the winsorized
    variance, and Student's t of h - 1 degrees of freedom gives the ends, where h values remain
    (Tukey and McLaughlin 1963; Yuen 1974, Biometrika 61, eq. 2.3). So one instance in five may
    be an outlier. Fewer than 6 values are not trimmed: that is the ordinary t interval.

    `shared` is the variance of what all n values have in common, as a multiple of the variance
    between them: it does not average out. With a standard error s of the trimmed mean, the
    interval then has half-width t s sqrt(1 + shared n).

    One value alone has an unbounded interval.

    Raises:
        ValueError: there is no value.
    """
    if not len(values):
        raise ValueError("no interval without a value")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    cut = int(_TRIMMED * n) if n >= _LEAST_TO_TRIM else 0
    h = n - 2 * cut
    centre = float(ordered[cut : n - cut].mean())
    if h < 2:
        return Interval(centre, -math.inf, math.inf)
    winsorized = np.clip(ordered, ordered[cut], ordered[n - 1 - cut])
    squared_error = float(winsorized.var(ddof=1)) * (n - 1) / (h * (h - 1))
    quantile = float(stdtrit(h - 1, (1 + CONFIDENCE) / 2))  # Student's t
    half = quantile * math.sqrt(squared_error * (1 + shared * n))
    return Interval(centre, centre - half, centre + half)
