"""The marks and intervals that attnas gave before, for `benchmarks.coverage`."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t


def marked(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> bool:
    """McNemar's test in its large-sample form, at 5 % for each pair by itself."""
    more, less = int((a & ~b).sum()), int((b & ~a).sum())
    return abs(more - less) > norm.ppf(0.975) * math.sqrt(more + less)


def pooled_intervals(scores: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Of each architecture less the first, from scores (architectures, seeds, items).

    One variance over seeds for all pairs, by the residuals of the two-way layout.
    """
    means = scores.mean(axis=2)
    count, seeds = means.shape
    degrees = (count - 1) * (seeds - 1)
    by_seed = 2 * float((_residuals(means) ** 2).sum()) / degrees / seeds
    return [_interval(row - scores[0], by_seed, degrees) for row in scores[1:]]


def _interval(
    differences: NDArray[np.float64], by_seed: float, degrees: int
) -> tuple[float, float]:
    """Student's t and the normal quantile, weighted by the parts of the variance (Cochran)."""
    seeds, items = differences.shape
    interaction = float((_residuals(differences) ** 2).sum()) / ((seeds - 1) * (items - 1))
    spread = float(differences.mean(axis=0).var(ddof=1))
    by_item = max(0.0, spread - interaction / seeds) / items
    total = by_seed + by_item
    quantiles: Sequence[float] = (float(t.ppf(0.975, degrees)), float(norm.ppf(0.975)))
    half = (by_seed * quantiles[0] + by_item * quantiles[1]) / math.sqrt(total) if total else 0.0
    centre = float(differences.mean())
    return centre - half, centre + half


def _residuals(table: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    return table - rows - columns + table.mean()
