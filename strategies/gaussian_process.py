"""A Gaussian process over named decisions with options, fitted by penalised likelihood."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
"""Architectures by the number of each decision's option, (n, D); -1 for one outside the space."""

ITERATIONS = 15  # of the quasi-Newton search for hyperparameters: what is left is not worth it
FITTED = 150  # targets that hyperparameters are fitted to, evenly taken from more
JITTER = 1e-6
ROUNDING = 1e-12  # targets that differ by less, relatively, are equal
SPREAD = 3.0  # the sum of the rates at the prior's centre
_CENTRE = np.array([np.log(0.1), 0.0, -1.0, 0.0])  # of the logarithms of noise, a, b, t
_WIDTH = np.array([1.5, 1.0, 1.5, 1.0])
_RELEVANCE_WIDTH = 0.5
_LIMITS = (-6.0, 5.0)


def one_hot(codes: Codes, sizes: Codes) -> Floats:
    """(n, D) codes to (n, sum of sizes + 1) columns, those of one decision together."""
    starts = np.cumsum(sizes + 1) - sizes
    columns = np.zeros((len(codes), int((sizes + 1).sum())))
    np.put_along_axis(columns, starts + codes, 1.0, axis=1)
    return columns


def sizes_of(*several: Codes) -> Codes:
    """How many options each decision has in these, (D,)."""
    return np.asarray(np.max([codes.max(axis=0, initial=-1) for codes in several], axis=0) + 1)


@dataclass(frozen=True)
class Kernel:
    """k(x, y) = sum_d a_d [x_d = y_d] + b exp(-sum_d t_d [x_d != y_d]).

    The first term is a sum of an effect per option, independent of the others; the second,
    a product over decisions of an exponential Hamming kernel, is what deviates from the sum
    alike in architectures that are alike. `weights` (D,) has a_d, `rates` (D,) t_d, `product`
    is b.
    """

    weights: Floats
    rates: Floats
    product: float

    def __call__(self, left: Codes, right: Codes) -> Floats:
        """(n, D) and (m, D) to (n, m)."""
        sizes = sizes_of(left, right)
        mine, theirs = one_hot(left, sizes), one_hot(right, sizes)
        by_column = np.repeat(self.rates, sizes + 1)
        added = (mine * np.repeat(self.weights, sizes + 1)) @ theirs.T
        return np.asarray(added + self.multiplied((mine * by_column) @ theirs.T))

    def multiplied(self, agreeing: Floats) -> Floats:
        """The second term, given the rates of the agreeing decisions added up."""
        return np.asarray(self.product * np.exp(agreeing - self.rates.sum()))

    @property
    def variance(self) -> float:
        """k(x, x)."""
        return float(self.weights.sum() + self.product)


@dataclass(frozen=True)
class GaussianProcess:
    """The posterior of a latent function of architectures, given noisy targets.

    With y = (targets - centre) / scale and K = k(codes, codes) + noise I = L L^T, in units of
    `scale`: mean(x) = k(x, codes) K^-1 y, variance(x) = k(x, x) - |L^-1 k(codes, x)|^2. Source:
    Rasmussen and Williams 2006, "Gaussian processes for machine learning", equations 2.25 and
    2.26.
    """

    kernel: Kernel
    noise: float
    codes: Codes  # (n, D)
    targets: Floats  # (n,)
    centre: float = 0.0
    scale: float = 1.0

    def predict(self, codes: Codes) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the latent function, (m,) each."""
        across = solve_triangular(self._factor, self.kernel(self.codes, codes), lower=True)
        mean = self._standard @ across
        variance = np.maximum(self.kernel.variance - (across**2).sum(axis=0), JITTER)
        return self.centre + self.scale * mean, self.scale * np.sqrt(variance)

    def believing(self, codes: Codes) -> "GaussianProcess":
        """As if each of these (m, D) had come out as its mean; the hyperparameters stay.

        Source: the "kriging believer" of Ginsbourger et al. 2010, "Kriging is well-suited to
        parallelize optimization".
        """
        if not len(codes):
            return self
        mean, _ = self.predict(codes)
        every, targets = np.concatenate([self.codes, codes]), np.concatenate([self.targets, mean])
        return GaussianProcess(self.kernel, self.noise, every, targets, self.centre, self.scale)

    @cached_property
    def explained(self) -> float:
        """The share of the targets' variance that is predicted with each left out; at most 1.

        Negative where the mean of the others would predict better. Closed form: Rasmussen and
        Williams 2006, equation 5.12.
        """
        inverse = cho_solve((self._factor, True), np.eye(len(self.targets)))
        missed = (inverse @ self._deviations) / np.diag(inverse)
        total = float(self._deviations @ self._deviations)
        return 1 - float(missed @ missed) / total if total > ROUNDING else 0.0

    @cached_property
    def _deviations(self) -> Floats:
        return (self.targets - self.centre) / self.scale

    @cached_property
    def _factor(self) -> Floats:
        """L, (n, n)."""
        covariance = self.kernel(self.codes, self.codes)
        covariance[np.diag_indices(len(covariance))] += self.noise
        return np.asarray(np.linalg.cholesky(covariance))

    @cached_property
    def _standard(self) -> Floats:
        """L^-1 y, (n,)."""
        return np.asarray(solve_triangular(self._factor, self._deviations, lower=True))


def fit(codes: Codes, targets: Floats) -> GaussianProcess:
    """With the hyperparameters of the greatest posterior density, found by L-BFGS.

    Each decision has a relevance r_d, which both terms of the kernel share: a_d = a r_d / D,
    t_d = 3 t r_d / D. The logarithms of noise, a, b, t and r_d have normal priors, for targets
    of variance 1: few targets hardly move them, and many decide. O(n^2 (n + p)) an iteration
    for p options, n at most `FITTED`.
    """
    centre = float(targets.mean())
    scale = float(targets.std())
    scale = scale if scale > ROUNDING * abs(centre) else 1.0
    count = min(len(targets), FITTED)
    taken = np.linspace(0, len(targets) - 1, count).astype(np.int64)
    density = Density(codes[taken], (targets[taken] - centre) / scale)
    found = minimize(
        density.negative_log,
        density.centre,
        jac=True,
        method="L-BFGS-B",
        bounds=[_LIMITS] * len(density.centre),
        options={"maxiter": ITERATIONS},
    )
    kernel, noise = density.hyperparameters(found.x)
    return GaussianProcess(kernel, noise, codes, targets, centre, scale)


class Density:
    """The posterior density of the hyperparameters: logarithms of noise, a, b, t, r_1 ... r_D."""

    def __init__(self, codes: Codes, targets: Floats) -> None:
        self.targets, self.decisions = targets, codes.shape[1]
        sizes = sizes_of(codes) + 1
        self.columns = one_hot(codes, sizes - 1)  # (n, p)
        self.starts = np.cumsum(sizes) - sizes
        self.repeats = sizes
        self.centre = np.concatenate([_CENTRE, np.zeros(self.decisions)])
        self.width = np.concatenate([_WIDTH, np.full(self.decisions, _RELEVANCE_WIDTH)])

    def hyperparameters(self, logarithms: Floats) -> tuple[Kernel, float]:
        """The kernel and the noise."""
        noise, additive, product, rate = np.exp(logarithms[:4])
        relevance = np.exp(logarithms[4:]) / self.decisions
        kernel = Kernel(additive * relevance, SPREAD * rate * relevance, float(product))
        return kernel, float(noise + JITTER)

    def negative_log(self, logarithms: Floats) -> tuple[float, Floats]:
        """Minus the logarithm, up to a constant, and its gradient.

        With G = (K^-1 - K^-1 y y^T K^-1) / 2 the likelihood's part of the derivative to any
        hyperparameter h is sum(G * dK/dh) (Rasmussen and Williams 2006, equation 5.9). dK/dh is
        made of the matches of single decisions, and the sums of all of them are one product
        of matrices (`_matches`).
        """
        kernel, noise = self.hyperparameters(logarithms)
        added, multiplied = self._terms(kernel)
        covariance = added + multiplied
        covariance[np.diag_indices(len(covariance))] += noise
        factor, _ = lapack.dpotrf(covariance, lower=1)
        solved = cho_solve((factor, True), self.targets)
        inverse, _ = lapack.dpotri(factor, lower=1)  # the lower triangle, zeros above
        slope = inverse + inverse.T - np.diag(np.diag(inverse)) - np.outer(solved, solved)
        slope /= 2
        of_product = slope * multiplied
        total = of_product.sum()
        by_weight = kernel.weights * self._matches(slope)
        by_rate = kernel.rates * (self._matches(of_product) - total)
        of_noise = np.trace(slope) * np.exp(logarithms[0])
        common = [of_noise, (slope * added).sum(), total, by_rate.sum()]
        value = self.targets @ solved / 2 + np.log(np.diag(factor)).sum()
        deviation = (logarithms - self.centre) / self.width
        gradient = np.concatenate([common, by_weight + by_rate]) + deviation / self.width
        return float(value + deviation @ deviation / 2), gradient

    def _terms(self, kernel: Kernel) -> tuple[Floats, Floats]:
        """The two terms of the kernel, (n, n) each."""
        weights, rates = (np.repeat(v, self.repeats) for v in (kernel.weights, kernel.rates))
        added = (self.columns * weights) @ self.columns.T
        return added, kernel.multiplied((self.columns * rates) @ self.columns.T)

    def _matches(self, matrix: Floats) -> Floats:
        """The sum of a matrix (n, n) where two agree in a decision, for each: (D,)."""
        by_column = ((matrix @ self.columns) * self.columns).sum(axis=0)
        return np.add.reduceat(by_column, self.starts)
