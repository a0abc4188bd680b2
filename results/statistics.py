"""How sure a difference between two trainings is, by the items that both were scored on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, stdtr, stdtrit

from attnas.core import ItemScores, Trial

LEVEL = 0.05  # what marks and verdicts may err by


@dataclass(frozen=True)
class PairedDifference:
    """The mean score of one training minus that of another on the same items.

    The standard error and `p_value`, two-sided, are by the items alone: what two trainings with
    another seed would differ by is not in them. Where `degrees`, those of freedom of the error,
    are given, it is the mean over so many `seeds`, and both are by seeds and items. `p_value` is
    corrected for the number of trials of a run where the difference is one of those.
    """

    difference: float
    standard_error: float
    items: int
    p_value: float
    seeds: int = 1
    degrees: float | None = None

    @property
    def within_noise(self) -> bool:
        """Whether other items, or seeds, could well have given no difference (at 5 %)."""
        return not self.p_value <= LEVEL  # also of what is no number

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval, by what the error is by, of this difference by itself."""
        degrees = max(1, self.items - 1) if self.degrees is None else self.degrees
        half = float(stdtrit(degrees, 1 - LEVEL / 2)) * self.standard_error
        return self.difference - half, self.difference + half


def paired_difference(a: ItemScores, b: ItemScores) -> PairedDifference:
    """The mean score of a minus that of b, from the differences at the same items.

    Of bits only items that one gets right and the other wrong tell anything: with `more` of
    them for a and `less` for b, the difference is (more - less) / items, its standard error
    sqrt(more + less) / items, and its p-value that of McNemar's test (1947,
    doi:10.1007/BF02295996) in the exact form: twice the probability of at most min(more, less)
    of more + less tosses of a coin. Of numbers the standard error is the root mean square
    difference / sqrt(items), which is the same for bits, and the p-value that of the paired
    t-test.

    Raises:
        ValueError: the two have not the same items or metric.
    """
    if a.items != b.items or a.metric != b.metric:
        raise ValueError(f"{a.metric} of {a.items} items against {b.metric} of {b.items}")
    if a.kind == b.kind == "bits":
        return _of_bits(a.content, b.content, a.items)
    differences = a.values - b.values
    error = math.sqrt(float(np.square(differences).sum())) / a.items
    return PairedDifference(float(differences.mean()), error, a.items, _t_test(differences))


_ONES = np.array([byte.bit_count() for byte in range(256)])


def _of_bits(a: bytes, b: bytes, items: int) -> PairedDifference:
    """`paired_difference` of bits, eight at a time."""
    mine, theirs = np.frombuffer(a, np.uint8), np.frombuffer(b, np.uint8)
    more, less = (int(_ONES[only].sum()) for only in (mine & ~theirs, theirs & ~mine))
    error = math.sqrt(more + less) / items
    return PairedDifference((more - less) / items, error, items, _mcnemar(more, less))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected by Holm's step-down procedure; NaN is taken for 1."""
    order = sorted(range(len(p_values)), key=lambda i: _number(p_values[i]))
    corrected, least = [1.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * _number(p_values[place])))
        corrected[place] = least
    return corrected


def plain_beside(trial: Trial, trials: Sequence[Trial]) -> Trial | None:
    """The plain backbone's complete trial with the epochs of this one; the first of several."""
    return plain_by_epochs(trials).get(trial.epochs)


def plain_by_epochs(trials: Sequence[Trial]) -> dict[int, Trial]:
    """The first complete trial of the plain backbone for each number of epochs."""
    found: dict[int, Trial] = {}
    for trial in trials:
        if trial.state == "complete" and trial.architecture.is_plain:
            found.setdefault(trial.epochs, trial)
    return found


def _number(p_value: float) -> float:
    return 1.0 if math.isnan(p_value) else p_value


def _mcnemar(more: int, less: int) -> float:
    if more + less == 0:
        return 1.0
    return min(1.0, 2 * float(bdtr(min(more, less), more + less, 0.5)))


def _t_test(differences: np.ndarray) -> float:
    """1 of a single item and where nothing differs; NaN of what is no number."""
    items = len(differences)
    if items < 2 or not differences.any():
        return 1.0
    error = float(differences.std(ddof=1)) / math.sqrt(items)
    if error == 0:
        return 0.0
    return 2 * float(stdtr(items - 1, -abs(float(differences.mean())) / error))
