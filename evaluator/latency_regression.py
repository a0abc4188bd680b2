"""The regression behind the latency table.

latency / plain latency = base + sum over the stages of entry(stage, choice) + noise

With tens of entries and few sightings of each, plain least squares would fit the noise.
The entries are therefore not free: each is a sum of what its likes share (the block by the
units it stands in and by the elements it sees, over all stages; the block in this stage; its
ratio; its placement) and of what is its own, and all of these are shrunk alike (ridge). An
entry seen often is what the measurements say; one seen seldom is near its likes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnas.search_space import NONE, Architecture, Choice, SearchSpace

Floats = NDArray[np.float64]

_FOLDS = 10
_PENALTIES = np.logspace(-4, 2, 25)


@dataclass(frozen=True)
class Fit:
    """`base` and `entries` (stage after stage, option after option) as ratios to plain."""

    base: float
    entries: Floats
    standard_errors: Floats
    penalty: float


def fit(space: SearchSpace, architectures: Sequence[Architecture], ratios: Floats) -> Fit:
    """Ridge regression; the penalty is the one with the least leave-one-out error.

    The plain backbone, whose ratio is 1 by definition, counts as one measured network more.
    """
    shared = _shared(space)
    design = np.array([space.encode(a) for a in architectures] + [np.zeros(space.encoded_size)])
    target = np.append(ratios, 1.0)
    penalty = min(_PENALTIES, key=lambda p: _leave_one_out(design @ shared, target, p))
    return _solve(design, shared, target, float(penalty))


def cross_validated(
    space: SearchSpace, architectures: Sequence[Architecture], ratios: Floats
) -> Floats:
    """Each network's ratio as predicted by a fit to the networks outside its fold.

    The fit has chosen its penalty without the fold too. NaN for a single network.
    """
    predicted = np.full(len(ratios), np.nan)
    folds = np.arange(len(ratios)) % min(_FOLDS, len(ratios))
    for fold in range(folds.max() + 1):
        inside = np.flatnonzero(folds == fold).tolist()
        outside = np.flatnonzero(folds != fold).tolist()
        if not outside:
            break
        fitted = fit(space, [architectures[i] for i in outside], ratios[outside])
        for i in inside:
            predicted[i] = fitted.base + fitted.entries @ space.encode(architectures[i])
    return predicted


def _solve(design: Floats, shared: Floats, target: Floats, penalty: float) -> Fit:
    """The posterior of a Gaussian prior of variance noise / penalty on what is shared.

    The base is not shrunk.
    """
    rows = np.column_stack([np.ones(len(target)), design @ shared])
    shrinkage = np.diag([0.0] + [penalty] * shared.shape[1])
    inverse = np.linalg.pinv(rows.T @ rows + shrinkage, hermitian=True)
    solution = inverse @ rows.T @ target
    freedom = float(np.trace(rows @ inverse @ rows.T))
    left = target - rows @ solution
    noise = float(left @ left) / max(len(target) - freedom, 1.0)
    spread = np.einsum("ij,jk,ik->i", shared, inverse[1:, 1:], shared)
    return Fit(
        base=float(solution[0]),
        entries=shared @ solution[1:],
        standard_errors=np.sqrt(noise * np.maximum(spread, 0.0)),
        penalty=penalty,
    )


def _leave_one_out(rows: Floats, target: Floats, penalty: float) -> float:
    """Sum of squared leave-one-out errors, from one fit: residual / (1 - leverage)."""
    centred = rows - rows.mean(axis=0)  # the base is not shrunk: it takes the means
    kernel = centred @ centred.T
    hat = np.linalg.solve(kernel + penalty * np.eye(len(target)), kernel).T + 1 / len(target)
    errors = (target - hat @ target) / np.maximum(1 - np.diag(hat), 1e-9)
    return float(errors @ errors)


def _shared(space: SearchSpace) -> Floats:
    """What the entries consist of: shape (entries, parts). `none` costs nothing: zeros."""
    numbers: dict[tuple[str, ...], int] = {}
    entries: list[dict[int, float]] = []
    sizes = _sizes(space)
    means = {
        key: float(np.mean([size[key] for size in sizes if size[key]] or [1.0])) for key in (0, 1)
    }
    options = [
        (s, c) for s, allowed in zip(space.stage_names, space.allowed, strict=True) for c in allowed
    ]
    for (stage, choice), size in zip(options, sizes, strict=True):
        parts: dict[tuple[str, ...], float] = {}
        if choice != NONE:
            block, ratio, placement = choice.block, str(choice.ratio), str(choice.placement)
            parts = {
                ("units", block): size[0] / means[0],
                ("elements", block): size[1] / means[1],
                ("stage", stage, block): 1.0,
                ("ratio", stage, block, ratio): 1.0,
                ("placement", stage, block, placement): 1.0,
                ("own", stage, str(choice)): 1.0,
            }
        entries.append({numbers.setdefault(k, len(numbers)): v for k, v in parts.items()})
    shared = np.zeros((len(entries), max(len(numbers), 1)))
    for row, entry in zip(shared, entries, strict=True):
        for number, value in entry.items():
            row[number] = value
    return shared


def _sizes(space: SearchSpace) -> list[tuple[float, float]]:
    """For each entry the number of its sites, and the elements of their maps together."""
    return [
        _size(space, stage, choice)
        for stage, allowed in zip(space.stage_names, space.allowed, strict=True)
        for choice in allowed
    ]


def _size(space: SearchSpace, stage: str, choice: Choice) -> tuple[float, float]:
    found = [unit.get(str(choice.placement)) for unit in space.backbone.sites(stage)]
    sites = [site for site in found if site is not None]
    return float(len(sites)), float(sum(s.channels * s.height * s.width for s in sites))
