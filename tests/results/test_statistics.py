import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import ItemScores
from attnas.results import PairedDifference, SeedDifference, paired_difference, seed_differences
from attnas.results.statistics import difference_to_plain, plain_beside


def right(bits) -> ItemScores:
    """Which items are right."""
    return ItemScores.of("accuracy", np.asarray(bits, dtype=bool))


def measured(values) -> ItemScores:
    """Numbers as scores."""
    return ItemScores.of("dice", np.asarray(values, dtype=float))


def test_a_paired_difference_counts_the_items_that_only_one_gets_right():
    a = [1, 1, 1, 1, 0, 0, 1, 0, 1, 1]
    b = [1, 0, 0, 1, 1, 0, 0, 0, 1, 1]  # a alone: items 1, 2, 6; b alone: item 4
    found = paired_difference(right(a), right(b))
    assert found == PairedDifference((3 - 1) / 10, math.sqrt(3 + 1) / 10, 10)
    assert found.interval == pytest.approx((0.2 - 1.959964 * 0.2, 0.2 + 1.959964 * 0.2))


def test_four_items_to_none_are_a_difference_and_three_are_noise():
    # McNemar's chi-square without correction is (b - c)^2 / (b + c): 4 > 3.84 > 3
    nothing = right([0] * 20)
    assert not paired_difference(right([1] * 4 + [0] * 16), nothing).within_noise
    assert paired_difference(right([1] * 3 + [0] * 17), nothing).within_noise


def test_a_training_does_not_differ_from_itself():
    for scores in (right([1, 0, 1]), measured([0.5, 0.25, 1.0])):
        assert paired_difference(scores, scores) == PairedDifference(0.0, 0.0, 3)
        assert paired_difference(scores, scores).within_noise


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (right([1, 0]), right([1, 0, 1]), "accuracy of 2 items against accuracy of 3"),
        (right([1, 0]), measured([1, 0]), "accuracy of 2 items against dice of 2"),
    ],
)
def test_scores_of_other_items_or_of_another_metric_are_refused(a, b, said):
    with pytest.raises(ValueError, match=f"^{said}$"):
        paired_difference(a, b)


def test_a_paired_difference_of_numbers_has_the_root_mean_square_as_its_error():
    found = paired_difference(measured([0.5, 0.75, 1.0, 0.0]), measured([0.25, 0.75, 0.5, 0.25]))
    assert found.difference == pytest.approx((0.25 + 0.5 - 0.25) / 4)
    assert found.standard_error == pytest.approx(math.sqrt((0.25**2 + 0.5**2 + 0.25**2) / 4) / 2)


def test_zeros_and_ones_differ_alike_whether_kept_as_bits_or_as_numbers():
    a, b = [1, 1, 0, 1, 0, 1, 1], [0, 1, 1, 0, 0, 0, 1]
    assert paired_difference(right(a), right(b)) == paired_difference(measured(a), measured(b))


def test_a_difference_that_is_no_number_is_within_noise():
    unknown = [measured([math.nan, 1.0]), measured([0.5, 1.0])]
    known = [measured([0.25, 0.5])] * 2
    assert paired_difference(unknown[0], known[0]).within_noise
    assert seed_differences(known, [unknown])[0].within_noise


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=70))
def test_a_paired_difference_is_that_of_the_accuracies_and_turns_its_sign(pairs):
    a, b = np.array(pairs).T
    forth = paired_difference(right(a), right(b))
    back = paired_difference(right(b), right(a))
    assert forth.difference == pytest.approx(a.mean() - b.mean())
    assert back.difference == -forth.difference
    assert back.standard_error == forth.standard_error
    per_item = a.astype(float) - b
    assert forth.standard_error >= per_item.std() / math.sqrt(len(pairs)) - 1e-12


def test_paired_intervals_of_95_percent_hold_the_truth_as_often():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(600):
        ease = rng.normal(0.8, 1, 400)
        a = ease + rng.normal(0.15, 0.6, 400) > 0
        b = ease + rng.normal(0, 0.6, 400) > 0
        low, high = paired_difference(right(a), right(b)).interval
        held += low <= _true_gain(0.15) <= high
    assert held / 600 == pytest.approx(0.95, abs=0.02)


def _true_gain(shift: float) -> float:
    """P(N(0.8 + shift, 1 + 0.6^2) > 0) - P(N(0.8, 1 + 0.6^2) > 0)."""
    spread = math.sqrt(2 * (1 + 0.36))
    return (math.erf((0.8 + shift) / spread) - math.erf(0.8 / spread)) / 2


def test_a_trial_is_compared_to_the_plain_backbone_of_its_own_epochs(filled, trial):
    short = trial(5, epochs=2)
    assert difference_to_plain(filled.trials[1], filled.trials) == PairedDifference(
        0.1, math.sqrt(2) / 20, 20
    )
    assert plain_beside(short, filled.trials) is None
    assert difference_to_plain(short, filled.trials) is None
    assert difference_to_plain(filled.trials[2], filled.trials) is None  # was not trained
    fewer = trial(5, scores=right([1, 0] * 8))
    assert difference_to_plain(fewer, filled.trials) is None
    assert difference_to_plain(trial(5, scores=measured([1, 0] * 10)), filled.trials) is None
    assert difference_to_plain(trial(5, scores=None), filled.trials) is None


def test_seed_differences_of_a_worked_example():
    # accuracies of plain 0.50, 0.75 and of the other 1.00, 0.75 on four items
    plain = [right([1, 1, 0, 0]), right([1, 1, 1, 0])]
    other = [right([1, 1, 1, 1]), right([1, 1, 1, 0])]
    [found] = seed_differences(plain, [other])
    # one seed's differences are 0.5 and 0: mean 0.25, variance 0.125
    assert found.difference == 0.25
    assert found.seed_variance == pytest.approx(0.125)
    assert (found.degrees_of_freedom, found.seeds, found.items) == (1, 2, 4)
    # differences by item: seed 1 (0, 0, 1, 1), seed 2 all 0; item means 0, 0, 1/2, 1/2 with
    # variance 1/12, interaction mean square 1/6, so the item component is cut at 0
    assert found.item_variance == 0
    half = 12.7062047 * math.sqrt(0.125 / 2)  # Student's t with one degree of freedom
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_what_every_seed_repeats_is_the_items_share():
    plain, other = right([1, 0, 1, 0] * 5), right([1, 1, 1, 0] * 5)
    [found] = seed_differences([plain] * 3, [[other] * 3])
    differences = np.array([0, 1, 0, 0] * 5)
    assert found.seed_variance == 0
    assert found.item_variance == pytest.approx(differences.var(ddof=1) / 20)
    half = 1.959964 * math.sqrt(found.item_variance)
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_the_seeds_variance_is_pooled_over_the_architectures():
    rng = np.random.default_rng(0)
    bits = rng.random((4, 3, 50)) < 0.7
    plain, *others = [[right(seed) for seed in rows] for rows in bits]
    accuracies = bits.mean(axis=2)
    found = seed_differences(plain, others)
    assert {d.degrees_of_freedom for d in found} == {3 * 2}
    # the mean over all pairs of architectures of the variance of their difference
    pairs = [(i, j) for i in range(4) for j in range(i)]
    variances = [np.var(accuracies[i] - accuracies[j], ddof=1) for i, j in pairs]
    assert {round(d.seed_variance, 12) for d in found} == {round(float(np.mean(variances)), 12)}


def test_seed_differences_refuse_too_few_seeds_and_missing_ones():
    one = right([1, 0])
    with pytest.raises(ValueError, match=r"^a variance over seeds needs at least two seeds$"):
        seed_differences([one], [[one]])
    with pytest.raises(
        ValueError, match=r"^every architecture needs an entry for each of the 2 seeds$"
    ):
        seed_differences([one, one], [[one]])
    assert seed_differences([one, one], []) == []


def test_seed_differences_refuse_scores_of_other_items():
    one, longer = right([1, 0]), right([1, 0, 1])
    with pytest.raises(ValueError, match=r"^the seeds were scored on other items$"):
        seed_differences([one, longer], [[one, one]])
    with pytest.raises(ValueError, match=r"^the scores are of other items$"):
        seed_differences([one, one], [[longer, longer]])


def test_seed_differences_of_numbers_are_those_of_their_means():
    rng = np.random.default_rng(3)
    table = rng.normal(0.5, 0.2, (3, 2, 30)).astype("float32").astype(float)
    plain, *others = [[measured(seed) for seed in rows] for rows in table]
    found = seed_differences(plain, others)
    means = table.mean(axis=(1, 2))
    assert [d.difference for d in found] == pytest.approx([m - means[0] for m in means[1:]])
    assert all(d.items == 30 and d.interval[0] < d.difference < d.interval[1] for d in found)


@pytest.mark.parametrize(("architectures", "seeds"), [(1, 3), (3, 2), (5, 3)])
@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
def test_intervals_over_seeds_and_items_hold_the_truth_at_least_as_often_as_said(
    architectures, seeds, seed_spread
):
    """Items easy for one architecture stay so with every seed; all are equally good."""
    rng = np.random.default_rng(11)
    held, repeats, items = 0, 300, 150
    for _ in range(repeats):
        hits = (
            rng.normal(0.8, 1.2, items)
            + rng.normal(0, 0.6, (architectures + 1, 1, items))
            + rng.normal(0, 0.3, (1, seeds, 1))
            + rng.normal(0, seed_spread, (architectures + 1, seeds, 1))
            + rng.normal(0, 0.8, (architectures + 1, seeds, items))
        ) > 0
        plain, *others = [[right(bits) for bits in rows] for rows in hits]
        low, high = seed_differences(plain, others)[0].interval
        held += low <= 0 <= high
    assert held / repeats >= 0.92  # 0.95 less 2.4 standard errors of the simulation


def test_the_seeds_needed_put_zero_just_outside():
    found = SeedDifference(0.01, 0.0002, 3, 0.0, seeds=2, items=10_000)
    assert found.within_noise
    needed = found.seeds_needed
    assert needed is not None
    with_more = SeedDifference(0.01, 0.0002, 3 * (needed - 1), 0.0, needed, 10_000)
    with_less = SeedDifference(0.01, 0.0002, 3 * (needed - 2), 0.0, needed - 1, 10_000)
    assert not with_more.within_noise
    assert with_less.within_noise


def test_no_number_of_seeds_helps_where_the_items_are_too_few():
    assert SeedDifference(0.01, 0.0001, 3, 0.0001, 2, 100).seeds_needed is None
