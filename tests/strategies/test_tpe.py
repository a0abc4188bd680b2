from dataclasses import replace

import numpy as np

from attnas.core import History, Objective
from attnas.strategies import tpe

ONE = (Objective("accuracy", "max"),)


def proposed(simulation, space, trials, seeds=range(12)):
    """What as many seeds propose after the trials."""
    return [
        simulation.make("tpe", space, seed=seed, objectives=ONE)
        .propose(History(trials, (), len(trials)))
        .architecture
        for seed in seeds
    ]


def drawn(simulation, space, count, value):
    """Trials drawn uniformly, with this accuracy."""
    rng = np.random.default_rng(0)
    found = {space.sample(rng): None for _ in range(2 * count)}
    scored = (simulation.scored(a, i) for i, a in enumerate(list(found)[:count]))
    return tuple(replace(t, metrics={**t.metrics, "accuracy": value(t)}) for t in scored)


def test_what_the_good_trials_share_is_proposed(simulation):
    """Only the first stage matters; its option 3 is good."""
    space = simulation.space_of(8, 8, 8)
    trials = drawn(simulation, space, 80, lambda t: -abs(simulation.genes(t.architecture)[0] - 3))
    firsts = [simulation.genes(a)[0] for a in proposed(simulation, space, trials)]
    assert firsts.count(3) >= 9  # 1.5 expected by chance


def test_what_broke_a_constraint_is_avoided(simulation):
    """All scores are equal; architectures with a high first option are infeasible."""
    space = simulation.space_of(8, 8, 8)
    equal = drawn(simulation, space, 80, lambda t: -0.5)
    trials = tuple(
        replace(t, state="infeasible", metrics={}, violations={"params <= 1": 0.1})
        if simulation.genes(t.architecture)[0] >= 3
        else t
        for t in equal
    )
    firsts = [simulation.genes(a)[0] for a in proposed(simulation, space, trials)]
    assert sum(first < 3 for first in firsts) >= 9  # 4.5 expected by chance


def test_the_cache_changes_nothing(simulation):
    space = simulation.space_of(6, 6, 6)
    trials = drawn(simulation, space, 40, lambda t: t.metrics["accuracy"])
    strategy = simulation.make("tpe", space, objectives=ONE)
    warm = [strategy.propose(History(trials[:n], (), n)) for n in range(20, 40)]
    cold = []
    for n in range(20, 40):
        tpe._REPLAYED.clear()
        cold.append(strategy.propose(History(trials[:n], (), n)))
    assert warm == cold


def test_the_cache_stays_small(simulation):
    for size in range(2, 9):
        simulation.simulate(simulation.make("tpe", simulation.space_of(size, 3, 3)), 12)
    assert len(tpe._REPLAYED) <= 4


def test_long_histories_keep_the_best_and_the_latest(simulation):
    space = simulation.space_of(9, 9, 9)
    trials = list(drawn(simulation, space, 320, lambda t: t.metrics["accuracy"]))
    assert tpe.modelled(trials[:200], ONE) == trials[:200]
    for count, early in ((201, 150), (249, 150), (250, 200), (320, 250)):
        kept = tpe.modelled(trials[:count], ONE)
        assert kept[100:] == trials[early:count]
        best = sorted(trials[:early], key=lambda t: -t.metrics["accuracy"])[:100]
        assert {t.number for t in kept[:100]} == {t.number for t in best}
        assert [t.number for t in kept] == sorted(t.number for t in kept)


def test_a_long_run_does_not_depend_on_the_cache(simulation):
    space = simulation.space_of(9, 9, 9)
    trials = drawn(simulation, space, 260, lambda t: t.metrics["accuracy"])
    strategy = simulation.make("tpe", space, objectives=ONE)
    warm = [strategy.propose(History(trials[:n], (), n)) for n in range(245, 256)]
    for n in (249, 250, 255):
        tpe._REPLAYED.clear()
        assert strategy.propose(History(trials[:n], (), n)) == warm[n - 245]
