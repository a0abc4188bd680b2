from dataclasses import replace

import numpy as np
import pytest

from attnas.core import hypervolume
from attnas.strategies import acquisition
from attnas.strategies.acquisition import hypervolume_improvement, promise
from attnas.strategies.expected_improvement import Forecast, Squeeze
from attnas.strategies.surrogates import Bound, Evidence, Loss, Surrogate

ACCURACY, LATENCY = Loss("accuracy", -1.0), Loss("latency_ms", 1.0)
LOSS = Loss("validation_loss", 1.0)
COUNT = 4  # candidates


def forecast(seed, squeeze=None):
    rng = np.random.default_rng(seed)
    mean, deviation = rng.random(COUNT), 0.1 + rng.random(COUNT) / 3
    return Forecast(mean, deviation, squeeze or Squeeze())


def asked(simulation, wanted, *, limits=(), turn=0, feasible=True, seen=None):
    """The promise of four candidates, given two trials and one in flight."""
    space = simulation.space_of(3, 3)
    broken = {} if feasible else {"accuracy >= 1": 0.5}
    trials = [replace(simulation.scored(space.at(i), i), violations=broken) for i in range(2)]
    evidence = Evidence(space, trials, (0, 1), (), [space.at(2)])
    seen = seen or {}
    surrogates = {
        loss: Surrogate(seen.get(loss, np.array([0.2, 0.6, 0.4])), lambda _, n=n: forecast(n))
        for n, loss in enumerate(dict.fromkeys([*wanted, *(b.loss for b in limits)]))
    }
    codes = np.zeros((COUNT, 2), dtype=np.int64)
    rng = np.random.default_rng(0)
    return promise(codes, evidence, surrogates, wanted, limits, turn, rng)


def test_even_turns_go_for_what_training_tells_and_odd_ones_for_the_hypervolume(simulation):
    wanted = [ACCURACY, LATENCY]
    even, odd = (asked(simulation, wanted, turn=turn) for turn in (0, 1))
    np.testing.assert_allclose(even, forecast(0).improvement(np.array([0.2]))[:, 0])
    points, reference = np.array([[v, v] for v in (0.2, 0.6, 0.4)]), np.array([0.64, 0.64])
    rng = np.random.default_rng(0)
    volume = hypervolume_improvement([forecast(0), forecast(1)], [0], points, reference, rng)
    np.testing.assert_allclose(odd, volume)


def test_several_trained_losses_take_turns(simulation):
    wanted = [ACCURACY, LATENCY, LOSS]
    found = [asked(simulation, wanted, turn=turn) for turn in (0, 2, 4)]
    for turn, which in enumerate((0, 2, 0)):
        expected = forecast(which).improvement(np.array([0.2]))[:, 0]
        np.testing.assert_allclose(found[turn], expected)


def test_one_objective_has_one_improvement(simulation):
    even, odd = (asked(simulation, [ACCURACY], turn=turn) for turn in (0, 1))
    assert even.argmax() == odd.argmax()
    np.testing.assert_allclose(even, odd)


def test_cheap_objectives_alone_have_a_hypervolume_too(simulation):
    wanted = [LATENCY, Loss("params", 1.0)]
    even, odd = (asked(simulation, wanted, turn=turn) for turn in (0, 1))
    np.testing.assert_array_equal(even, odd)
    assert (even > 0).any()


def test_the_probability_to_keep_each_bound_is_a_factor(simulation):
    limits = [Bound(LATENCY, 0.5), Bound(LOSS, 0.3)]
    wanted = [ACCURACY]
    free, bound = asked(simulation, wanted), asked(simulation, wanted, limits=limits)
    factors = forecast(1).probability(0.5) * forecast(2).probability(0.3)
    np.testing.assert_allclose(bound, free * factors)


def test_while_nothing_is_feasible_the_probability_decides(simulation):
    limits = [Bound(LATENCY, 0.1)]  # what is in flight is not expected to keep it either
    found = asked(simulation, [ACCURACY], limits=limits, feasible=False)
    np.testing.assert_allclose(found, forecast(1).probability(0.1))


def test_what_is_in_flight_is_expected_on_the_front_if_it_keeps_the_bounds(simulation):
    seen = {ACCURACY: np.array([0.5, 0.6, 0.1]), LATENCY: np.array([0.2, 0.2, 0.4])}
    for limit, best in ((0.5, 0.1), (0.3, 0.5)):
        limits = [Bound(LATENCY, limit)]
        found = asked(simulation, [ACCURACY, LATENCY], limits=limits, seen=seen)
        chance = forecast(1).probability(limit)
        expected = chance * forecast(0).improvement(np.array([best]))[:, 0]
        np.testing.assert_allclose(found, expected)


def test_a_loss_of_which_nothing_is_known_leaves_the_probability(simulation):
    space = simulation.space_of(3, 3)
    evidence = Evidence(space, (), (), (), ())
    codes = np.zeros((COUNT, 2), dtype=np.int64)
    found = promise(codes, evidence, {}, [ACCURACY], (), 0, np.random.default_rng(0))
    np.testing.assert_array_equal(found, np.ones(COUNT))


def test_of_two_uncertain_losses_one_is_integrated_and_one_drawn(monkeypatch):
    """Against hypervolumes with and without 20,000 draws of both."""
    monkeypatch.setattr(acquisition, "DRAWS", 2000)
    rng = np.random.default_rng(0)
    points, reference = rng.random((4, 3)), np.ones(3)
    forecasts = [forecast(0, Squeeze(0.4, 0.3)), forecast(1), forecast(2)]
    found = hypervolume_improvement(forecasts, [2, 0], points, reference, rng)
    before = hypervolume(points, reference)
    for candidate in range(COUNT):
        gains = []
        for _ in range(5000):
            losses = [forecasts[0].at(rng.standard_normal()), forecasts[1].middle]
            losses.append(forecasts[2].at(rng.standard_normal()))
            added = [loss[candidate] for loss in losses]
            gains.append(hypervolume([*points, added], reference) - before)
        assert found[candidate] == pytest.approx(np.mean(gains), rel=0.1, abs=1e-3)
