from attnas.core import History, Objective, Trial
from attnas.strategies.local_search import Tried

ONE = (Objective("accuracy", "max"),)
TWO = (Objective("accuracy", "max"), Objective("latency_ms", "min"))


def diagonal(space, points):
    return [
        Trial(i, space.at(i * 421), 3, "complete", {"accuracy": a, "latency_ms": ms})
        for i, (a, ms) in enumerate(points)
    ]


def proposals(simulation, space, trials, objectives):
    for seed in range(20):
        strategy = simulation.make("local", space, seed=seed, objectives=objectives, initial=1)
        yield strategy.propose(History(tuple(trials), (), len(trials))).architecture


def test_a_neighbour_of_the_best_is_proposed(simulation):
    space = simulation.space_of(20, 20, 20)
    trials = diagonal(space, [(0.4, 1), (0.9, 2), (0.6, 3)])
    for proposed in proposals(simulation, space, trials, ONE):
        assert space.distance(proposed, trials[1].architecture) == 1


def test_with_two_objectives_neighbours_of_the_whole_front_are_proposed(simulation):
    space = simulation.space_of(20, 20, 20)
    trials = diagonal(space, [(0.4, 1), (0.9, 2), (0.6, 3)])
    found = set()
    for proposed in proposals(simulation, space, trials, TWO):
        found |= {t.number for t in trials if space.distance(proposed, t.architecture) == 1}
    assert found == {0, 1}


def test_a_best_without_untried_neighbours_hands_over_to_the_next(simulation):
    space = simulation.space_of(3, 2)
    best, *around = space.at(0), *space.neighbours(space.at(0))
    trials = [Trial(0, best, 3, "complete", {"accuracy": 0.9, "latency_ms": 1.0})]
    for i, architecture in enumerate(around, start=1):
        metrics = {"accuracy": 0.5 - i / 100, "latency_ms": 2.0}
        trials.append(Trial(i, architecture, 3, "complete", metrics))
    for proposed in proposals(simulation, space, trials, ONE):
        assert proposed not in {t.architecture for t in trials}
        assert space.distance(proposed, trials[1].architecture) == 1


def test_the_start_is_uniform(simulation):
    space = simulation.space_of(20, 20, 20)
    trials = diagonal(space, [(0.4, 1), (0.9, 2)])
    history = History(tuple(trials), (), 2)
    local = simulation.make("local", space, initial=3).propose(history)
    assert local == simulation.make("random", space).propose(history)


def test_only_one_with_an_untried_neighbour_is_left_by_the_count(simulation):
    space = simulation.space_of(4, 3, 2)
    outside = simulation.space_of(5, 3, 2).at(24)  # differs from `centre` in one stage alone
    centre = space.at(0)
    around = space.neighbours(centre)
    assert space.distance(centre, outside) == 1
    assert Tried(space, around).surround(centre)
    assert Tried(space, [centre, *around, space.at(23)]).surround(centre)
    for missing in around:
        others = [a for a in around if a != missing]
        assert not Tried(space, [centre, outside, *others]).surround(centre)
    assert not Tried(space, []).surround(centre)
    assert not Tried(space, around).surround(outside)
