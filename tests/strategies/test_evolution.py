import numpy as np

from attnas.core import History, Objective, Trial
from attnas.strategies.evolution import living

ONE = (Objective("accuracy", "max"),)


def diagonal(simulation, accuracies, states=()):
    """Trial i is on the diagonal: no two are neighbours, so a child shows its parent."""
    space = simulation.space_of(20, 20, 20)
    trials = []
    for i, accuracy in enumerate(accuracies):
        architecture = space.at(i * (400 + 20 + 1))
        state = states[i] if states else "complete"
        metrics = {"accuracy": accuracy} if state == "complete" else {}
        broken = {"latency_ms <= 1": 0.5 - i / 100} if state == "infeasible" else {}
        trials.append(Trial(i, architecture, 3, state, metrics, {}, broken))
    return space, tuple(trials)


def parents(simulation, space, trials, **settings):
    """The trials that 40 children of as many seeds came from."""
    found = []
    for seed in range(40):
        strategy = simulation.make("evolution", space, seed=seed, objectives=ONE, **settings)
        child = strategy.propose(History(trials, (), len(trials))).architecture
        found += [t.number for t in trials if space.distance(t.architecture, child) == 1]
    assert len(found) == 40
    return found


def test_only_the_last_of_the_population_become_parents(simulation):
    """The first two are by far the best, and too old."""
    space, trials = diagonal(simulation, [0.9, 0.99, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = parents(simulation, space, trials, population=6, tournament=2)
    assert set(found) <= {2, 3, 4, 5, 6, 7}
    assert np.mean(found) > 5  # of two drawn the better: 5.66 expected, 4.5 by chance


def test_a_tournament_of_the_whole_population_is_won_by_the_best(simulation):
    space, trials = diagonal(simulation, [0.5, 0.1, 0.8, 0.3, 0.2, 0.7])
    assert set(parents(simulation, space, trials, population=6, tournament=6)) == {2}


def test_what_broke_a_constraint_is_no_parent_once_there_are_enough_trained(simulation):
    states = ["complete", "infeasible", "complete", "infeasible", "complete", "infeasible"]
    space, trials = diagonal(simulation, [0.1] * 6, states)
    found = parents(simulation, space, trials, population=3, tournament=1)
    assert set(found) == {0, 2, 4}


def test_while_nothing_is_trained_the_least_violation_leads(simulation):
    space, trials = diagonal(simulation, [0.0] * 5, ["infeasible"] * 5)
    assert set(parents(simulation, space, trials, population=5, tournament=5)) == {4}


def test_the_living_are_the_last_trained_filled_up_with_the_last_others(simulation):
    states = ["complete", "failed", "infeasible", "complete", "infeasible"]
    _, trials = diagonal(simulation, [0.1] * 5, states)
    history = History(trials, (), 5)
    assert [t.number for t in living(history, 1)] == [3]
    assert [t.number for t in living(history, 2)] == [0, 3]
    assert [t.number for t in living(history, 3)] == [0, 3, 4]
    assert [t.number for t in living(history, 9)] == [0, 3, 1, 2, 4]
