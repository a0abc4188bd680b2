from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from attnas.core import hypervolume
from attnas.strategies import expected_improvement
from attnas.strategies.expected_improvement import Cells, Forecast, Squeeze

reals = st.floats(-5, 5)
widths = st.floats(0.05, 2)
squeezes = st.builds(Squeeze, st.one_of(reals, st.just(np.inf)), st.floats(0.5, 2))


@given(squeeze=squeezes, loss=reals)
def test_what_is_squeezed_comes_back_and_keeps_its_order(squeeze, loss):
    squeezed = squeeze.apply(np.array([loss, loss + 0.1]))
    assert squeezed[0] < squeezed[1]
    np.testing.assert_allclose(squeeze.invert(squeezed), [loss, loss + 0.1], atol=1e-9)
    assert (squeezed <= np.array([loss, loss + 0.1]) + 1e-12).all()


def test_the_bad_half_is_squeezed_and_the_good_half_kept():
    losses = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    squeezed = Squeeze.of(losses).apply(losses)
    np.testing.assert_array_equal(squeezed[:3], losses[:3])
    assert 3 < squeezed[3] < 4
    assert squeezed[4] < 13
    assert np.isfinite(Squeeze.of(np.zeros(3)).apply(np.array([0.0, 1.0]))).all()
    assert Squeeze.of(np.array([0.0, 0.0, 0.0, 8.0])).scale > 0  # the better half agrees


@given(squeeze=squeezes, mean=reals, deviation=widths, level=reals)
def test_the_improvement_is_its_integral(squeeze, mean, deviation, level):
    """Against quadrature over the normal variable."""

    def integrand(deviate):
        loss = squeeze.invert(np.array(mean + deviate * deviation))
        return max(level - loss, 0) * norm.pdf(deviate)

    kinks = [(squeeze.apply(np.array(level)) - mean) / deviation]
    kinks += [(squeeze.threshold - mean) / deviation] if np.isfinite(squeeze.threshold) else []
    inside = sorted(float(k) for k in kinks if abs(k) < 10) or None
    expected, _ = quad(integrand, -10, 10, points=inside, limit=200)
    forecast = Forecast(np.array([mean]), np.array([deviation]), squeeze)
    found = forecast.improvement(np.array([level]))
    np.testing.assert_allclose(found, [[expected]], rtol=1e-5, atol=1e-7)


@given(squeeze=squeezes, mean=reals, deviation=widths, deviate=st.floats(-3, 3))
def test_the_probability_of_a_quantile_is_its_own(squeeze, mean, deviation, deviate):
    forecast = Forecast(np.array([mean]), np.array([deviation]), squeeze)
    bound = float(forecast.at(deviate)[0])
    np.testing.assert_allclose(forecast.probability(bound), norm.cdf(deviate), atol=1e-6)
    np.testing.assert_allclose(forecast.probability(float(forecast.middle[0])), 0.5, atol=1e-6)


def exact(front, reference, known, forecast, rng):
    cells = Cells.of(front, reference, known.min(axis=0), rng)
    return (cells.volumes(known) * forecast.improvement(cells.level)).sum(axis=1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_expected_hypervolume_improvement_is_that_of_draws(count):
    """Against hypervolumes with and without each of 4,000 draws of the uncertain loss."""
    rng = np.random.default_rng(count)
    front, known = rng.random((5, count)), rng.random((3, count - 1))
    reference = np.ones(count) * 0.9  # some points lie outside
    forecast = Forecast(np.array([0.2, 0.5, 0.8]), np.array([0.1, 0.3, 0.2]), Squeeze(0.5, 0.2))
    found = exact(front, reference, known, forecast, rng)
    before = hypervolume(front, reference)
    for candidate, costs in enumerate(known):
        deviates = norm.ppf((np.arange(4000) + 0.5) / 4000)
        draws = np.array([forecast.at(deviate)[candidate] for deviate in deviates])
        gains = [hypervolume([*front, [loss, *costs]], reference) - before for loss in draws]
        assert found[candidate] == pytest.approx(np.mean(gains), rel=0.01, abs=1e-5)


@given(
    points=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=6),
    cost=st.integers(0, 9),
    mean=st.floats(0, 9),
)
def test_two_losses_are_cut_into_the_strips_of_the_front(points, cost, mean):
    """Against a sum over strips of cost, written for two losses; with ties and dominated points."""
    front, reference = np.array(points, dtype=float).reshape(-1, 2), np.array([8.0, 8.0])
    forecast = Forecast(np.array([mean]), np.array([1.5]))
    edges = sorted({float(cost), 8.0, *(c for _, c in points if cost < c < 8)})
    expected = 0.0
    for left, right in pairwise(edges):
        if cost <= left:
            level = min([8.0, *(loss for loss, c in points if c <= left and loss < 8)])
            expected += (right - left) * float(forecast.improvement(np.array([level]))[0, 0])
    known = np.array([[float(cost)]])
    found = exact(front, reference, known, forecast, np.random.default_rng(0))
    np.testing.assert_allclose(found, [expected], atol=1e-9)


def test_where_there_are_too_many_cells_draws_estimate_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    front, known = rng.random((6, 3)), rng.random((4, 2)) / 2
    forecast = Forecast(np.full(4, 0.3), np.full(4, 0.2))
    reference = np.ones(3)
    right = exact(front, reference, known, forecast, rng)
    monkeypatch.setattr(expected_improvement, "CELLS", 20)
    estimates = [exact(front, reference, known, forecast, rng) for _ in range(800)]
    np.testing.assert_allclose(np.mean(estimates, axis=0), right, rtol=0.05)


def test_no_point_and_no_known_loss_are_one_cell():
    cells = Cells.of(np.zeros((0, 1)), np.array([2.0]), np.zeros(0), np.random.default_rng(0))
    np.testing.assert_array_equal(cells.level, [2.0])
    np.testing.assert_array_equal(cells.volumes(np.zeros((3, 0))), np.ones((3, 1)))
