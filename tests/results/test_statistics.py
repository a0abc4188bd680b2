import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_rel

from attnas.core import ItemScores
from attnas.results import differences_to_plain, holm, paired_difference, seed_difference
from attnas.results.statistics import plain_beside
from attnas.search_space import Architecture


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
    assert (found.difference, found.standard_error, found.items) == ((3 - 1) / 10, 0.2, 10)
    assert found.p_value == pytest.approx(binomtest(1, 4).pvalue)
    half = 2.262157 * 0.2  # Student's t with nine degrees of freedom
    assert found.interval == pytest.approx((0.2 - half, 0.2 + half))


@pytest.mark.parametrize(("more", "less", "noise"), [(5, 0, True), (6, 0, False), (9, 2, True)])
def test_few_items_are_judged_by_the_exact_test(more, less, noise):
    # 2 / 2^5 = 0.0625, 2 / 2^6 = 0.03125, 2 (1 + 11 + 55) / 2^11 = 0.0654
    a = right([1] * more + [0] * (less + 20))
    b = right([0] * more + [1] * less + [0] * 20)
    found = paired_difference(a, b)
    assert found.p_value == pytest.approx(binomtest(less, more + less).pvalue)
    assert found.within_noise is noise


def test_the_p_value_of_numbers_is_that_of_the_paired_t_test():
    rng = np.random.default_rng(7)
    a, b = rng.normal(0.5, 0.1, (2, 12)).astype("float32")
    found = paired_difference(measured(a), measured(b))
    assert found.p_value == pytest.approx(ttest_rel(a.astype(float), b.astype(float)).pvalue)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=8))
def test_corrected_p_values_are_those_of_holms_procedure(p_values):
    corrected = holm(p_values)
    known = [1.0 if math.isnan(p) else p for p in p_values]
    assert all(c >= p and c <= 1 for p, c in zip(known, corrected, strict=True))
    rejected = 0  # step by step, as Holm has it
    for rank, p in enumerate(sorted(known)):
        if p > 0.05 / (len(known) - rank):
            break
        rejected += 1
    assert sum(c <= 0.05 for c in corrected) == pytest.approx(rejected, abs=1e-9)


def test_a_training_does_not_differ_from_itself():
    for scores in (right([1, 0, 1]), measured([0.5, 0.25, 1.0])):
        found = paired_difference(scores, scores)
        assert (found.difference, found.standard_error, found.p_value) == (0, 0, 1)
        assert found.within_noise


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
    bits, numbers = (
        paired_difference(right(a), right(b)),
        paired_difference(measured(a), measured(b)),
    )
    assert bits.difference == numbers.difference
    assert bits.standard_error == numbers.standard_error


def test_a_difference_that_is_no_number_is_within_noise():
    unknown = [measured([math.nan, 1.0]), measured([0.5, 1.0])]
    known = [measured([0.25, 0.5])] * 2
    assert paired_difference(unknown[0], known[0]).within_noise
    assert seed_difference(unknown, known).within_noise


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
    found = differences_to_plain([*filled.trials, short])
    assert found[1].difference == pytest.approx(0.1)
    assert found[1].standard_error == pytest.approx(math.sqrt(2) / 20)
    assert found[0].difference == 0
    assert plain_beside(short, filled.trials) is None
    assert set(found) == {t.number for t in filled.trials if t.state == "complete"}
    for scores in (right([1, 0] * 8), measured([1, 0] * 10), None):
        assert 5 not in differences_to_plain([*filled.trials, trial(5, scores=scores)])


def test_the_best_of_many_equal_trials_is_seldom_marked(trial, values):
    """At most 5 % of runs mark any of 20 trials that differ from the plain backbone by chance."""
    rng = np.random.default_rng(3)
    plain = Architecture.plain(values["backbone"], values["decisions"])
    marked = 0
    for _ in range(300):
        bits = rng.random((21, 200)) < 0.7
        trials = [trial(0, architecture=plain, scores=right(bits[0]))]
        trials += [trial(n, scores=right(bits[n])) for n in range(1, 21)]
        found = differences_to_plain(trials)
        marked += any(not found[n].within_noise for n in range(1, 21))
    assert marked / 300 <= 0.05
