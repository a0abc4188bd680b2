import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import ENOUGH, TRUSTED, RankCorrelation, rank_correlation


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=5, max_size=25))
def test_tau_is_what_counting_pairs_gives(points):
    """Tau-b by its definition: pairs that are tied in one figure count in one root only."""
    signs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a, b in combinations(points, 2)]
    untied = math.sqrt(sum(x != 0 for x, _ in signs) * sum(y != 0 for _, y in signs))
    found = rank_correlation(*zip(*points, strict=True))
    if not untied:
        assert math.isnan(found.tau)
        assert (found.low, found.high) == (-1, 1)
    else:
        assert found.tau == pytest.approx(sum(x * y for x, y in signs) / untied)
        assert -1 <= found.low <= found.high <= 1
    assert found.pairs == len(points)


def test_the_interval_is_that_of_fieller_and_others():
    x = list(range(14))
    y = [1, 0, 2, 4, 3, 6, 5, 9, 7, 8, 10, 13, 12, 11]
    found = rank_correlation(x, y)
    assert found.tau == pytest.approx(1 - 2 * 8 / 91)  # 8 of 91 pairs are discordant
    half = 1.959964 * math.sqrt(0.437 / 10)
    assert math.atanh(found.high) == pytest.approx(math.atanh(found.tau) + half, abs=1e-5)
    assert math.atanh(found.low) == pytest.approx(math.atanh(found.tau) - half, abs=1e-5)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Normal pairs with correlation r: tau is 2 / pi arcsin(r) (Kendall 1949)."""
    rng, r = np.random.default_rng(0), 0.6
    truth, hits = 2 / math.pi * math.asin(r), 0
    for _ in range(400):
        x, noise = rng.normal(size=(2, 15))
        found = rank_correlation(x, r * x + math.sqrt(1 - r * r) * noise)
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_a_perfect_order_of_few_is_not_certain():
    found = rank_correlation(range(10), range(10))
    assert found.tau == pytest.approx(1)
    assert 0.3 < found.low < 1


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_below_five_pairs_nothing_is_known(count):
    found = rank_correlation(range(count), range(count))
    assert (found.low, found.high, found.pairs) == (-1, 1, count)
    assert math.isnan(found.tau) if count < 2 else found.tau == pytest.approx(1)
    assert rank_correlation(range(5), range(5)).low > 0


@pytest.mark.parametrize(
    ("low", "pairs", "trusted"),
    [
        (TRUSTED, ENOUGH, True),
        (TRUSTED - 0.01, ENOUGH, False),
        (TRUSTED, ENOUGH - 1, False),
        (0.9, 99, True),
    ],
)
def test_a_correlation_is_trusted_from_enough_pairs_and_a_whole_interval(low, pairs, trusted):
    assert RankCorrelation(0.95, low, 0.99, pairs).trusted is trusted


def test_figures_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"^2 figures against 3$"):
        rank_correlation([1, 2], [1, 2, 3])
