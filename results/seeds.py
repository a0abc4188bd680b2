"""How sure a difference between two architectures is, by seeds and items together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from attnas.core import ItemScores

from .statistics import LEVEL

MOST_SEEDS = 1000  # beyond this, `SeedDifference.seeds_needed` says that seeds do not help


@dataclass(frozen=True)
class SeedDifference:
    """Mean score over seeds minus another architecture's with the same seeds, and its interval.

    `seed_variance` is that of one seed's difference, estimated from these seeds;
    `item_variance` is the part of the mean's variance that more seeds do not lessen. `level` is
    what the interval may err by.
    """

    difference: float
    seed_variance: float
    item_variance: float
    seeds: int
    items: int
    level: float = LEVEL

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.seed_variance / self.seeds + self.item_variance)

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval over seeds and items, at 1 - `level`."""
        half = self._half_width(self.seeds)
        return self.difference - half, self.difference + half

    @property
    def within_noise(self) -> bool:
        low, high = self.interval
        return not (low > 0 or high < 0)  # also of what is no number

    @property
    def seeds_needed(self) -> int | None:
        """About how many seeds would put 0 outside the interval if the difference stays.

        None if no number does: then it is the items that are too few.
        """
        enough = (n for n in range(2, MOST_SEEDS + 1) if self._half_width(n) < abs(self.difference))
        return next(enough, None)

    def _half_width(self, seeds: int) -> float:
        t = float(stdtrit(seeds - 1, 1 - self.level / 2))
        z = float(ndtri(1 - self.level / 2))
        return math.sqrt(t * t * self.seed_variance / seeds + z * z * self.item_variance)


def seed_difference(
    a: Sequence[ItemScores], b: Sequence[ItemScores], level: float = LEVEL
) -> SeedDifference:
    """The mean of architecture a minus that of b over the same seeds.

    `a` and `b` have one entry for each seed, seeds in the same order, all on the same items.

    Model. Seeds and items are both random samples. What a seed does to both (equal initial
    weights and data order) drops out of its difference; the differences of the seeds are
    independent and normal with a variance of this pair's own, with seeds - 1 degrees of freedom:
    architectures differ in how much a seed moves them, so no other pair lends its variance. It
    holds what items add anew with every seed. Which items the two are good at does not change
    with the seed, so averaging over seeds does not lessen it: that part is the variance component
    of items in the crossed (seed, item) layout of the differences, estimated from mean squares
    and cut at 0 (Cornfield and Tukey 1956, Annals of Mathematical Statistics 27, 907-949). The
    half-width is the root of the sum of squares of the parts' own, by Student's t and by the
    normal quantile (Zou and Donner 2008, Statistics in Medicine 27, 1693-1702).

    Raises:
        ValueError: fewer than two seeds, or not as many entries as seeds, or of other items.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} seeds against {len(b)}: both need an entry for each seed")
    if len(a) < 2:
        raise ValueError("a variance over seeds needs at least two seeds")
    mine, theirs = _layout(a), _layout(b)
    if mine.shape != theirs.shape:
        raise ValueError("the scores are of other items")
    differences = mine - theirs
    return SeedDifference(
        difference=float(differences.mean()),
        seed_variance=float(differences.mean(axis=1).var(ddof=1)),
        item_variance=_item_variance(differences),
        seeds=differences.shape[0],
        items=differences.shape[1],
        level=level,
    )


def _layout(entries: Sequence[ItemScores]) -> NDArray[np.float64]:
    """Scores as a table: (seeds, items)."""
    if len({entry.items for entry in entries}) > 1:
        raise ValueError("the seeds were scored on other items")
    return np.array([entry.values for entry in entries])


def _two_way_residuals(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """What row and column means leave of a table: its own shape."""
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    return table - rows - columns + table.mean()


def _item_variance(differences: NDArray[np.float64]) -> float:
    """Variance that the items alone give the mean of differences (seeds, items)."""
    seeds, items = differences.shape
    if items < 2:
        return 1.0  # a score of one item tells nothing
    interaction = float((_two_way_residuals(differences) ** 2).sum())
    interaction /= (seeds - 1) * (items - 1)
    of_means = float(differences.mean(axis=0).var(ddof=1))
    return max(0.0, of_means - interaction / seeds) / items
