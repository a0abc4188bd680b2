"""What is believed of architectures' true means: from their seeds and from those alike."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from attnas.core import SeedNoise

from . import gaussian_process
from .expected_improvement import Squeeze
from .gaussian_process import JITTER, Codes

Floats = NDArray[np.float64]

PRIOR_DEGREES = 4.0  # so many repeats weigh as much as the guess before them
PRIOR_SHARE = 0.5  # the guess: this much of what the model leaves unexplained is the seeds'


@dataclass(frozen=True)
class TrueMeans:
    """The joint posterior of a loss's true means: normal, of architectures trained or not.

    An architecture's mean is a Gaussian process over decisions plus a deviation of its own, and
    a training adds the noise of its seed. `mean` (n,), `covariance` (n, n), of squeezed losses.
    """

    mean: Floats
    covariance: Floats

    @classmethod
    def of(
        cls, codes: Codes, losses: Floats, trainings: Floats, noise: SeedNoise, asked: Codes
    ) -> "TrueMeans":
        """Of architectures with mean losses (n,) of so many trainings each, then of those asked.

        What the process leaves unexplained is split in the seeds' noise and the architectures'
        own deviations by the noise seen in repeats, shrunk to a guess of half: with d degrees
        of freedom, (d s2 + d0 guess) / (d + d0).
        """
        squeeze = Squeeze.of(losses)
        process = gaussian_process.fit(codes, squeeze.apply(losses))
        unexplained = process.noise * process.scale**2
        guess = PRIOR_SHARE * unexplained
        seen = noise.degrees * noise.variance + PRIOR_DEGREES * guess
        by_seed = seen / (noise.degrees + PRIOR_DEGREES) / process.scale**2
        own = max(process.noise - by_seed * float(np.mean(1 / trainings)), JITTER)
        every = np.concatenate([codes, asked])
        prior = process.kernel(every, every) + own * np.eye(len(every))
        known = len(codes)
        observed = prior[:known, :known] + np.diag(by_seed / trainings)
        factor = np.linalg.cholesky(observed)
        across = solve_triangular(factor, prior[:known], lower=True)
        deviations = (process.targets - process.centre) / process.scale
        standard = solve_triangular(factor, deviations, lower=True)
        return cls(
            process.centre + process.scale * (standard @ across),
            process.scale**2 * (prior - across.T @ across),
        )

    def draw(self, rng: np.random.Generator) -> Floats:
        """One draw of all true means, (n,)."""
        return self.mean + self._factor @ rng.standard_normal(len(self.mean))

    @cached_property
    def _factor(self) -> Floats:
        scale = float(np.diag(self.covariance).mean())
        jitter = (JITTER * scale + np.finfo(float).tiny) * np.eye(len(self.mean))
        return np.asarray(np.linalg.cholesky(self.covariance + jitter))
