import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.results import PairedDifference, SeedDifference, paired_difference, seed_differences
from attnas.results.statistics import difference_to_plain, plain_beside, unpack


def packed(bits) -> bytes:
    return np.packbits(np.asarray(bits, dtype=bool)).tobytes()


def test_a_paired_difference_counts_the_images_that_only_one_gets_right():
    a = [1, 1, 1, 1, 0, 0, 1, 0, 1, 1]
    b = [1, 0, 0, 1, 1, 0, 0, 0, 1, 1]  # a alone: images 1, 2, 6; b alone: image 4
    found = paired_difference(packed(a), packed(b), 10)
    assert found == PairedDifference((3 - 1) / 10, math.sqrt(3 + 1) / 10, 10)
    assert found.interval == pytest.approx((0.2 - 1.959964 * 0.2, 0.2 + 1.959964 * 0.2))


def test_four_images_to_none_are_a_difference_and_three_are_noise():
    # McNemar's chi-square without correction is (b - c)^2 / (b + c): 4 > 3.84 > 3
    nothing = packed([0] * 20)
    assert not paired_difference(packed([1] * 4 + [0] * 16), nothing, 20).within_noise
    assert paired_difference(packed([1] * 3 + [0] * 17), nothing, 20).within_noise


def test_a_training_does_not_differ_from_itself():
    bits = packed([1, 0, 1])
    assert paired_difference(bits, bits, 3) == PairedDifference(0.0, 0.0, 3)
    assert paired_difference(bits, bits, 3).within_noise


@pytest.mark.parametrize("images", [0, 8, 17])
def test_bits_that_do_not_fit_the_images_are_refused(images):
    with pytest.raises(ValueError, match=f"2 bytes cannot hold one bit for each of {images}"):
        paired_difference(b"ab", b"ab", images)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=70))
def test_a_paired_difference_is_that_of_the_accuracies_and_turns_its_sign(pairs):
    a, b = np.array(pairs).T
    forth = paired_difference(packed(a), packed(b), len(pairs))
    back = paired_difference(packed(b), packed(a), len(pairs))
    assert forth.difference == pytest.approx(a.mean() - b.mean())
    assert back.difference == -forth.difference
    assert back.standard_error == forth.standard_error
    per_image = a.astype(float) - b
    assert forth.standard_error >= per_image.std() / math.sqrt(len(pairs)) - 1e-12


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_unpacking_gives_back_what_was_packed(bits):
    assert unpack(packed(bits), len(bits)).tolist() == bits


def test_paired_intervals_of_95_percent_hold_the_truth_as_often():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(600):
        ease = rng.normal(0.8, 1, 400)
        a = ease + rng.normal(0.15, 0.6, 400) > 0
        b = ease + rng.normal(0, 0.6, 400) > 0
        low, high = paired_difference(packed(a), packed(b), 400).interval
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
    assert difference_to_plain(trial(5, correct=b"ab", validation_images=16), filled.trials) is None


def test_seed_differences_of_a_worked_example():
    # accuracies of plain 0.50, 0.75 and of the other 1.00, 0.75 on four images
    plain = [packed([1, 1, 0, 0]), packed([1, 1, 1, 0])]
    other = [packed([1, 1, 1, 1]), packed([1, 1, 1, 0])]
    [found] = seed_differences(plain, [other], 4)
    # one seed's differences are 0.5 and 0: mean 0.25, variance 0.125
    assert found.difference == 0.25
    assert found.seed_variance == pytest.approx(0.125)
    assert (found.degrees_of_freedom, found.seeds, found.images) == (1, 2, 4)
    # differences by image: seed 1 (0, 0, 1, 1), seed 2 all 0; image means 0, 0, 1/2, 1/2 with
    # variance 1/12, interaction mean square 1/6, so the image component is cut at 0
    assert found.image_variance == 0
    half = 12.7062047 * math.sqrt(0.125 / 2)  # Student's t with one degree of freedom
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_what_every_seed_repeats_is_the_images_share():
    plain, other = packed([1, 0, 1, 0] * 5), packed([1, 1, 1, 0] * 5)
    [found] = seed_differences([plain] * 3, [[other] * 3], 20)
    differences = np.array([0, 1, 0, 0] * 5)
    assert found.seed_variance == 0
    assert found.image_variance == pytest.approx(differences.var(ddof=1) / 20)
    half = 1.959964 * math.sqrt(found.image_variance)
    assert found.interval == pytest.approx((0.25 - half, 0.25 + half))


def test_the_seeds_variance_is_pooled_over_the_architectures():
    rng = np.random.default_rng(0)
    bits = rng.random((4, 3, 50)) < 0.7
    plain, *others = [[packed(seed) for seed in rows] for rows in bits]
    accuracies = bits.mean(axis=2)
    found = seed_differences(plain, others, 50)
    assert {d.degrees_of_freedom for d in found} == {3 * 2}
    # the mean over all pairs of architectures of the variance of their difference
    pairs = [(i, j) for i in range(4) for j in range(i)]
    variances = [np.var(accuracies[i] - accuracies[j], ddof=1) for i, j in pairs]
    assert {round(d.seed_variance, 12) for d in found} == {round(float(np.mean(variances)), 12)}


def test_seed_differences_refuse_too_few_seeds_and_missing_ones():
    one = packed([1, 0])
    with pytest.raises(ValueError, match=r"^a variance over seeds needs at least two seeds$"):
        seed_differences([one], [[one]], 2)
    with pytest.raises(
        ValueError, match=r"^every architecture needs an entry for each of the 2 seeds$"
    ):
        seed_differences([one, one], [[one]], 2)
    assert seed_differences([one, one], [], 2) == []


@pytest.mark.parametrize(("architectures", "seeds"), [(1, 3), (3, 2), (5, 3)])
@pytest.mark.parametrize("seed_spread", [0.0, 0.05, 0.3])
def test_intervals_over_seeds_and_images_hold_the_truth_at_least_as_often_as_said(
    architectures, seeds, seed_spread
):
    """Images easy for one architecture stay so with every seed; all are equally good."""
    rng = np.random.default_rng(11)
    held, repeats, images = 0, 300, 150
    for _ in range(repeats):
        right = (
            rng.normal(0.8, 1.2, images)
            + rng.normal(0, 0.6, (architectures + 1, 1, images))
            + rng.normal(0, 0.3, (1, seeds, 1))
            + rng.normal(0, seed_spread, (architectures + 1, seeds, 1))
            + rng.normal(0, 0.8, (architectures + 1, seeds, images))
        ) > 0
        plain, *others = [[packed(bits) for bits in rows] for rows in right]
        low, high = seed_differences(plain, others, images)[0].interval
        held += low <= 0 <= high
    assert held / repeats >= 0.92  # 0.95 less 2.4 standard errors of the simulation


def test_the_seeds_needed_put_zero_just_outside():
    found = SeedDifference(0.01, 0.0002, 3, 0.0, seeds=2, images=10_000)
    assert found.within_noise
    needed = found.seeds_needed
    assert needed is not None
    with_more = SeedDifference(0.01, 0.0002, 3 * (needed - 1), 0.0, needed, 10_000)
    with_less = SeedDifference(0.01, 0.0002, 3 * (needed - 2), 0.0, needed - 1, 10_000)
    assert not with_more.within_noise
    assert with_less.within_noise


def test_no_number_of_seeds_helps_where_the_images_are_too_few():
    assert SeedDifference(0.01, 0.0001, 3, 0.0001, 2, 100).seeds_needed is None
