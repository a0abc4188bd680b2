"""Fronts: who is dominated by nobody, how much of the plane that covers, where it bends."""

import math
from collections.abc import Mapping, Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnas.search_space import Architecture

from .metrics import Objective, metric
from .rungs import longest
from .trial import Trial

Points = NDArray[np.float64]  # (n, m): n points, m objectives, less is better


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Which of the points (n, m), less is better, no other point dominates: mask of shape (n,).

    p dominates q when it is nowhere greater and somewhere less. Equal points all stay; a
    point with a NaN is never on the front and dominates nothing.
    """
    points = _points(points)
    known = np.asarray(~np.isnan(points).any(axis=1))
    if known.any():
        known[known] = moocore.is_nondominated(_places(points[known]), keep_weakly=True)
    return known


def ranks(points: ArrayLike) -> NDArray[np.int64]:
    """Non-dominated sorting: 0 for the front, 1 for the front of what is left, and so on.

    Points of shape (n, m), less is better; those with a NaN come last, together.
    Source: Deb et al. 2002, doi:10.1109/4235.996017, section III-A.
    """
    points = _points(points)
    known = np.asarray(~np.isnan(points).any(axis=1))
    found = np.zeros(len(points), dtype=np.int64)
    if known.any():
        found[known] = moocore.pareto_rank(_places(points[known]))
        found[~known] = found[known].max() + 1
    return found


def crowding(points: ArrayLike) -> Points:
    """Crowding distance of each point of one front (n, m): infinite at the extremes.

    An objective on which all points agree adds nothing, not even extremes. Points must be
    finite. Source: Deb et al. 2002, doi:10.1109/4235.996017, section III-B.
    """
    points = _points(points)
    distance = np.zeros(len(points))
    for values in points.T:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        if len(ordered) == 0 or ordered[-1] == ordered[0]:
            continue
        distance[order[[0, -1]]] = np.inf
        distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / (ordered[-1] - ordered[0])
    return distance


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume that the points (n, m), less is better, dominate up to the reference (m,).

    Points that are not strictly better than the reference in every objective add nothing,
    nor do points with a NaN or an infinity. 0 for no point.
    Source: Zitzler and Thiele 1999, doi:10.1109/4235.797969; computed by moocore.
    """
    points = _points(points)
    reference = np.asarray(reference, dtype=np.float64)
    inside = np.isfinite(points).all(axis=1) & (points < reference).all(axis=1)
    if not inside.any():
        return 0.0
    return float(moocore.hypervolume(points[inside], ref=reference))


def knee(points: ArrayLike) -> int:
    """Index of the front's knee: where giving up a little of one objective costs most of another.

    Each objective is scaled to 0 at its best and 1 at its worst on the front of the points
    (n, m); the knee lies farthest below the plane through the corners at which one objective
    is worst and the others best. With two objectives that is the line between the extremes.
    The first of equals; an objective on which the whole front agrees does not count.
    Source: Das 1999, doi:10.1007/BF01195985 (the bulge over the hull of the extremes).

    Raises:
        ValueError: no point is free of NaN and infinity.
    """
    points = _points(points)
    on_front = np.flatnonzero(non_dominated(points) & np.isfinite(points).all(axis=1))
    if len(on_front) == 0:
        raise ValueError("a knee needs at least one finite point")
    best, worst = points[on_front].min(axis=0), points[on_front].max(axis=0)
    span = np.where(worst > best, worst - best, 1.0)
    return int(on_front[np.argmin(((points[on_front] - best) / span).sum(axis=1))])


def losses(trials: Sequence[Trial], objectives: Sequence[Objective]) -> Points:
    """The objectives of the trials turned so that less is better: (trials, objectives).

    Raises:
        ValueError: a trial lacks a metric; the message names both.
    """
    table = np.empty((len(trials), len(objectives)))
    for row, trial in zip(table, trials, strict=True):
        for column, objective in enumerate(objectives):
            if objective.metric not in trial.metrics:
                raise ValueError(f"trial {trial.number} has no metric {objective.metric!r}")
            row[column] = objective.loss(trial.metrics)
    return table


def front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Feasible trials that no feasible trial dominates, by trial number.

    Of an architecture that was trained for several numbers of epochs its longest training
    counts. Equal trials all stay; a NaN metric keeps a trial off the front.

    Raises:
        ValueError: a feasible trial lacks a metric; the message names both.
    """
    feasible = sorted((t for t in longest(trials) if t.feasible), key=lambda t: t.number)
    mask = non_dominated(losses(feasible, objectives))
    return [trial for trial, stays in zip(feasible, mask, strict=True) if stays]


def reference_box(
    objectives: Sequence[Objective], plain: Mapping[str, float], classes: int
) -> tuple[Points, Points]:
    """The reference and the ideal point of a run's hypervolume, turned so that less is better.

    The box reaches from guessing (accuracy 1 / classes, validation loss ln(classes)) to
    perfection, and from twice the plain backbone's cost to none. It depends on no trial, so
    hypervolumes of runs on one backbone, data set and device can be compared.

    Raises:
        ValueError: `plain` lacks a metric that is neither accuracy nor validation loss.
    """
    bounds = {"accuracy": (1 / classes, 1.0), "validation_loss": (0.0, math.log(classes))}
    reference, ideal = [], []
    for objective in objectives:
        if objective.metric not in bounds and objective.metric not in plain:
            raise ValueError(f"the plain backbone has no metric {objective.metric!r}")
        ends = bounds.get(objective.metric) or (0.0, 2 * plain[objective.metric] or 1.0)
        ends_as_losses = sorted(objective.loss({objective.metric: end}) for end in ends)
        ideal.append(ends_as_losses[0])
        reference.append(ends_as_losses[1])
    return np.array(reference), np.array(ideal)


def share_of_box(points: ArrayLike, reference: ArrayLike, ideal: ArrayLike) -> float:
    """The hypervolume of points (n, m) as a share of the box from reference to ideal (m,)."""
    ideal = np.asarray(ideal, dtype=np.float64)
    scaled = (_points(points) - ideal) / (np.asarray(reference, dtype=np.float64) - ideal)
    return hypervolume(scaled, np.ones(len(ideal)))


def hypervolume_over_trials(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    reference: ArrayLike,
    ideal: ArrayLike,
) -> Points:
    """`share_of_box` of the front after each trial: shape (trials,).

    It falls only where an architecture's longer training takes the place of its shorter one.

    Raises:
        ValueError: a feasible trial lacks a metric; the message names both.
    """
    shares = np.zeros(len(trials))
    most: dict[Architecture, int] = {}
    held: list[Trial] = []
    for index, trial in enumerate(trials):
        shares[index] = shares[index - 1] if index else 0.0
        reached = most.get(trial.architecture, 0)
        if trial.state != "complete" or trial.epochs < reached:
            continue
        most[trial.architecture] = trial.epochs
        # a training that went on leaves a gap that dominated trials may fill
        rivals = trials[:index] if 0 < reached < trial.epochs else held
        grown = front([*rivals, trial], objectives)
        if grown != held:
            held = grown
            shares[index] = share_of_box(losses(held, objectives), reference, ideal)
    return shares


def best(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
) -> tuple[Trial | None, Trial | None]:
    """(best feasible trial within the bounds, feasible trial that misses them by least).

    One of both is None, both when no trial is feasible. A miss is the sum of the relative
    excesses; a bound on a metric that a trial lacks, or has as NaN, is missed by infinity.
    The first objective decides, among equals the next, at last the lower number: so without
    bounds the best is on the front. Of an architecture its longest training counts.

    Raises:
        InputError: a bound is on an unknown metric.
    """
    bounds = [(metric(m).name, value, 1) for m, value in (at_most or {}).items()]
    bounds += [(metric(m).name, value, -1) for m, value in (at_least or {}).items()]
    feasible = [t for t in longest(trials) if t.feasible and _known(t, objectives[0])]
    misses = [_miss(trial, bounds) for trial in feasible]
    within = [t for t, miss in zip(feasible, misses, strict=True) if miss == 0]
    if within:
        return min(within, key=lambda t: [o.loss(t.metrics) for o in objectives]), None
    nearest = min(zip(misses, feasible, strict=True), key=lambda pair: pair[0], default=(0, None))
    return None, nearest[1]


def _known(trial: Trial, objective: Objective) -> bool:
    return math.isfinite(trial.metrics.get(objective.metric, math.nan))


def _miss(trial: Trial, bounds: Sequence[tuple[str, float, int]]) -> float:
    total = 0.0
    for name, bound, sign in bounds:
        value = trial.metrics.get(name, math.nan)
        if math.isnan(value):
            return math.inf
        if sign * (value - bound) > 0:
            total += abs(value - bound) / (abs(bound) or 1.0)
    return total


def _places(points: Points) -> Points:
    """Each value's place among those of its column: dominates alike, but for no infinities.

    With an infinity moocore 0.3.2 gives wrong answers or crashes from three columns on.
    """
    places = [np.unique(column, return_inverse=True)[1] for column in points.T]
    return np.stack(places, axis=1).astype(np.float64)


def _points(points: ArrayLike) -> Points:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"points must have the shape (n, m), not {array.shape}")
    return array
