import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.core import InputError, Objective, share_of_box
from attnas.results import front, hypervolume_over_trials, reference_box
from attnas.results.front import best

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


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
    ends = {"accuracy": (0.25, 1.0), "validation_loss": (math.log(4), 0.0)}
    reference, ideal = reference_box(objectives, {"latency_ms": 3.0, "params": 100.0}, ends)
    np.testing.assert_allclose(reference, [-0.25, math.log(4), 6.0, 0.0])
    np.testing.assert_allclose(ideal, [-1.0, 0.0, 0.0, -200.0])


def test_the_reference_box_names_the_cost_that_is_not_known():
    with pytest.raises(ValueError, match=r"^the plain backbone has no metric 'flops'$"):
        reference_box((Objective("flops", "min"),), {"latency_ms": 1.0}, {})


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
