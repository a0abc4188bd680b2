import numpy as np
import pytest

from attnas.strategies.cost_regression import PENALTIES, fit
from attnas.strategies.gaussian_process import one_hot, sizes_of

SIZES = (3, 4, 2)


def draw(count, seed=0):
    return np.random.default_rng(seed).integers(0, SIZES, size=(count, len(SIZES)))


def sums(codes):
    effects = np.random.default_rng(1).gamma(2.0, size=(3, 4))
    return 5 + effects[np.arange(3), codes].sum(axis=1)


def test_costs_that_add_up_are_predicted():
    regression = fit(draw(40), sums(draw(40)))
    mean, deviation = regression.predict(draw(20, seed=2))
    np.testing.assert_allclose(mean, sums(draw(20, seed=2)), rtol=1e-3)
    assert (deviation < 0.01).all()
    assert not regression.logarithmic


def test_costs_that_multiply_are_predicted_with_a_relative_error():
    regression = fit(draw(40), np.exp(sums(draw(40))))
    mean, deviation = regression.predict(draw(20, seed=2))
    np.testing.assert_allclose(mean, np.exp(sums(draw(20, seed=2))), rtol=1e-2)
    np.testing.assert_allclose(deviation, mean * regression.error)
    assert regression.logarithmic


def test_the_error_is_that_of_refits_without_each():
    """Against ridge regressions by their normal equations, the best penalty of all."""
    codes = draw(15)
    noise = np.random.default_rng(3).normal(size=15)
    costs = sums(codes) - 8 + noise  # some negative: no logarithm
    columns = one_hot(codes, sizes_of(codes))
    errors = []
    for penalty in PENALTIES:
        missed = []
        for left_out in range(15):
            kept = np.delete(np.arange(15), left_out)
            centre, mean = columns[kept].mean(axis=0), costs[kept].mean()
            x = columns[kept] - centre
            weights = np.linalg.solve(
                x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (costs[kept] - mean)
            )
            missed.append(costs[left_out] - mean - (columns[left_out] - centre) @ weights)
        errors.append(np.sqrt(np.mean(np.square(missed))))
    assert fit(codes, costs).error == pytest.approx(min(errors))


def test_an_option_that_was_never_seen_adds_nothing():
    codes = np.array([[0, 0], [0, 1], [1, 0], [-1, 1]])
    regression = fit(codes, np.array([1.0, 2.0, 3.0, 9.0]))
    mean, _ = regression.predict(np.array([[7, 0], [-1, 0], [0, 0]]))
    by_hand = regression.intercept + regression.effects[1, 1]
    assert mean[0] == pytest.approx(by_hand if not regression.logarithmic else np.exp(by_hand))
    assert mean[1] > mean[2]


def test_one_architecture_and_equal_costs_will_do():
    for codes in (np.array([[0, 1]]), np.array([[0, 1], [1, 1], [0, 0]])):
        mean, deviation = fit(codes, np.full(len(codes), 4.0)).predict(np.array([[1, 0]]))
        np.testing.assert_allclose(mean, 4)
        np.testing.assert_allclose(deviation, 0, atol=1e-9)
