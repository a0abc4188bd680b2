import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnas.results import (
    Objective,
    crowding,
    front,
    hypervolume,
    hypervolume_over_trials,
    knee,
    non_dominated,
    ranks,
    reference_box,
    share_of_box,
)
from attnas.results.front import best
from attnas.search_space import InputError

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


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


def scored(trial, scores, **changes):
    """Complete trials with these accuracies and latencies."""
    metrics = [dict(zip(("accuracy", "latency_ms"), pair, strict=True)) for pair in scores]
    return [trial(n, metrics=m, **changes) for n, m in enumerate(metrics)]


def test_front_keeps_equal_trials_and_leaves_out_the_infeasible_failed_and_nan(trial):
    trials = scored(trial, [(0.7, 3.0), (0.7, 3.0), (0.6, 3.0), (0.5, 1.0), (math.nan, 0.5)])
    trials.append(trial(5, state="infeasible", metrics={"latency_ms": 0.1}))
    trials.append(trial(6, state="failed", metrics={}))
    trials.append(
        trial(
            7, metrics={"accuracy": 0.9, "latency_ms": 0.1}, violations={"accuracy >= 0.95": 0.05}
        )
    )
    assert [t.number for t in front(trials[::-1], OBJECTIVES)] == [0, 1, 3]
    assert front([], OBJECTIVES) == []


def test_front_names_the_trial_that_lacks_a_metric(trial):
    with pytest.raises(ValueError, match=r"^trial 0 has no metric 'latency_ms'$"):
        front([trial(0, metrics={"accuracy": 0.5})], OBJECTIVES)


def test_the_reference_box_reaches_from_guessing_and_twice_the_plain_cost_to_the_ideal():
    objectives = (
        Objective("accuracy", "max"),
        Objective("validation_loss", "min"),
        Objective("latency_ms", "min"),
        Objective("params", "max"),
    )
    reference, ideal = reference_box(objectives, {"latency_ms": 3.0, "params": 100.0}, classes=4)
    np.testing.assert_allclose(reference, [-0.25, math.log(4), 6.0, 0.0])
    np.testing.assert_allclose(ideal, [-1.0, 0.0, 0.0, -200.0])


def test_the_reference_box_names_the_cost_that_is_not_known():
    with pytest.raises(ValueError, match=r"^the plain backbone has no metric 'flops'$"):
        reference_box((Objective("flops", "min"),), {"latency_ms": 1.0}, classes=4)


def test_share_of_box_is_one_at_the_ideal_and_a_quarter_at_half_of_both():
    assert share_of_box([[-1.0, 0.0]], [0.0, 8.0], [-1.0, 0.0]) == pytest.approx(1.0)
    assert share_of_box([[-0.5, 4.0]], [0.0, 8.0], [-1.0, 0.0]) == pytest.approx(0.25)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.05, 0.3, 0.6, 0.9]),
            st.sampled_from([1.0, 2.0, 3.0, 9.0]),
            st.sampled_from(["complete", "infeasible"]),
        ),
        max_size=10,
    )
)
@settings(max_examples=50)
def test_hypervolume_over_trials_is_that_of_every_beginning(trial, figures):
    trials = [
        trial(n, metrics={"accuracy": a, "latency_ms": ms}, state=state)
        for n, (a, ms, state) in enumerate(figures)
    ]
    reference, ideal = np.array([-0.1, 4.0]), np.array([-1.0, 0.0])
    expected = [
        share_of_box(
            np.array(
                [[-a, ms] for a, ms, state in figures[: n + 1] if state == "complete"]
            ).reshape(-1, 2),
            reference,
            ideal,
        )
        for n in range(len(figures))
    ]
    found = hypervolume_over_trials(trials, OBJECTIVES, reference, ideal)
    np.testing.assert_allclose(found, expected)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize(
    ("at_most", "at_least", "number"),
    [
        (None, None, 0),
        ({"latency_ms": 3.0}, None, 1),
        ({"latency_ms": 2.9}, None, 2),
        (None, {"latency_ms": 3.5}, 0),
        ({"latency_ms": 3.0}, {"accuracy": 0.6}, 1),
    ],
)
def test_best_is_the_most_accurate_within_the_bounds(trial, at_most, at_least, number):
    trials = scored(trial, [(0.9, 4.0), (0.7, 3.0), (0.6, 2.0), (0.6, 2.0)])
    found, nearest = best(trials, OBJECTIVES[:1], at_most, at_least)
    assert (found.number, nearest) == (number, None)


def test_best_gives_the_nearest_when_none_is_within_the_bounds(trial):
    trials = scored(trial, [(0.9, 4.0), (0.7, 3.0), (0.5, 2.9)])
    bounds = {"latency_ms": 2.0}
    # relative excess: 1 + 0.1 / 1 for the first, 0.5 + 0.3 for the second, 0.45 + 0.5 for the last
    found, nearest = best(trials, OBJECTIVES[:1], bounds, {"accuracy": 1.0})
    assert (found, nearest.number) == (None, 1)
    assert best([], OBJECTIVES[:1], bounds) == (None, None)


def test_best_misses_a_bound_on_what_a_trial_does_not_have(trial):
    trials = scored(trial, [(0.9, 4.0)])
    found, nearest = best(trials, OBJECTIVES[:1], {"flops": 1e9})
    assert (found, nearest) == (None, trials[0])


def test_best_refuses_a_bound_on_an_unknown_metric(trial):
    with pytest.raises(
        InputError, match=r"^unknown metric 'latency'\. Did you mean 'latency_ms'\?$"
    ):
        best(scored(trial, [(0.9, 4.0)]), OBJECTIVES[:1], {"latency": 5})


def test_of_equally_accurate_trials_the_one_on_the_front_is_best(trial):
    trials = scored(trial, [(0.9, 4.0), (0.9, 3.0), (0.8, 2.0), (0.9, 3.0)])
    assert best(trials, OBJECTIVES)[0] == trials[1]
    assert trials[1] in front(trials, OBJECTIVES)
