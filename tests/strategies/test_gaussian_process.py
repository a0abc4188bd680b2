import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import PairwiseKernel

from attnas.strategies.gaussian_process import (
    Density,
    GaussianProcess,
    Kernel,
    fit,
    one_hot,
    sizes_of,
)

KERNEL = Kernel(np.array([0.5, 0.2, 0.1]), np.array([0.7, 1.1, 0.3]), 0.4)


def by_hand(x, y):
    """The kernel's formula, one pair of architectures at a time."""
    added = sum(a for a, p, q in zip(KERNEL.weights, x, y, strict=True) if p == q)
    apart = sum(t for t, p, q in zip(KERNEL.rates, x, y, strict=True) if p != q)
    return added + KERNEL.product * np.exp(-apart)


def draw(rng, count, sizes=(3, 4, 2)):
    return rng.integers(-1, sizes, size=(count, len(sizes)))  # some outside the space


def problem(count=12):
    rng = np.random.default_rng(0)
    return draw(rng, count), rng.normal(size=count), draw(rng, 9)


def test_the_kernel_is_its_formula():
    left, _, right = problem()
    expected = [[by_hand(x, y) for y in right] for x in left]
    np.testing.assert_allclose(KERNEL(left, right), expected)
    np.testing.assert_allclose(np.diag(KERNEL(left, left)), KERNEL.variance)


def test_the_posterior_solves_the_normal_equations():
    codes, targets, asked = problem()
    mean, deviation = GaussianProcess(KERNEL, 0.3, codes, targets, 0.5, 2.0).predict(asked)
    covariance = KERNEL(codes, codes) + 0.3 * np.eye(len(codes))
    across = KERNEL(codes, asked)
    by_solving = np.linalg.solve(covariance, np.column_stack([(targets - 0.5) / 2, across]))
    np.testing.assert_allclose(mean, 0.5 + 2 * across.T @ by_solving[:, 0])
    variance = KERNEL.variance - (across * by_solving[:, 1:]).sum(axis=0)
    np.testing.assert_allclose(deviation, 2 * np.sqrt(variance))


def test_the_posterior_is_that_of_scikit_learn():
    codes, targets, asked = problem()
    kernel = PairwiseKernel(metric=lambda x, y, gamma: by_hand(x, y))
    theirs = GaussianProcessRegressor(kernel, alpha=0.3, optimizer=None).fit(codes, targets)
    mean, deviation = GaussianProcess(KERNEL, 0.3, codes, targets).predict(asked)
    expected = theirs.predict(asked, return_std=True)
    np.testing.assert_allclose(mean, expected[0])
    np.testing.assert_allclose(deviation, expected[1])


def test_the_density_is_the_likelihood_times_the_prior():
    codes, targets, _ = problem()
    density = Density(codes, targets)
    for logarithms in (density.centre, density.centre + np.linspace(-1, 1, len(density.centre))):
        kernel, noise = density.hyperparameters(logarithms)
        covariance = kernel(codes, codes) + noise * np.eye(len(codes))
        likelihood = -targets @ np.linalg.solve(covariance, targets) / 2
        likelihood -= np.linalg.slogdet(covariance)[1] / 2
        prior = -(((logarithms - density.centre) / density.width) ** 2).sum() / 2
        value, gradient = density.negative_log(logarithms)
        assert value == pytest.approx(-likelihood - prior)
        numeric = approx_fprime(logarithms, lambda at: density.negative_log(at)[0])
        np.testing.assert_allclose(gradient, numeric, atol=1e-5)


def test_what_is_explained_is_what_refits_without_each_predict():
    codes, targets, _ = problem()
    process = GaussianProcess(KERNEL, 0.3, codes, targets, float(targets.mean()))
    missed = []
    for left_out in range(len(targets)):
        others = np.delete(np.arange(len(targets)), left_out)
        rest = GaussianProcess(KERNEL, 0.3, codes[others], targets[others], process.centre)
        missed.append(targets[left_out] - rest.predict(codes[[left_out]])[0][0])
    expected = 1 - np.square(missed).sum() / ((targets - process.centre) ** 2).sum()
    assert process.explained == pytest.approx(expected)


def test_what_is_believed_moves_no_mean_and_makes_sure():
    codes, targets, asked = problem()
    process = GaussianProcess(KERNEL, 0.3, codes, targets)
    before, unsure = process.predict(asked)
    after, surer = process.believing(asked[:3]).predict(asked)
    np.testing.assert_allclose(after, before)
    assert (surer[:3] < unsure[:3]).all()
    assert process.believing(asked[:0]) is process


def test_a_sum_of_effects_is_learned_and_the_deciding_decision_found():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, size=(240, 6))
    effects = np.array([3, 1, 1, 1, 1, 0])[:, None] * [-1.5, 0.5, -0.5, 1.5]
    values = effects[np.arange(6), codes].sum(axis=1)
    process = fit(codes[:60], values[:60] + 0.1 * rng.normal(size=60))
    mean, _ = process.predict(codes[60:])
    assert np.corrcoef(mean, values[60:])[0, 1] > 0.99
    assert process.explained > 0.9
    assert process.kernel.weights.argmax() == 0
    assert process.kernel.weights.argmin() == 5


def test_noise_is_told_from_signal():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, size=(80, 4))
    process = fit(codes, rng.normal(size=80))
    assert process.explained < 0.1
    assert process.predict(codes)[0].std() < 0.5


def test_constant_targets_and_few_of_them_are_fitted():
    codes = np.array([[0, 1], [1, 1], [2, 0]])
    for count in (1, 2, 3):
        process = fit(codes[:count], np.full(count, 0.7))
        mean, deviation = process.predict(codes)
        np.testing.assert_allclose(mean, 0.7)
        assert np.isfinite(deviation).all()
        assert process.explained == 0


def test_more_targets_than_are_fitted_all_count():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 6, size=(400, 4))
    targets = rng.normal(size=400)
    process = fit(codes, targets)
    assert len(process.targets) == 400
    assert process.predict(codes)[1].max() < process.predict(np.full((1, 4), 9))[1][0]


def test_one_hot_has_a_column_for_what_is_outside():
    codes = np.array([[0, -1], [2, 1]])
    np.testing.assert_array_equal(sizes_of(codes), [3, 2])
    np.testing.assert_array_equal(
        one_hot(codes, sizes_of(codes)), [[0, 1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 0, 0, 1]]
    )
