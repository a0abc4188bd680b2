import numpy as np

from attnas.core import History, Objective, Trial
from attnas.strategies.nsga2 import tournament
from attnas.strategies.ranking import Ranking

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


def diagonal(simulation, points):
    """Trial i is on the diagonal and has these (accuracy, latency)."""
    space = simulation.space_of(20, 20, 20)
    return space, tuple(
        Trial(i, space.at(i * 421), 3, "complete", {"accuracy": a, "latency_ms": ms})
        for i, (a, ms) in enumerate(points)
    )


def children(simulation, space, trials, **settings):
    for seed in range(40):
        strategy = simulation.make("nsga2", space, seed=seed, **settings)
        yield strategy.propose(History(trials, (), len(trials))).architecture


def test_without_crossover_a_child_is_a_neighbour_of_one_of_the_best(simulation):
    """The front is 1 and 3, the next one 4 and 5; 4 and 5 win only against each other."""
    points = [(0.1, 9), (0.9, 3), (0.2, 8), (0.5, 1), (0.8, 4), (0.4, 2)]
    space, trials = diagonal(simulation, points)
    found = []
    for child in children(simulation, space, trials, population=4, crossover=0):
        near = [t.number for t in trials if space.distance(t.architecture, child) == 1]
        assert len(near) == 1
        found += near
    assert set(found) == {1, 3, 4, 5}
    assert found.count(1) + found.count(3) > 25  # 33 of 40 expected


def test_without_mutation_a_child_has_every_stage_from_one_of_two_parents(simulation):
    """Only where both parents are one trial is it mutated."""
    space, trials = diagonal(simulation, [(0.9, 1), (0.8, 0.5), (0.1, 9)])
    mixed = 0
    for child in children(simulation, space, trials, population=2, crossover=1, mutation=0):
        mother, father = (trials[i].architecture.options for i in (0, 1))
        pairs = zip(child.options, mother, father, strict=True)
        inherited = [own in (m, f) for own, m, f in pairs]
        assert sum(inherited) >= 2
        mixed += all(inherited)
    assert mixed >= 10


def test_the_first_of_the_population_are_drawn_uniformly(simulation):
    space, trials = diagonal(simulation, [(0.9, 1), (0.8, 0.5), (0.1, 9)])
    strategy = simulation.make("nsga2", space, population=4)
    drawn = strategy.propose(History(trials, (), 3)).architecture
    uniform = simulation.make("random", space).propose(History(trials, (), 3)).architecture
    assert drawn == uniform


def test_a_tournament_is_won_by_rank_then_by_crowding():
    ranked = Ranking(np.array([0, 1, 1]), np.array([0.1, 5.0, 0.2]))
    rng = np.random.default_rng(0)
    assert {tournament(np.array([0, 1]), ranked, rng) for _ in range(20)} == {0}
    assert {tournament(np.array([1, 2]), ranked, rng) for _ in range(20)} == {1}
    assert tournament(np.array([2]), ranked, rng) == 2


def test_parents_that_tie_are_both_chosen():
    ranked = Ranking(np.array([0, 0]), np.array([np.inf, np.inf]))
    rng = np.random.default_rng(0)
    assert {tournament(np.array([0, 1]), ranked, rng) for _ in range(20)} == {0, 1}
