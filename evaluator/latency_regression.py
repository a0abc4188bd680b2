"""The regression behind the latency table.

latency / plain latency = base + sum over the decisions of entry(decision, option) + noise

With tens of entries and few sightings of each, plain least squares would fit the noise.
The entries are therefore not free: each is a sum of what its likes share (of attention the block
by its sites and by the elements that it sees, over all stages; the block in this stage; its
ratio; its placement: `Decision.parts`) and of what is its own, and all of these are shrunk alike
(ridge). An entry seen often is what the measurements say; one seen seldom is near its likes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnas.search_space import Architecture, SearchSpace

Floats = NDArray[np.float64]

_FOLDS = 10
_PENALTIES = np.logspace(-4, 2, 25)


@dataclass(frozen=True)
class Fit:
    """`base` and `entries` (decision after decision, option after option) as ratios to plain."""

    base: float
    entries: Floats
    standard_errors: Floats
    penalty: float


def fit(space: SearchSpace, architectures: Sequence[Architecture], ratios: Floats) -> Fit:
    """Ridge regression; the penalty is the one with the least leave-one-out error.

    The plain backbone, whose ratio is 1 by definition, counts as one measured network more.
    """
    return _fit(_design(space, architectures), _shared(space), np.append(ratios, 1.0))


def cross_validated(
    space: SearchSpace, architectures: Sequence[Architecture], ratios: Floats
) -> Floats:
    """Each network's ratio as predicted by a fit to the networks outside its fold.

    The fit has chosen its penalty without the fold too. NaN for a single network.
    """
    from sklearn.model_selection import PredefinedSplit

    predicted = np.full(len(ratios), np.nan)
    design, shared = _design(space, architectures), _shared(space)
    target = np.append(ratios, 1.0)
    folds = np.arange(len(ratios)) % min(_FOLDS, len(ratios))
    split = PredefinedSplit(np.append(folds, -1))  # the plain backbone is in none of them
    for known, held_out in split.split():
        if len(known) > 1:
            fitted = _fit(design[known], shared, target[known])
            predicted[held_out] = fitted.base + design[held_out] @ fitted.entries
    return predicted


def _design(space: SearchSpace, architectures: Sequence[Architecture]) -> Floats:
    """The encodings of the networks, and of the plain backbone as the last."""
    return np.array([*(space.encode(a) for a in architectures), np.zeros(space.encoded_size)])


def _fit(design: Floats, shared: Floats, target: Floats) -> Fit:
    """What the entries share is shrunk, the base is not.

    The standard errors are those of the posterior of a Gaussian prior whose variance is the
    noise's over the penalty.
    """
    from sklearn.linear_model import RidgeCV

    rows = design @ shared
    ridge = RidgeCV(alphas=_PENALTIES, gcv_mode="svd").fit(rows, target)
    penalty = float(ridge.alpha_)
    centred = rows - rows.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + penalty * np.eye(rows.shape[1]))
    freedom = 1 + float(np.trace(centred @ inverse @ centred.T))
    left = target - ridge.predict(rows)
    noise = float(left @ left) / max(len(target) - freedom, 1.0)
    spread = np.einsum("ij,jk,ik->i", shared, inverse, shared)
    return Fit(
        base=float(ridge.intercept_),
        entries=shared @ ridge.coef_,
        standard_errors=np.sqrt(noise * np.maximum(spread, 0.0)),
        penalty=penalty,
    )


def _shared(space: SearchSpace) -> Floats:
    """What the entries consist of: shape (entries, parts).

    Parts of one kind, such as the elements that blocks see, are scaled to a mean of 1.
    """
    entries = [
        decision.parts(option, space.backbone)
        for decision, options in zip(space.decisions, space.options, strict=True)
        for option in options
    ]
    means = _means(entries)
    names = list(dict.fromkeys(part for entry in entries for part in entry))
    shared = np.zeros((len(entries), max(len(names), 1)))
    for row, entry in zip(shared, entries, strict=True):
        for part, value in entry.items():
            row[names.index(part)] = value / means.get(part[0], 1.0)
    return shared


def _means(entries: Sequence[Mapping[tuple[str, ...], float]]) -> dict[str, float]:
    """The mean size of the parts of each kind."""
    sizes: dict[str, list[float]] = {}
    for entry in entries:
        for part, value in entry.items():
            if value:
                sizes.setdefault(part[0], []).append(abs(value))
    return {kind: float(np.mean(found)) for kind, found in sizes.items()}
