from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import Objective, Trial
from attnas.search_space import Architecture, Backbone, StagePattern
from attnas.strategies.ranking import losses, rank, ranking

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
NOWHERE = Architecture.plain(
    Backbone("formula", (), (3, 32, 32), (10,), (StagePattern("only", (), ()),))
)


def trial(accuracy, latency_ms, violation=0.0, state="complete"):
    metrics = {"accuracy": accuracy, "latency_ms": latency_ms}
    if state == "infeasible":
        del metrics["accuracy"]
    broken = {"latency_ms <= 2": violation} if violation else {}
    return Trial(0, NOWHERE, 1, state, metrics, {}, broken)


numbers = st.integers(0, 4).map(float)
trials = st.lists(
    st.one_of(
        st.builds(trial, numbers, numbers),
        st.builds(trial, numbers, numbers, st.sampled_from((0.1, 0.2))),
        st.builds(trial, numbers, numbers, st.sampled_from((0.1, 0.3)), st.just("infeasible")),
        st.builds(trial, numbers, numbers, state=st.just("failed")),
        st.builds(trial, st.just(float("nan")), numbers),
    ),
    max_size=12,
)


def beats(a, b):
    """Deb's constraint domination, written down."""

    def level(t):
        if t.state == "failed" or np.isnan(t.metrics.get("accuracy", 0)):
            return 2
        return 0 if t.feasible else 1

    if level(a) != level(b):
        return level(a) < level(b)
    if level(a) == 1:
        return a.violation < b.violation
    if level(a) == 2:
        return False
    p, q = ((-t.metrics["accuracy"], t.metrics["latency_ms"]) for t in (a, b))
    return p != q and all(x <= y for x, y in zip(p, q, strict=True))


@given(trials)
def test_ranks_are_what_peeling_off_the_unbeaten_gives(found):
    ranked = ranking(found, OBJECTIVES)
    assert rank(found, OBJECTIVES).tolist() == ranked.rank.tolist()
    left, peeled = set(range(len(found))), 0
    while left:
        unbeaten = {i for i in left if not any(beats(found[j], found[i]) for j in left)}
        assert {i for i in left if ranked.rank[i] == peeled} == unbeaten
        left, peeled = left - unbeaten, peeled + 1


def test_within_a_front_the_lonely_come_first():
    front = [trial(0.1, 1.0), trial(0.2, 1.2), trial(0.3, 1.3), trial(0.9, 3.0)]
    ranked = ranking(front, OBJECTIVES)
    assert ranked.rank.tolist() == [0, 0, 0, 0]
    by_hand = [np.inf, 0.2 / 0.8 + 0.3 / 2, 0.7 / 0.8 + 1.8 / 2, np.inf]
    np.testing.assert_allclose(ranked.crowding, by_hand)
    assert ranked.order.tolist() == [0, 3, 2, 1]
    assert ranked.better(2, 1)
    assert not ranked.better(1, 2)
    assert not ranked.better(0, 3)


def test_with_one_objective_the_order_is_the_values():
    values = [0.3, 0.9, 0.5, 0.9]
    ranked = ranking([trial(v, 1.0) for v in values], OBJECTIVES[:1])
    assert ranked.order.tolist() == [1, 3, 2, 0]
    assert ranked.rank.tolist() == [2, 0, 1, 0]


def test_no_trials_have_an_empty_order():
    assert ranking([], OBJECTIVES).order.tolist() == []


def test_losses_turn_what_is_maximised_and_leave_gaps_open():
    table = losses([trial(0.5, 2.0), trial(0.5, 3.0, 0.5, "infeasible")], OBJECTIVES)
    np.testing.assert_array_equal(table, [[-0.5, 2.0], [np.nan, 3.0]])


@pytest.mark.parametrize("state", ["complete", "failed"])
def test_a_complete_trial_without_a_value_ranks_with_the_failed(state):
    lacking = replace(trial(0.9, 1.0), metrics={"latency_ms": 1.0}, state=state)
    ranked = ranking([lacking, trial(0.1, 9.0, 5.0)], OBJECTIVES)
    assert ranked.rank.tolist() == [1, 0]
