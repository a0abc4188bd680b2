"""How sure the differences between a run's trials are, whether of one training or of several."""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma, stdtr

from attnas.core import AttnasError, ItemScores, Trial

from .seeds import SeedDifference, seed_difference
from .statistics import PairedDifference, holm, paired_difference, plain_by_epochs

_LEAST = 1e-12  # variance: that of differences which are all equal
_EQUAL = 1e-6  # a spread of logarithms of variances that is none


@dataclass(frozen=True)
class SeedVariance:
    """What is believed of the seed variance of any difference of a run.

    `typical` with `degrees` of freedom is the belief before an architecture's own seeds,
    `observed` the degrees of all seeds together, which no belief has more than.
    """

    typical: float
    degrees: float
    observed: int

    @classmethod
    def of(cls, differences: Sequence[SeedDifference]) -> "SeedVariance | None":
        """Fitted to the variances of several differences; None if there are none.

        Architectures differ in how much a seed moves them. If the variances are a scaled inverse
        chi-square variable, the mean and the spread of their logarithms tell `typical` and
        `degrees`; with one difference alone nothing is shared. Source: Smyth 2004, "Linear models
        and empirical Bayes methods for assessing differential expression in microarray
        experiments", Statistical Applications in Genetics and Molecular Biology 3(1).
        """
        if not differences:
            return None
        own = np.array([max(d.seed_variance, _LEAST) for d in differences])
        half = np.array([(d.seeds - 1) / 2 for d in differences])
        observed = int(2 * half.sum())
        if len(own) == 1:
            return cls(float(own[0]), 0.0, observed)
        logarithms = np.log(own) - digamma(half) + np.log(half)
        centre = float(logarithms.mean())
        spread = float(logarithms.var(ddof=1) - polygamma(1, half).mean())
        if spread <= _EQUAL:  # not more than chance: one variance for all
            return cls(math.exp(centre), math.inf, observed)
        prior = brentq(lambda x: float(polygamma(1, x)) - spread, 1e-6, 1e7)
        return cls(math.exp(centre + digamma(prior) - math.log(prior)), 2 * prior, observed)

    def moderated(self, difference: SeedDifference) -> tuple[float, float]:
        """The variance of a difference's seeds, shrunk to the typical one, and its degrees."""
        own = difference.seeds - 1
        if math.isinf(self.degrees):
            return self.typical, self.observed
        total = self.degrees + own
        shrunk = (self.degrees * self.typical + own * difference.seed_variance) / total
        return shrunk, min(total, self.observed)


def differences_to_plain(trials: Sequence[Trial]) -> dict[int, PairedDifference]:
    """Each complete trial against the plain backbone after as many epochs, by number.

    `trials` have the trainings of one architecture with several seeds as one (`merged`). A trial
    is left out where there is no such trial of the plain backbone (of several the first counts), or
    where they have no scores of the same items with a seed that both had.

    While no trial has two seeds in common with the plain backbone, a difference is by the items
    alone (`paired_difference`); from then on all of them are by seeds and items, also those of one
    seed, for which the others' variance stands: what was trained once is never surer than what
    was trained several times. The p-values are corrected for how many trials are compared (Holm
    1979, Scandinavian Journal of Statistics 6, 65-70): where no trial differs, at most one run in
    20 marks any of them, its best included.
    """
    plain = {epochs: _at_hand(trial) for epochs, trial in plain_by_epochs(trials).items()}
    complete = [trial for trial in trials if trial.state == "complete"]
    pairs = {t.number: _common(t, plain.get(t.epochs)) for t in complete}
    pairs = {number: pair for number, pair in pairs.items() if pair}
    others = [t.number for t in complete if t.number in pairs and not t.architecture.is_plain]
    found = _differences(pairs, others)
    others = [number for number in others if number in found]
    corrected = holm([found[number].p_value for number in others])
    for number, p_value in zip(others, corrected, strict=True):
        found[number] = replace(found[number], p_value=p_value)
    return found


def trial_difference(a: Trial, b: Trial) -> PairedDifference | None:
    """The mean score of a minus that of b over the seeds that both had; None if there are none.

    Of two seeds or more it is by seeds and items, of one by the items alone.
    """
    pair = _common(a, b)
    return _differences({0: pair}, [0]).get(0) if pair else None


_Pairs = list[tuple[ItemScores, ItemScores]]


def _common(trial: Trial, other: Trial | None) -> _Pairs:
    """The scores of both for each seed that both had, on the same items."""
    if other is None:
        return []
    theirs = {t.seed: t.scores for t in other.replicates or (other,)}
    found = []
    for own in trial.replicates or (trial,):
        # before trials had seeds of their own, all had the run's
        mine, beside = own.scores, theirs.get(own.seed)
        if mine is None or beside is None:
            continue
        if (mine.items, mine.metric) == (beside.items, beside.metric):
            found.append((mine, beside))
    return found


def _differences(
    pairs: Mapping[int, _Pairs], compared: Sequence[int]
) -> dict[int, PairedDifference]:
    """By number; the seed variance is that of those that are `compared`.

    Left out is what has scores that cannot be read, of which the run tells.
    """
    several = {}
    for number, pair in pairs.items():
        if len(pair) > 1:
            with suppress(AttnasError):
                mine, theirs = zip(*pair, strict=True)
                several[number] = seed_difference(mine, theirs)
    belief = SeedVariance.of([several[number] for number in compared if number in several])
    found = {}
    for number, pair in pairs.items():
        with suppress(AttnasError):
            if belief is None or number not in compared:
                found[number] = paired_difference(*pair[0])
            else:
                found[number] = _by_seeds(several.get(number), pair, belief)
    return found


def _at_hand(trial: Trial) -> Trial:
    """The trial with the contents of its scores read; without those that cannot be."""
    mine = tuple(replace(one, scores=_kept(one.scores)) for one in trial.replicates)
    return replace(trial, scores=_kept(trial.scores), replicates=mine)


def _kept(scores: ItemScores | None) -> ItemScores | None:
    if scores is None:
        return None
    with suppress(AttnasError):
        return replace(scores, source=scores.content)
    return None


def _by_seeds(
    several: SeedDifference | None, pair: _Pairs, belief: SeedVariance
) -> PairedDifference:
    """By seeds and items, with Satterthwaite's degrees of freedom for their sum (1946)."""
    if several is None:
        single = paired_difference(*pair[0])
        difference, items, seeds = single.difference, single.items, 1
        by_item = single.standard_error**2
        variance, degrees = belief.typical, min(belief.degrees or 1.0, belief.observed)
    else:
        difference, items, seeds = several.difference, several.items, several.seeds
        by_item = several.item_variance
        variance, degrees = belief.moderated(several)
    by_seed = variance / seeds
    total = by_seed + by_item
    freedom = degrees * (total / by_seed) ** 2
    error = math.sqrt(total)
    p_value = 2 * float(stdtr(freedom, -abs(difference) / error))
    return PairedDifference(difference, error, items, p_value, seeds, freedom)
