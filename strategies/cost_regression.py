"""Ridge regression of a cheap metric over the options of all decisions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gaussian_process import Codes, one_hot, sizes_of

Floats = NDArray[np.float64]

PENALTIES = (1e-3, 1e-1, 1.0, 10.0)


@dataclass(frozen=True)
class CostRegression:
    """A value per option, added up; of the logarithm where that fits better.

    Latencies and operations add up over decisions, but where a width, a depth or a resolution is
    among these they multiply. `error` is the root mean square of the residuals with each
    architecture left out, of the logarithm if `logarithmic`.
    """

    intercept: float
    effects: Floats  # (D, most options + 1): of an option outside the space, of 0, 1, ...
    error: float
    logarithmic: bool

    def predict(self, codes: Codes) -> tuple[Floats, Floats]:
        """Mean and standard deviation for architectures (n, D): (n,) each.

        An option that was never seen adds nothing to the mean.
        """
        known = np.minimum(codes, self.effects.shape[1] - 2)
        effects = self.effects[np.arange(codes.shape[1]), known + 1]
        fitted = self.intercept + np.where(codes == known, effects, 0).sum(axis=1)
        if not self.logarithmic:
            return fitted, np.full(len(fitted), self.error)
        cost = np.exp(fitted)
        return cost, cost * self.error


def fit(codes: Codes, costs: Floats) -> CostRegression:
    """For architectures (n, D) and costs (n,), n at least 1. O(n p^2) for p options.

    Penalty and logarithm are those of the least squared error with each architecture left out,
    in closed form (Allen 1974, "The relationship between variable selection and data
    augmentation and a method for prediction", Technometrics 16(1)).
    """
    sizes = sizes_of(codes)
    columns = one_hot(codes, sizes)
    centre = columns.mean(axis=0)
    left, singular, right = np.linalg.svd(columns - centre, full_matrices=False)
    best: tuple[float, CostRegression] | None = None
    for logarithmic in (False, True) if (costs > 0).all() else (False,):
        targets = np.log(costs) if logarithmic else costs
        mean = float(targets.mean())
        along = left.T @ (targets - mean)
        for penalty in PENALTIES:
            shrunk = singular**2 / (singular**2 + penalty)
            leverage = 1 / len(costs) + (left**2) @ shrunk
            residual = (targets - mean - left @ (shrunk * along)) / np.maximum(1 - leverage, 1e-6)
            missed = costs - np.exp(targets - residual) if logarithmic else residual
            error = float(np.sqrt(np.mean(missed**2)))
            if best is None or error < best[0]:
                weights = right.T @ (singular / (singular**2 + penalty) * along)
                intercept, spread = mean - float(centre @ weights), np.sqrt(np.mean(residual**2))
                effects = _by_decision(weights, sizes)
                best = (error, CostRegression(intercept, effects, float(spread), logarithmic))
    assert best is not None
    return best[1]


def _by_decision(weights: Floats, sizes: Codes) -> Floats:
    """The weights of `one_hot` columns as a row for each decision, zeros behind."""
    widths = sizes + 1
    rows = np.repeat(np.arange(len(sizes)), widths)
    within = np.arange(len(weights)) - np.repeat(np.cumsum(widths) - widths, widths)
    effects = np.zeros((len(sizes), int(widths.max())))
    effects[rows, within] = weights
    return effects
