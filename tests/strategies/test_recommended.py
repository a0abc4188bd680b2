from dataclasses import replace

import numpy as np
import pytest

from attnas.core import History, Objective, Proposal, Trial
from attnas.strategies import Recommended
from attnas.strategies.recommendation import Found, Recommendation
from attnas.strategies.recommended import choose, pending

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


@pytest.fixture
def space(simulation):
    return simulation.space_of(4, 4)


@pytest.fixture
def entry(space):
    """A candidate by its number in the space."""

    def made(number, accuracy, latency_ms, target=None):
        loss = 1 - accuracy
        predicted = {"accuracy": accuracy, "validation_loss": loss, "latency_ms": latency_ms}
        return Recommendation(space.at(number), target or {}, predicted)

    return made


FAST, SLOW = {"latency_ms": 1.0}, {"latency_ms": 2.0}


@pytest.fixture
def found(entry):
    candidates = (
        entry(1, 0.80, 0.95, FAST),
        entry(2, 0.90, 1.90, SLOW),
        entry(3, 0.70, 0.90),
        entry(4, 0.75, 0.70),
        entry(5, 0.85, 1.50),
    )
    return Found((FAST, SLOW), candidates, (entry(8, 0.2, 1.2), entry(9, 0.1, 1.0)))


@pytest.fixture
def strategy(space, found):
    return Recommended(space, OBJECTIVES, 3, 0, found)


def trial(space, number, index, latency_ms, state="complete", accuracy=0.5):
    metrics = {"latency_ms": latency_ms}
    if state == "complete":
        metrics["accuracy"] = accuracy
    return Trial(number, space.at(index), 3, state, metrics)


def proposals(strategy, measured, stop=100):
    """The indices proposed one after the other; what is measured too slow is infeasible."""
    space, finished = strategy.space, []
    while len(finished) < stop:
        proposal = strategy.propose(History(tuple(finished), (), len(finished)))
        if proposal is None:
            break
        index = space.index(proposal.architecture)
        latency, state = measured.get(index, (0.5, "complete"))
        finished.append(trial(space, len(finished), index, latency, state))
    return [space.index(t.architecture) for t in finished]


def test_recommendations_come_first_then_controls_then_the_others(strategy):
    measured = {1: (0.96, "complete"), 2: (1.91, "complete")}
    # 5 and 4 are on the front of loss and latency with 1 and 2; 3 is not
    assert proposals(strategy, measured) == [1, 2, 8, 9, 5, 4, 3]


def test_what_measures_too_slow_is_replaced_under_a_tighter_bound(strategy):
    """1 is off by 20 %: of the next best 4 (0.70) keeps 1 ms if it is off as well; 3 does not."""
    measured = {1: (1.14, "complete"), 2: (1.9, "complete")}
    assert proposals(strategy, measured)[:3] == [1, 4, 2]


def test_what_breaks_a_constraint_as_measured_is_replaced(strategy):
    measured = {1: (0.96, "complete"), 2: (2.1, "infeasible")}
    # 2 is off by 10 %: 5 is predicted to take 1.65 then
    assert proposals(strategy, measured)[:3] == [1, 2, 5]


def test_a_training_that_fails_is_replaced(strategy):
    measured = {1: (0.96, "failed"), 2: (1.9, "complete")}
    assert proposals(strategy, measured)[:3] == [1, 4, 2]


def test_what_breaks_a_bound_on_accuracy_is_replaced_and_not_called_kept(strategy, space):
    broke = replace(trial(space, 0, 1, 0.9), violations={"accuracy >= 0.9": 0.4})
    assert space.index(strategy.propose(History((broke,), (), 1)).architecture) == 4
    assert (
        strategy.closing([broke])[0] == f"Target latency_ms <= 1: {space.at(4)}, not trained yet."
    )


def test_it_says_what_it_cannot_keep(strategy, space):
    finished = [
        trial(space, 0, 1, 1.9, "infeasible"),  # off by a factor of 2: nothing is left
        trial(space, 1, 2, 1.8),
    ]
    asked_fast, asked_slow, reliability = strategy.closing(finished)
    assert asked_fast == (
        "Target latency_ms <= 1: no architecture was found that keeps it; the nearest measures 1.8."
    )
    assert asked_slow == f"Target latency_ms <= 2: {space.at(2)} measures 1.8: kept."
    assert reliability.startswith("Inherited losses were compared with stand-alone training for 1 ")


def test_large_costs_are_written_as_counts(space, entry):
    target = {"params": 20_800.5}
    chosen = Recommendation(
        space.at(1), target, {"accuracy": 0.9, "validation_loss": 0.1, "params": 20_594.0}
    )
    strategy = Recommended(space, OBJECTIVES, 3, 0, Found((target,), (chosen,), ()))
    trained = Trial(0, space.at(1), 3, "complete", {"accuracy": 0.9, "params": 20_594.0})
    line = f"Target params <= 20,800: {space.at(1)} measures 20,594: kept."
    assert strategy.closing([trained])[0] == line


def test_what_was_not_trained_in_the_budget_is_said(strategy, space):
    lines = strategy.closing([trial(space, 0, 1, 0.9)])
    assert lines[1] == f"Target latency_ms <= 2: {space.at(2)}, not trained yet."


def test_what_was_measured_before_is_not_proposed_in_vain(space, found, strategy):
    known = {space.at(1): {"latency_ms": 1.2}, space.at(4): {"latency_ms": 0.7}}
    informed = Recommended(
        space, OBJECTIVES, 3, 0, Found(found.targets, found.candidates, found.controls, known)
    )
    assert proposals(informed, {4: (0.7, "complete"), 2: (1.9, "complete")})[:2] == [4, 2]


def test_in_flight_recommendations_are_waited_for_not_repeated(strategy, space):
    running = (Proposal(space.at(1), 3), Proposal(space.at(2), 3))
    assert strategy.propose(History((), running, 2)) == Proposal(space.at(8), 3)


def test_when_the_supernet_ranks_poorly_stand_alone_results_lead(space, entry):
    """12 architectures whose stand-alone order is the inherited order turned around."""
    controls = tuple(entry(i, i / 20, 1.0) for i in range(12))
    others = (entry(13, 0.9, 1.0), entry(14, 0.8, 1.0))
    strategy = Recommended(space, OBJECTIVES[:1], 3, 0, Found(({},), others, controls))
    reverse = tuple(trial(space, i, i, 1.0, accuracy=1 - i / 20) for i in range(12))
    finished = (*reverse, trial(space, 12, 13, 1.0, accuracy=0.1))
    assert strategy.ranking(finished).ranks_poorly
    drawn = strategy.propose(History(finished, (), 13)).architecture
    best = space.at(0)
    beside = [a for a in space.neighbours(best) if a not in {t.architecture for t in finished}]
    assert drawn in (beside or space.enumerate())
    in_line = tuple(trial(space, i, i, 1.0, accuracy=i / 20) for i in range(12))
    trusting = strategy.propose(History((*in_line, finished[-1]), (), 13))
    assert trusting.architecture == space.at(14)


def test_within_the_constraints_alone_the_first_candidate_is_recommended(space, entry):
    found = Found(({},), (entry(1, 0.3, 1.0), entry(2, 0.9, 1.0)), ())
    assert proposals(Recommended(space, OBJECTIVES, 3, 0, found), {}) == [1, 2]


def test_a_target_takes_its_own_candidates_in_their_order_first(entry, space):
    own = [entry(1, 0.1, 0.9, FAST), entry(2, 0.2, 0.9, FAST)]
    others = [entry(3, 0.9, 0.9)]
    assert choose(FAST, [*others, *own], {}).architecture == space.at(1)
    slow = {space.at(1): {"latency_ms": 1.01}}
    assert choose(FAST, [*others, *own], slow) is None  # 12 % off: 0.9 would be 1.01
    assert pending((FAST,), [*others, *own], slow) == []


def test_pending_are_the_unmeasured_ones_without_repetition(entry, space):
    both = [entry(1, 0.1, 0.9, FAST), entry(1, 0.1, 0.9, SLOW)]
    assert pending((FAST, SLOW), both, {}) == [space.at(1)]
    assert pending((FAST, SLOW), both, {space.at(1): {"latency_ms": 0.9}}) == []


def test_it_draws_nothing_from_global_generators(strategy):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = proposals(strategy, {})
    np.random.seed(5)  # noqa: NPY002
    assert proposals(strategy, {}) == first
    np.random.set_state(("MT19937", np.array(before, dtype=np.uint32), 0))  # noqa: NPY002
