from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from attnas.core import History, InputError, Objective, Proposal, SeedNoise, Trial
from attnas.strategies import make_strategy
from attnas.strategies.true_means import TrueMeans

ACCURACY = (Objective("accuracy", "max"),)


def racing(simulation, space, **settings):
    chosen = {"around": "random", "initial": 5, **settings}
    return make_strategy("racing", space=space, objectives=ACCURACY, epochs=3, seed=7, **chosen)


def noisy(simulation, noise):
    """Trainings whose seeds draw around the true accuracy."""

    def evaluate(proposal, number):
        seed = 7 if proposal.seed is None else proposal.seed
        numbers = simulation.genes(proposal.architecture)
        draw = np.random.default_rng((seed, *numbers)).normal()
        value = simulation.accuracy(proposal.architecture) + noise * draw
        return Trial(number, proposal.architecture, 3, "complete", {"accuracy": value}, seed=seed)

    return evaluate


def searched(strategy, evaluate, trainings):
    done = []
    while len(done) < trainings:
        proposal = strategy.propose(History(tuple(done), (), len(done)))
        done.append(evaluate(proposal, len(done)))
    return done


def test_contenders_get_further_seeds_always_the_same_and_at_most_so_many(simulation):
    strategy = racing(simulation, simulation.space_of(6, 6, 6), seeds=3)
    trials = searched(strategy, noisy(simulation, 0.3), 60)
    seeds = {}
    for trial in trials:
        seeds.setdefault(trial.architecture, []).append(trial.seed)
    assert {tuple(own) for own in seeds.values()} == {(7,), (7, 1007), (7, 1007, 2007)}
    assert all(trial.seed == 7 for trial in trials[:5])
    repeated = [a for a, own in seeds.items() if len(own) > 1]
    first = {t.architecture: t.metrics["accuracy"] for t in reversed(trials)}
    assert np.mean([first[a] for a in repeated]) > np.mean(list(first.values()))


def test_without_noise_few_trainings_are_repeats_and_with_noise_many(simulation):
    strategy = racing(simulation, simulation.space_of(6, 6, 6))
    repeats = [
        sum(t.seed != 7 for t in searched(strategy, noisy(simulation, noise), 60))
        for noise in (0.0, 0.5)
    ]
    assert repeats[0] < repeats[1]


def test_the_value_of_what_it_finds_is_closer_to_the_truth(simulation):
    space, evaluate = simulation.space_of(6, 6, 6), noisy(simulation, 0.5)

    def curse(strategy):
        values = {}
        for trial in searched(strategy, evaluate, 60):
            values.setdefault(trial.architecture, []).append(trial.metrics["accuracy"])
        pick = max(values, key=lambda a: np.mean(values[a]))
        return np.mean(values[pick]) - simulation.accuracy(pick)

    plain = {"space": space, "objectives": ACCURACY, "epochs": 3}
    raced, once = (
        np.mean([curse(make_strategy(name, seed=seed, **plain, **more)) for seed in range(8)])
        for name, more in (("racing", {"around": "random"}), ("random", {}))
    )
    assert raced < once / 2


def test_the_strategy_inside_sees_each_architecture_once_with_its_mean(simulation):
    space = simulation.space_of(4, 4)
    trials = [
        replace(simulation.scored(space.at(i), n), seed=seed)
        for n, (i, seed) in enumerate([(0, 7), (1, 7), (1, 1007)])
    ]
    trials[2] = replace(trials[2], metrics={**trials[2].metrics, "accuracy": 0.0})
    failed = Trial(3, space.at(0), 3, "failed", reason="raised", seed=1007)
    seen = []

    class Inside:
        def propose(self, history):
            seen.append(history)
            return Proposal(space.at(5), 3)

    strategy = racing(simulation, space, initial=10)
    strategy.__dict__["inner"] = Inside()
    running = (Proposal(space.at(1), 3, seed=2007), Proposal(space.at(2), 3, seed=7))
    assert strategy.propose(History((*trials, failed), running, 6)) == Proposal(space.at(5), 3)
    [history] = seen
    assert [t.architecture for t in history.finished] == [space.at(0), space.at(1)]
    assert history.finished[1].metrics["accuracy"] == trials[1].metrics["accuracy"] / 2
    assert (history.running, history.next_number) == ((running[1],), 6)


def test_a_seed_that_failed_or_is_in_flight_is_not_given_again(simulation):
    strategy = racing(simulation, simulation.space_of(3, 3, 2), seeds=2)
    evaluate = noisy(simulation, 0.5)

    def failing(proposal, number):
        trial = evaluate(proposal, number)
        return trial if trial.seed == 7 else replace(trial, state="failed", metrics={})

    begun = Counter((t.architecture, t.seed) for t in searched(strategy, failing, 22))
    assert set(begun.values()) == {1}
    flying = simulation.simulate_parallel(strategy, 22, workers=4)
    assert len(set(simulation.begun(flying))) == len(flying)


def test_the_posterior_is_nearer_to_the_model_the_fewer_seeds_there_are():
    """Two architectures of equal mean among four, one of them with many seeds."""
    codes = np.array([[0], [1], [2], [3]])
    losses = np.array([0.0, 0.0, 1.0, 1.2])
    noise = SeedNoise(variance=0.5, degrees=100)
    found = TrueMeans.of(codes, losses, np.array([1.0, 50.0, 1.0, 1.0]), noise, codes[:0])
    assert found.mean[1] < found.mean[0]
    spread = np.sqrt(np.diag(found.covariance))
    assert spread[1] < spread[0]


def test_what_was_never_trained_is_less_certain_than_what_was():
    codes, rng = np.array([[i, j] for i in range(4) for j in range(4)]), np.random.default_rng(0)
    losses = codes.sum(axis=1) + 0.1 * rng.normal(size=16)
    found = TrueMeans.of(codes[:-1], losses[:-1], np.ones(15), SeedNoise(0.01, 20), codes[-1:])
    assert found.covariance[-1, -1] > np.diag(found.covariance)[:-1].max()
    draws = np.array([found.draw(rng) for _ in range(4000)])
    assert draws.mean(axis=0) == pytest.approx(found.mean, abs=0.05)
    assert draws.var(axis=0) == pytest.approx(np.diag(found.covariance), rel=0.15, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"around": "halving"},
            "strategy.around: 'racing' cannot be put around 'halving'. Write another.",
        ),
        (
            {"around": "racing"},
            "strategy.around: 'racing' cannot be put around itself. Write another.",
        ),
        (
            {"around": "lokal"},
            "strategy.around: unknown strategy 'lokal'. Did you mean 'local'? "
            "`attnas strategies` lists all.",
        ),
        (
            {"seeds": 1},
            "strategy.seeds: cannot be 1. Write a whole number from 2 to 1000; the default is 3.",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(simulation, settings, message):
    with pytest.raises(InputError) as caught:
        racing(simulation, simulation.space_of(3), **settings)
    assert str(caught.value) == message


def test_halving_refuses_it_inside(simulation):
    with pytest.raises(InputError, match="'halving' cannot be put around 'racing'"):
        make_strategy(
            "halving",
            space=simulation.space_of(3),
            objectives=ACCURACY,
            epochs=9,
            seed=7,
            around="racing",
            min_epochs=1,
        )
