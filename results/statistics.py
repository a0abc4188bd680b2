"""How sure a difference between two accuracies is: by the images, and by the seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from .trial import Trial

Z = float(ndtri(0.975))  # 1.96: half the width of a 95 % interval in standard errors
MOST_SEEDS = 1000  # beyond this, `SeedDifference.seeds_needed` says that seeds do not help


@dataclass(frozen=True)
class PairedDifference:
    """Accuracy of one training minus that of another on the same images, from -1 to 1.

    The standard error is by the images alone: what two trainings with another seed would
    differ by is not in it (`seed_differences` is for that).
    """

    difference: float
    standard_error: float
    images: int

    @property
    def within_noise(self) -> bool:
        """Whether other images could well have given no difference (at the 5 % level)."""
        return abs(self.difference) <= Z * self.standard_error

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval, by the images alone."""
        half = Z * self.standard_error
        return self.difference - half, self.difference + half


def paired_difference(correct_a: bytes, correct_b: bytes, images: int) -> PairedDifference:
    """Accuracy of a minus accuracy of b, from one bit per image (order of numpy.packbits).

    Only images that one gets right and the other wrong tell anything: with `more` of them
    for a and `less` for b, the difference is (more - less) / images, its standard error
    sqrt(more + less) / images, and their ratio is the root of McNemar's chi-square (1947,
    doi:10.1007/BF02295996), so `within_noise` is his test. The error is that under no
    difference; it is never less than the estimate that subtracts (more - less)^2 / images.

    Raises:
        ValueError: there are no images, or not as many bits as images.
    """
    a, b = unpack(correct_a, images), unpack(correct_b, images)
    more, less = int((a & ~b).sum()), int((b & ~a).sum())
    return PairedDifference((more - less) / images, math.sqrt(more + less) / images, images)


def unpack(correct: bytes, images: int) -> NDArray[np.bool_]:
    """The packed bits as truth values, one per image: shape (images,).

    Raises:
        ValueError: there are no images, or not as many bits as images.
    """
    if images < 1 or len(correct) != (images + 7) // 8:
        raise ValueError(f"{len(correct)} bytes cannot hold one bit for each of {images} images")
    return np.unpackbits(np.frombuffer(correct, dtype=np.uint8), count=images).astype(bool)


def difference_to_plain(trial: Trial, trials: Sequence[Trial]) -> PairedDifference | None:
    """The trial against the plain backbone after as many epochs on the same images.

    None if there is no such trial of the plain backbone, or if either has no bits.
    """
    plain = plain_beside(trial, trials)
    if plain is None or not trial.correct or not plain.correct:
        return None
    if plain.validation_images != trial.validation_images:
        return None
    return paired_difference(trial.correct, plain.correct, trial.validation_images)


def plain_beside(trial: Trial, trials: Sequence[Trial]) -> Trial | None:
    """The plain backbone's complete trial with the epochs of this one; the first of several."""
    alike = (t for t in trials if t.state == "complete" and t.architecture.is_plain)
    return next((t for t in alike if t.epochs == trial.epochs), None)


@dataclass(frozen=True)
class SeedDifference:
    """Mean accuracy over seeds minus the plain backbone's, with its 95 % interval.

    `seed_variance` is that of one seed's difference, with `degrees_of_freedom`;
    `image_variance` is the part of the mean's variance that more seeds do not lessen.
    """

    difference: float
    seed_variance: float
    degrees_of_freedom: int
    image_variance: float
    seeds: int
    images: int

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.seed_variance / self.seeds + self.image_variance)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval over seeds and images."""
        half = _half_width(
            self.seed_variance / self.seeds, self.degrees_of_freedom, self.image_variance
        )
        return self.difference - half, self.difference + half

    @property
    def within_noise(self) -> bool:
        low, high = self.interval
        return low <= 0 <= high

    @property
    def seeds_needed(self) -> int | None:
        """About how many seeds would put 0 outside the interval if the difference stays.

        None if no number does: then it is the images that are too few.
        """
        per_seed = self.degrees_of_freedom // (self.seeds - 1)
        for seeds in range(2, MOST_SEEDS + 1):
            half = _half_width(
                self.seed_variance / seeds, per_seed * (seeds - 1), self.image_variance
            )
            if half < abs(self.difference):
                return seeds
        return None


def seed_differences(
    plain: Sequence[bytes], others: Sequence[Sequence[bytes]], images: int
) -> list[SeedDifference]:
    """The mean difference of each architecture to the plain backbone over the same seeds.

    `plain` has the packed bits of the plain backbone, one entry per seed; `others` the same
    for each of K architectures, seeds in the same order; all on the same images.

    Model. Seeds and images are both random samples. The accuracy of architecture k (plain is
    0) with seed s is mu_k + shared_s + e_ks on the given images: `shared_s` is what a seed
    does to all (equal initial weights and data order), e_ks are independent and normal with
    one variance. The residual mean square of this two-way layout, with K (seeds - 1) degrees
    of freedom, times 2 is the variance of one seed's difference. It holds what images add
    anew with every seed. Which images the plain network and the other are good at does not
    change with the seed, so averaging over seeds does not lessen it: that part is the
    variance component of images in the crossed (seed, image) layout of the differences,
    estimated from mean squares and cut at 0 (Cornfield and Tukey 1956, Annals of Mathematical
    Statistics 27, 907-949). The half-width takes Student's t for the first part and the normal
    quantile for the second, weighted by the parts (Cochran 1964, Biometrics 20, 191-195),
    which errs to the safe side.

    Each interval is at 95 % by itself, not for all architectures at once.

    Raises:
        ValueError: fewer than two seeds, or not as many entries as seeds, or bits as images.
    """
    seeds = len(plain)
    if seeds < 2:
        raise ValueError("a variance over seeds needs at least two seeds")
    if not others:
        return []
    if any(len(entries) != seeds for entries in others):
        raise ValueError(f"every architecture needs an entry for each of the {seeds} seeds")
    reference = _unpacked(plain, images)
    bits = [_unpacked(entries, images) for entries in others]
    accuracies = np.array([layout.mean(axis=1) for layout in (reference, *bits)])
    degrees = len(others) * (seeds - 1)
    seed_variance = 2 * float((_two_way_residuals(accuracies) ** 2).sum()) / degrees
    return [
        SeedDifference(
            difference=float((layout - reference).mean()),
            seed_variance=seed_variance,
            degrees_of_freedom=degrees,
            image_variance=_image_variance(layout - reference),
            seeds=seeds,
            images=images,
        )
        for layout in bits
    ]


def _unpacked(entries: Sequence[bytes], images: int) -> NDArray[np.float64]:
    """Bits as 0 and 1: (seeds, images)."""
    return np.array([unpack(correct, images) for correct in entries], dtype=np.float64)


def _two_way_residuals(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """What row and column means leave of a table: its own shape."""
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    return table - rows - columns + table.mean()


def _image_variance(differences: NDArray[np.float64]) -> float:
    """Variance that the images alone give the mean of differences (seeds, images)."""
    seeds, images = differences.shape
    if images < 2:
        return 1.0  # an accuracy of one image tells nothing
    interaction = float((_two_way_residuals(differences) ** 2).sum())
    interaction /= (seeds - 1) * (images - 1)
    of_means = float(differences.mean(axis=0).var(ddof=1))
    return max(0.0, of_means - interaction / seeds) / images


def _half_width(by_seeds: float, degrees_of_freedom: int, by_images: float) -> float:
    """Half of the 95 % interval of a sum with these two variances."""
    total = by_seeds + by_images
    if total == 0:
        return 0.0
    t = float(stdtrit(degrees_of_freedom, 0.975))
    return (by_seeds * t + by_images * Z) / total * math.sqrt(total)
