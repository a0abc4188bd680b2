"""Points that are dominated by nobody: ranks, the volume that they cover, where they bend."""

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]
"""(n, m): n points, m objectives, less is better."""


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


def share_of_box(points: ArrayLike, reference: ArrayLike, ideal: ArrayLike) -> float:
    """The hypervolume of points (n, m) as a share of the box from reference to ideal (m,)."""
    ideal = np.asarray(ideal, dtype=np.float64)
    scaled = (_points(points) - ideal) / (np.asarray(reference, dtype=np.float64) - ideal)
    return hypervolume(scaled, np.ones(len(ideal)))


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
