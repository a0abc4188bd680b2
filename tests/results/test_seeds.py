import math

import numpy as np
import pytest

from attnas.results import SeedDifference, seed_difference

from .test_statistics import measured, right


def test_a_seed_difference_of_a_worked_example():
    # accuracies of plain 0.50, 0.75 and of the other 1.00, 0.75 on four items
    plain = [right([1, 1, 0, 0]), right([1, 1, 1, 0])]
    other = [right([1, 1, 1, 1]), right([1, 1, 1, 0])]
    found = seed_difference(other, plain)
    # one seed's differences are 0.5 and 0: mean 0.25, variance 0.125
    assert found.difference == 0.25
    assert found.seed_variance == pytest.approx(0.125)
    assert (found.seeds, found.items) == (2, 4)
    # differences by item: seed 1 (0, 0, 1, 1), seed 2 all 0; item means 0, 0, 1/2, 1/2 with
    # variance 1/12, interaction mean square 1/6, so the item component is cut at 0
    assert found.item_variance == 0
    half = 12.7062047 * math.sqrt(0.125 / 2)  # Student's t with one degree of freedom
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_what_every_seed_repeats_is_the_items_share():
    plain, other = right([1, 0, 1, 0] * 5), right([1, 1, 1, 0] * 5)
    found = seed_difference([other] * 3, [plain] * 3)
    differences = np.array([0, 1, 0, 0] * 5)
    assert found.seed_variance == 0
    assert found.item_variance == pytest.approx(differences.var(ddof=1) / 20)
    half = 1.959964 * math.sqrt(found.item_variance)
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_another_level_widens_the_interval():
    plain, other = right([1, 0, 1, 0] * 5), right([1, 1, 1, 0] * 5)
    half = [
        np.ptp(seed_difference([other] * 3, [plain] * 3, level).interval) / 2
        for level in (0.05, 0.01)
    ]
    assert half[1] / half[0] == pytest.approx(2.575829 / 1.959964)


def test_too_few_seeds_and_missing_ones_are_refused():
    one = right([1, 0])
    with pytest.raises(ValueError, match=r"^a variance over seeds needs at least two seeds$"):
        seed_difference([one], [one])
    with pytest.raises(ValueError, match=r"^1 seeds against 2: both need an entry for each seed$"):
        seed_difference([one], [one, one])


def test_scores_of_other_items_are_refused():
    one, longer = right([1, 0]), right([1, 0, 1])
    with pytest.raises(ValueError, match=r"^the seeds were scored on other items$"):
        seed_difference([one, one], [one, longer])
    with pytest.raises(ValueError, match=r"^the scores are of other items$"):
        seed_difference([longer, longer], [one, one])


def test_a_difference_of_numbers_is_that_of_their_means():
    table = np.random.default_rng(3).normal(0.5, 0.2, (2, 3, 30)).astype("float32")
    a, b = ([measured(seed) for seed in rows] for rows in table)
    found = seed_difference(a, b)
    means = table.astype(float).mean(axis=(1, 2))
    assert found.difference == pytest.approx(means[0] - means[1])
    assert found.interval[0] < found.difference < found.interval[1]


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("own", [1, 4])
def test_intervals_hold_the_truth_at_least_as_often_as_said(seeds, seed_spread, own):
    """Items easy for one stay so with every seed; a seed moves the one `own` times the other."""
    rng = np.random.default_rng(11)
    held, repeats, items = 0, 300, 150
    spread = np.array([1, own])[:, None, None] * seed_spread
    for _ in range(repeats):
        hits = (
            rng.normal(0.8, 1.2, items)
            + rng.normal(0, 0.6, (2, 1, items))
            + rng.normal(0, 0.3, (1, seeds, 1))
            + rng.normal(0, 1, (2, seeds, 1)) * spread
            + rng.normal(0, 0.8, (2, seeds, items))
        )
        plain, other = ([measured(row) for row in rows] for rows in hits)
        low, high = seed_difference(other, plain).interval
        held += low <= 0 <= high
    assert held / repeats >= 0.92  # 0.95 less 2.4 standard errors of the simulation


def test_the_seeds_needed_put_zero_just_outside():
    found = SeedDifference(0.01, 0.0002, 0.0, seeds=2, items=10_000)
    assert found.within_noise
    needed = found.seeds_needed
    assert needed is not None
    assert not SeedDifference(0.01, 0.0002, 0.0, needed, 10_000).within_noise
    assert SeedDifference(0.01, 0.0002, 0.0, needed - 1, 10_000).within_noise


def test_no_number_of_seeds_helps_where_the_items_are_too_few():
    assert SeedDifference(0.01, 0.0001, 0.0001, 2, 100).seeds_needed is None
