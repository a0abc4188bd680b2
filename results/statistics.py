"""How sure a difference between two trainings is: by the items, and by the seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from attnas.core import ItemScores, Trial, Z

MOST_SEEDS = 1000  # beyond this, `SeedDifference.seeds_needed` says that seeds do not help


@dataclass(frozen=True)
class PairedDifference:
    """The mean score of one training minus that of another on the same items.

    The standard error is by the items alone: what two trainings with another seed would
    differ by is not in it (`seed_differences` is for that).
    """

    difference: float
    standard_error: float
    items: int

    @property
    def within_noise(self) -> bool:
        """Whether other items could well have given no difference (at the 5 % level)."""
        return not abs(self.difference) > Z * self.standard_error  # also of what is no number

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval, by the items alone."""
        half = Z * self.standard_error
        return self.difference - half, self.difference + half


def paired_difference(a: ItemScores, b: ItemScores) -> PairedDifference:
    """The mean score of a minus that of b, from the differences at the same items.

    Of bits only items that one gets right and the other wrong tell anything: with `more` of
    them for a and `less` for b, the difference is (more - less) / items, its standard error
    sqrt(more + less) / items, and their ratio is the root of McNemar's chi-square (1947,
    doi:10.1007/BF02295996), so `within_noise` is his test. The error is that under no
    difference; it is never less than the estimate that subtracts (more - less)^2 / items.
    Of numbers the standard error is the root mean square difference / sqrt(items), which is
    the same for bits.

    Raises:
        ValueError: the two have not the same items or metric.
    """
    if a.items != b.items or a.metric != b.metric:
        raise ValueError(f"{a.metric} of {a.items} items against {b.metric} of {b.items}")
    differences = a.values - b.values
    spread = float(np.square(differences).sum())
    return PairedDifference(float(differences.mean()), math.sqrt(spread) / a.items, a.items)


def difference_to_plain(trial: Trial, trials: Sequence[Trial]) -> PairedDifference | None:
    """The trial against the plain backbone after as many epochs on the same items.

    None if there is no such trial of the plain backbone, or if either has no scores.
    """
    plain = plain_beside(trial, trials)
    if plain is None or trial.scores is None or plain.scores is None:
        return None
    mine, theirs = trial.scores, plain.scores
    if (mine.items, mine.metric) != (theirs.items, theirs.metric):
        return None
    return paired_difference(mine, theirs)


def plain_beside(trial: Trial, trials: Sequence[Trial]) -> Trial | None:
    """The plain backbone's complete trial with the epochs of this one; the first of several."""
    alike = (t for t in trials if t.state == "complete" and t.architecture.is_plain)
    return next((t for t in alike if t.epochs == trial.epochs), None)


@dataclass(frozen=True)
class SeedDifference:
    """Mean score over seeds minus the plain backbone's, with its 95 % interval.

    `seed_variance` is that of one seed's difference, with `degrees_of_freedom`;
    `item_variance` is the part of the mean's variance that more seeds do not lessen.
    """

    difference: float
    seed_variance: float
    degrees_of_freedom: int
    item_variance: float
    seeds: int
    items: int

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.seed_variance / self.seeds + self.item_variance)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval over seeds and items."""
        half = _half_width(
            self.seed_variance / self.seeds, self.degrees_of_freedom, self.item_variance
        )
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
        per_seed = self.degrees_of_freedom // (self.seeds - 1)
        for seeds in range(2, MOST_SEEDS + 1):
            half = _half_width(
                self.seed_variance / seeds, per_seed * (seeds - 1), self.item_variance
            )
            if half < abs(self.difference):
                return seeds
        return None


def seed_differences(
    plain: Sequence[ItemScores], others: Sequence[Sequence[ItemScores]]
) -> list[SeedDifference]:
    """The mean difference of each architecture to the plain backbone over the same seeds.

    `plain` has the scores of the plain backbone, one entry per seed; `others` the same
    for each of K architectures, seeds in the same order; all on the same items.

    Model. Seeds and items are both random samples. The mean score of architecture k (plain is
    0) with seed s is mu_k + shared_s + e_ks on the given items: `shared_s` is what a seed
    does to all (equal initial weights and data order), e_ks are independent and normal with
    one variance. The residual mean square of this two-way layout, with K (seeds - 1) degrees
    of freedom, times 2 is the variance of one seed's difference. It holds what items add
    anew with every seed. Which items the plain network and the other are good at does not
    change with the seed, so averaging over seeds does not lessen it: that part is the
    variance component of items in the crossed (seed, item) layout of the differences,
    estimated from mean squares and cut at 0 (Cornfield and Tukey 1956, Annals of Mathematical
    Statistics 27, 907-949). The half-width takes Student's t for the first part and the normal
    quantile for the second, weighted by the parts (Cochran 1964, Biometrics 20, 191-195),
    which errs to the safe side.

    Each interval is at 95 % by itself, not for all architectures at once.

    Raises:
        ValueError: fewer than two seeds, or not as many entries as seeds, or of other items.
    """
    seeds = len(plain)
    if seeds < 2:
        raise ValueError("a variance over seeds needs at least two seeds")
    if not others:
        return []
    if any(len(entries) != seeds for entries in others):
        raise ValueError(f"every architecture needs an entry for each of the {seeds} seeds")
    reference = _layout(plain)
    layouts = [_layout(entries) for entries in others]
    if any(layout.shape != reference.shape for layout in layouts):
        raise ValueError("the scores are of other items")
    means = np.array([layout.mean(axis=1) for layout in (reference, *layouts)])
    degrees = len(others) * (seeds - 1)
    seed_variance = 2 * float((_two_way_residuals(means) ** 2).sum()) / degrees
    return [
        SeedDifference(
            difference=float((layout - reference).mean()),
            seed_variance=seed_variance,
            degrees_of_freedom=degrees,
            item_variance=_item_variance(layout - reference),
            seeds=seeds,
            items=reference.shape[1],
        )
        for layout in layouts
    ]


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


def _half_width(by_seeds: float, degrees_of_freedom: int, by_items: float) -> float:
    """Half of the 95 % interval of a sum with these two variances."""
    total = by_seeds + by_items
    if total == 0:
        return 0.0
    t = float(stdtrit(degrees_of_freedom, 0.975))
    return (by_seeds * t + by_items * Z) / total * math.sqrt(total)
