from attnas.core import History


def test_the_space_is_taken_in_order(simulation):
    space = simulation.space_of(3, 1, 4)
    trials = simulation.simulate(simulation.make("grid", space), 100)
    assert [space.index(trial.architecture) for trial in trials] == list(range(12))


def test_a_gap_is_filled_first(simulation):
    space = simulation.space_of(3, 4)
    trials = tuple(simulation.scored(space.at(i), i) for i in (0, 1, 3, 4))
    proposal = simulation.make("grid", space).propose(History(trials, (), 4))
    assert proposal.architecture == space.at(2)
