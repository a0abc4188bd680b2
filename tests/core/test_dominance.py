import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnas.core import crowding, hypervolume, knee, non_dominated, ranks, share_of_box


def point_sets(values, metrics=(1, 4), most=12):
    """Arrays (n, m) of few distinct values, so that ties and duplicates are the rule."""
    shapes = st.tuples(st.integers(0, most), st.integers(*metrics))
    return shapes.flatmap(lambda shape: arrays(float, shape, elements=st.sampled_from(values)))


def dominates(p, q):
    return all(a <= b for a, b in zip(p, q, strict=True)) and any(
        a < b for a, b in zip(p, q, strict=True)
    )


def slow_front(points):
    known = [not any(map(math.isnan, p)) for p in points]
    others = [p for p, k in zip(points, known, strict=True) if k]
    return [
        k and not any(dominates(q, p) for q in others) for p, k in zip(points, known, strict=True)
    ]


@given(point_sets([0.0, 1.0, 2.0, -3.5, math.inf, -math.inf, math.nan]))
def test_non_dominated_is_what_pairwise_comparison_leaves(points):
    assert non_dominated(points).tolist() == slow_front(points.tolist())


@given(point_sets([0.0, 1.0, 2.0, 3.0, math.nan]))
def test_ranks_peel_one_front_after_the_other(points):
    expected, left, rank = [None] * len(points), list(range(len(points))), 0
    while left:
        mask = slow_front([points[i].tolist() for i in left])
        peeled = [i for i, stays in zip(left, mask, strict=True) if stays] or left
        for i in peeled:
            expected[i] = rank
        left, rank = [i for i in left if i not in peeled], rank + 1
    assert ranks(points).tolist() == expected


def test_crowding_is_the_sum_of_the_scaled_gaps_between_the_neighbours():
    points = [[0.0, 10.0], [1.0, 6.0], [3.0, 4.0], [4.0, 0.0]]
    np.testing.assert_allclose(
        crowding(points), [math.inf, 3 / 4 + 6 / 10, 3 / 4 + 6 / 10, math.inf]
    )


def test_crowding_ignores_an_objective_on_which_all_agree():
    assert crowding([[1.0, 5.0], [1.0, 5.0]]).tolist() == [0.0, 0.0]
    assert crowding([[0.0, 5.0], [1.0, 5.0], [4.0, 5.0]]).tolist() == [math.inf, 1.0, math.inf]


@given(point_sets([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, math.nan, math.inf], metrics=(1, 3), most=8))
@settings(max_examples=60)
def test_hypervolume_counts_the_unit_cells_that_the_points_dominate(points):
    metrics = points.shape[1]
    finite = [p for p in points.tolist() if all(map(math.isfinite, p))]
    cells = itertools.product(range(4), repeat=metrics)
    dominated = sum(
        any(all(a <= c for a, c in zip(p, cell, strict=True)) for p in finite) for cell in cells
    )
    assert hypervolume(points, [4.0] * metrics) == pytest.approx(dominated)


@given(point_sets([0.0, 0.5, 1.0, 2.0, 7.0, 9.0], metrics=(2, 2)).filter(len))
def test_the_knee_of_two_objectives_is_farthest_below_the_line_of_the_extremes(points):
    on_front = points[slow_front(points.tolist())]
    low, high = on_front.min(axis=0), on_front.max(axis=0)
    scaled = (on_front - low) / np.where(high > low, high - low, 1)
    first, last = scaled[scaled[:, 0].argmin()], scaled[scaled[:, 1].argmin()]
    (ax, ay), (bx, by) = first, last
    below = (bx - ax) * (ay - scaled[:, 1]) - (ax - scaled[:, 0]) * (by - ay)
    found = points[knee(points)]
    assert any((found == p).all() for p in on_front[below >= below.max() - 1e-12])


def test_the_knee_of_three_objectives_is_the_balanced_point():
    points = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [0.2, 0.3, 0.2], [0.5, 0.1, 0.5], [2, 2, 2]]
    assert knee(points) == 3


@pytest.mark.parametrize("points", [np.empty((0, 2)), [[math.nan, 1.0]]])
def test_no_knee_without_a_point(points):
    with pytest.raises(ValueError, match=r"^a knee needs at least one finite point$"):
        knee(points)


def test_points_must_be_a_table():
    with pytest.raises(ValueError, match=r"^points must have the shape \(n, m\), not \(3,\)$"):
        non_dominated([1.0, 2.0, 3.0])


def test_share_of_box_is_one_at_the_ideal_and_a_quarter_at_half_of_both():
    assert share_of_box([[-1.0, 0.0]], [0.0, 8.0], [-1.0, 0.0]) == pytest.approx(1.0)
    assert share_of_box([[-0.5, 4.0]], [0.0, 8.0], [-1.0, 0.0]) == pytest.approx(0.25)
