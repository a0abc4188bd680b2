"""How much a candidate is expected to improve: exact where one objective is uncertain."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

CELLS = 400  # more are estimated from as many points
_LARGEST = 50.0  # exponent: what lies beyond has no weight


@dataclass(frozen=True)
class Squeeze:
    """A loss with its bad tail compressed: beyond `threshold` it grows with the logarithm.

    z(y) = y up to the threshold t, t + s log(1 + (y - t) / s) beyond, s the `scale`; smooth in
    value and slope. An infinite threshold changes nothing.
    """

    threshold: float = np.inf
    scale: float = 1.0

    @classmethod
    def of(cls, losses: Floats) -> "Squeeze":
        """Beyond the median, at the root mean square distance of the better half from it."""
        middle = float(np.median(losses))
        better = losses[losses <= middle] - middle
        return cls(middle, float(np.sqrt(np.mean(better**2))) or float(losses.std()) or 1.0)

    def apply(self, losses: Floats) -> Floats:
        excess = np.maximum(losses - self.threshold, 0) / self.scale
        return np.where(excess > 0, self.threshold + self.scale * np.log1p(excess), losses)

    def invert(self, squeezed: Floats) -> Floats:
        excess = np.clip((squeezed - self.threshold) / self.scale, 0, _LARGEST)
        return np.where(excess > 0, self.threshold + self.scale * np.expm1(excess), squeezed)


@dataclass(frozen=True)
class Forecast:
    """What is believed of a loss Y of some candidates: z(Y) is normal, (n,) each."""

    mean: Floats
    deviation: Floats
    squeeze: Squeeze = Squeeze()

    @property
    def middle(self) -> Floats:
        """The median of Y."""
        return self.squeeze.invert(self.mean)

    def at(self, deviate: float) -> Floats:
        """Y where the standard normal variable has this value."""
        return self.squeeze.invert(self.mean + deviate * self.deviation)

    def probability(self, bound: float) -> Floats:
        """P(Y <= bound), (n,)."""
        limit = self.squeeze.apply(np.array(bound))
        return np.asarray(ndtr((limit - self.mean) / self.deviation))

    def improvement(self, levels: Floats) -> Floats:
        """E max(level - Y, 0) for each candidate and level (k,): (n, k), exact.

        Where Y = Z it is the usual expected improvement (Jones et al. 1998, "Efficient global
        optimization of expensive black-box functions", equation 15); in the squeezed tail
        Y = t - s + s exp((Z - t) / s), so the expectation is that of a truncated lognormal
        variable.
        """
        t, s = self.squeeze.threshold, self.squeeze.scale
        mean, sd = self.mean[:, None], self.deviation[:, None]
        end = (np.minimum(levels, t) - mean) / sd
        total = (levels - mean) * ndtr(end) + sd * np.exp(-(end**2) / 2) / np.sqrt(2 * np.pi)
        if (levels > t).any():
            last = (self.squeeze.apply(levels) - mean) / sd
            between = np.maximum(ndtr(last) - ndtr(end), 0)
            ratio = sd / s
            growth = np.exp(np.minimum((mean - t) / s + ratio**2 / 2, _LARGEST))
            shifted = np.maximum(ndtr(last - ratio) - ndtr(end - ratio), 0)
            total = total + np.where(
                levels > t, (levels - t + s) * between - s * growth * shifted, 0
            )
        return np.asarray(np.maximum(total, 0))


@dataclass(frozen=True)
class Cells:
    """The space of the known losses up to a reference, in cells of one level of the uncertain.

    In a cell from `lower` to `upper` (cells, m - 1) an uncertain loss below `level` (cells,)
    adds to the front's hypervolume. With no known loss there is one cell, of volume 1.
    Where `share` is given the cells are points, each of which stands for that volume.
    """

    lower: Floats
    upper: Floats
    level: Floats
    share: float | None = None

    @classmethod
    def of(
        cls, front: Floats, reference: Floats, least: Floats, rng: np.random.Generator
    ) -> "Cells":
        """For points (n, m) and a reference (m,), the first loss the uncertain one.

        The cells lie between the points' coordinates. Where these make more than `CELLS`, the
        cells are as many uniform draws between `least` (m - 1,), what the best candidate has of
        each known loss, and the reference: estimates without bias.
        """
        inside = front[(front < reference).all(axis=1)]
        known, limit = inside[:, 1:], reference[1:]
        edges = [
            np.concatenate([[-np.inf], np.unique(column), [end]])
            for column, end in zip(known.T, limit, strict=True)
        ]
        if math.prod(len(e) - 1 for e in edges) <= CELLS:
            lower, upper = _corners([e[:-1] for e in edges]), _corners([e[1:] for e in edges])
            share = None
        else:
            low = np.minimum(least, limit)
            lower = upper = low + (limit - low) * rng.random((CELLS, len(limit)))
            share = float(np.prod(limit - low)) / CELLS
        covered = (known[None] <= lower[:, None]).all(axis=2)  # (cells, n)
        level = np.where(covered, inside[:, 0], reference[0]).min(axis=1, initial=reference[0])
        return cls(lower, upper, level, share)

    def volumes(self, known: Floats) -> Floats:
        """What candidates with these known losses (n, m - 1) dominate of each cell: (n, cells)."""
        if self.share is not None:
            return self.share * np.asarray((known[:, None] <= self.upper).all(axis=2), dtype=float)
        sides = self.upper - np.maximum(self.lower, known[:, None])
        return np.asarray(np.maximum(sides, 0).prod(axis=2))


def _corners(columns: Sequence[Floats]) -> Floats:
    """Every combination of one number of each column: (combinations, columns)."""
    corners = list(product(*columns))
    return np.array(corners, dtype=float).reshape(len(corners), len(columns))
