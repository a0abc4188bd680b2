import math

import numpy as np
import pytest
from scipy.stats import norm, t, trim_mean
from scipy.stats.mstats import winsorize

from attnas.evaluator.latency.interval import Interval, interval


def covered(draw, *, n, truth=0.0, shared=0.0, repeats=2000):
    """The share of intervals from n values each that contain the truth."""
    rng = np.random.default_rng(n)
    found = [interval(draw(rng, n).tolist(), shared=shared) for _ in range(repeats)]
    return np.mean([one.low <= truth <= one.high for one in found])


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_values_have_the_ordinary_t_interval(n):
    values = np.random.default_rng(0).normal(size=n)
    found = interval(values.tolist())
    low, high = t.interval(0.95, n - 1, values.mean(), values.std(ddof=1) / n**0.5)
    assert (found.centre, found.low, found.high) == pytest.approx((values.mean(), low, high))


@pytest.mark.parametrize("n", [6, 9, 10, 32])
def test_more_values_have_the_interval_of_the_trimmed_mean(n):
    values = np.random.default_rng(0).lognormal(size=n)
    found = interval(values.tolist())
    h = {6: 4, 9: 7, 10: 6, 32: 20}[n]
    squares = (n - 1) * winsorize(values, (0.2, 0.2)).var(ddof=1)
    half = t.ppf(0.975, h - 1) * (squares / (h * (h - 1))) ** 0.5  # Yuen 1974
    assert found.centre == pytest.approx(trim_mean(values, 0.2))
    assert (found.centre - found.low, found.high - found.centre) == pytest.approx((half, half))


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 8, 12, 32])
def test_it_covers_the_mean_of_normal_values_as_often_as_it_says(n):
    # 3 standard errors of 2000 repeats are 1.5 points; Yuen's t is approximate
    assert 0.925 < covered(lambda rng, n: rng.normal(size=n), n=n) < 0.97


@pytest.mark.parametrize("n", [6, 10, 20])
def test_it_covers_the_centre_when_a_tenth_are_outliers(n):
    def contaminated(rng, n):
        return rng.normal(size=n) * np.where(rng.random(n) < 0.1, 10, 1)

    assert covered(contaminated, n=n) > 0.93
    rng = np.random.default_rng(0)
    many = [contaminated(rng, n) for _ in range(500)]
    widths = np.mean([interval(values.tolist()).width for values in many])
    ordinary = np.mean([2 * t.ppf(0.975, n - 1) * v.std(ddof=1) / n**0.5 for v in many])
    assert widths < 0.8 * ordinary


@pytest.mark.parametrize("n", [3, 6, 12, 32])
def test_a_shared_part_is_covered_however_many_values_there_are(n):
    def draw(rng, n):
        return rng.normal(size=n) + 0.5 * rng.normal()

    assert 0.925 < covered(draw, n=n, shared=0.25) < 0.97
    if n >= 12:
        assert covered(draw, n=n) < 0.85


def test_an_outlier_in_five_moves_nothing():
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    assert interval([*values[:-1], 1e9]) == interval(values)


def test_one_value_says_nothing_of_its_error():
    assert interval([2.0]) == Interval(2.0, -math.inf, math.inf)
    assert interval([0.0]).exp(3.0) == Interval(3.0, 0.0, math.inf)


def test_equal_values_leave_no_doubt():
    assert interval([2.0] * 7) == Interval(2.0, 2.0, 2.0)


def test_no_values_are_a_mistake():
    with pytest.raises(ValueError, match="no interval without a value"):
        interval([])


def test_the_exponential_is_taken_of_all_three():
    found = Interval(0.0, -1.0, norm.ppf(0.975)).exp(2.0)
    assert (found.centre, found.low) == (2.0, pytest.approx(2 / math.e))
    assert found.high == pytest.approx(2 * math.exp(1.959963985))
