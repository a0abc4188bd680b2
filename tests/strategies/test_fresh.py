from collections import Counter

import numpy as np

from attnas.core import History, Proposal
from attnas.strategies.fresh import fresh, used, with_neighbours


def test_the_first_candidate_that_is_not_used_is_proposed(simulation):
    space, rng = simulation.space_of(3, 3), np.random.default_rng(0)
    history = History(
        (simulation.scored(space.at(0), 0), simulation.scored(space.at(1), 1, bound=0.5)),
        (Proposal(space.at(2), 3),),
        3,
    )
    candidates = [space.at(i) for i in (0, 1, 2, 5, 4)]
    assert fresh(space, history, 3, rng, candidates) == Proposal(space.at(5), 3)


def test_an_architecture_trained_for_fewer_epochs_is_not_used(simulation):
    space = simulation.space_of(3, 3)
    history = History((simulation.scored(space.at(0), 0, epochs=1),))
    assert used(history, 1) == {space.at(0)}
    assert used(history, 3) == frozenset()


def test_a_candidate_outside_the_space_is_passed_over(simulation):
    space = simulation.space_of(3, 1)
    outside = simulation.space_of(3, 3).at(1)
    proposal = fresh(space, History(), 3, np.random.default_rng(0), [outside])
    assert proposal.architecture in space


def test_the_draw_is_uniform_over_what_is_left(simulation):
    """Chi-squared over 300 draws, both while much and while little is left."""
    space = simulation.space_of(3, 4)
    for begun in (4, 9):
        history = History(tuple(simulation.scored(space.at(i), i) for i in range(begun)))
        rng = np.random.default_rng(0)
        drawn = Counter(fresh(space, history, 3, rng).architecture for _ in range(300))
        assert set(drawn) == {space.at(i) for i in range(begun, 12)}
        expected = 300 / (12 - begun)
        assert sum((n - expected) ** 2 / expected for n in drawn.values()) < 20


def test_trials_outside_the_space_do_not_use_it_up(simulation):
    space = simulation.space_of(1, 2)
    others = simulation.space_of(3, 3)
    history = History(tuple(simulation.scored(a, i) for i, a in enumerate(others.enumerate())))
    assert fresh(space, history, 3, np.random.default_rng(0)) is None
    kept = History(history.finished[1:])
    assert fresh(space, kept, 3, np.random.default_rng(0)) == Proposal(space.at(0), 3)


def test_candidates_are_read_no_further_than_needed(simulation):
    space = simulation.space_of(3, 3)

    def candidates():
        yield space.at(1)
        raise AssertionError("read on")

    assert fresh(space, History(), 3, np.random.default_rng(0), candidates()).epochs == 3


def test_the_neighbours_of_a_proposal_differ_from_it_and_come_to_an_end(simulation):
    space = simulation.space_of(3, 3)
    first, *others = with_neighbours(space, space.at(4), np.random.default_rng(0))
    assert first == space.at(4)
    assert set(others) == {a for a in space.enumerate() if space.distance(a, first) == 1}
