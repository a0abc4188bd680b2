"""What a proposal is chosen by: expected improvement times the probability to keep the bounds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .expected_improvement import Cells, Forecast
from .gaussian_process import Codes
from .surrogates import Bound, Evidence, Loss, Surrogate

Floats = NDArray[np.float64]

DRAWS = 8  # of the uncertain losses that are not integrated
MARGIN = 0.1  # of the range of a loss, by which the reference lies beyond the worst


def promise(
    candidates: Codes,
    evidence: Evidence,
    surrogates: Mapping[Loss, Surrogate],
    wanted: Sequence[Loss],
    limits: Sequence[Bound],
    turn: int,
    rng: np.random.Generator,
) -> Floats:
    """How promising each candidate is, at the `turn`-th training: (candidates,).

    In even turns the expected improvement of a loss that training tells, of one after the other
    if there are several, in odd ones that of the hypervolume; times the probability to keep
    the bounds. That alone while nothing feasible is known.
    """
    forecasts = {loss: surrogate.predict(candidates) for loss, surrogate in surrogates.items()}
    known = [bound for bound in limits if bound.loss in surrogates]
    chance = np.ones(len(candidates))
    for loss, limit in known:
        chance *= forecasts[loss].probability(limit)
    feasible = _feasible(evidence, surrogates, known)
    if not feasible.any() or any(loss not in surrogates for loss in wanted):
        return chance
    points = np.stack([surrogates[loss].seen[feasible] for loss in wanted], axis=1)  # (n, m)
    uncertain = [number for number, loss in enumerate(wanted) if not loss.is_cheap]
    if uncertain and turn % 2 == 0:
        chosen = uncertain[turn // 2 % len(uncertain)]
        best = points[:, chosen].min(keepdims=True)
        return chance * forecasts[wanted[chosen]].improvement(best)[:, 0]
    span = np.ptp(points, axis=0)
    reference = points.max(axis=0) + np.where(span > 0, MARGIN * span, 1.0)
    for loss, limit in known:
        if loss in wanted:
            reference[wanted.index(loss)] = limit
    ordered = [forecasts[loss] for loss in wanted]
    return chance * hypervolume_improvement(ordered, uncertain or [0], points, reference, rng)


def _feasible(
    evidence: Evidence, surrogates: Mapping[Loss, Surrogate], limits: Sequence[Bound]
) -> NDArray[np.bool_]:
    """Which of what is scored keeps the bounds, and which in flight is expected to: (n,)."""
    ended = len(evidence.scored)
    feasible = np.ones(ended + len(evidence.running), dtype=bool)
    feasible[:ended] = [evidence.trials[i].feasible for i in evidence.scored]
    for loss, limit in limits:
        feasible[ended:] &= surrogates[loss].seen[ended:] <= limit
    return feasible


def hypervolume_improvement(
    forecasts: Sequence[Forecast],
    uncertain: Sequence[int],
    points: Floats,
    reference: Floats,
    rng: np.random.Generator,
) -> Floats:
    """What each candidate is expected to add to the hypervolume of points (n, m): (candidates,).

    Losses that are not `uncertain` are taken as their medians. Exact for one uncertain loss; of
    several, taken as independent, the first is integrated and the others are drawn.
    """
    first, *drawn = uncertain
    order = [first, *(i for i in range(len(forecasts)) if i != first)]
    total = np.zeros(len(forecasts[0].mean))
    draws = DRAWS if drawn else 1
    for _ in range(draws):
        deviates = dict(zip(drawn, rng.standard_normal(len(drawn)), strict=True))
        known = np.empty((len(total), len(order) - 1))  # (candidates, m - 1)
        for column, i in enumerate(order[1:]):
            known[:, column] = forecasts[i].at(deviates.get(i, 0.0))
        least = known.min(axis=0)
        cells = Cells.of(points[:, order], reference[order], least, rng)
        improvement = forecasts[first].improvement(cells.level)  # (candidates, cells)
        total += (cells.volumes(known) * improvement).sum(axis=1)
    return total / draws
