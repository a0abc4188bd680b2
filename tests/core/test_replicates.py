"""Trainings of one architecture with several seeds as one."""

import numpy as np
import pytest

from attnas.core import Trial, merged, seed_noise
from attnas.search_space import Architecture, Backbone, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
DECISIONS = stage_decisions(BACKBONE)
PLAIN = Architecture.plain(BACKBONE)
BOUND = "accuracy >= 0.5"


def architecture(option):
    return Architecture.read(BACKBONE, DECISIONS, [option, "none", "none"])


def trial(number, option, seed, accuracy, **more):
    metrics = {"accuracy": accuracy, "latency_ms": 2.0 + number, "params": 10}
    fields = {"metrics": metrics, "seed": seed, "seconds": 3.0, **more}
    return Trial(number, architecture(option), 6, "complete", **fields)


def test_seeds_of_one_architecture_become_their_mean_under_the_first_number():
    trials = [
        trial(0, "none", 0, 0.50),
        trial(1, "eca@post", 0, 0.70),
        trial(2, "none", 1000, 0.50),
        trial(3, "eca@post", 1000, 0.60),
    ]
    plain, mean = merged(trials)
    assert (plain.number, mean.number) == (0, 1)
    assert mean.metrics == {"accuracy": pytest.approx(0.65), "latency_ms": 3.0, "params": 10}
    assert (mean.seeds, mean.seconds) == ((0, 1000), 6.0)
    assert mean.replicates == (trials[1], trials[3])
    assert mean.scores is None


def test_single_trainings_failures_other_lengths_and_equal_seeds_stay_as_they_are():
    trials = [
        trial(0, "none", 0, 0.5),
        Trial(1, architecture("none"), 6, "failed", seed=1000),
        Trial(2, architecture("none"), 12, "complete", {"accuracy": 0.6}, seed=0),
        trial(3, "none", 0, 0.7),
    ]
    assert merged(trials) == trials
    assert all(not one.replicates for one in merged(trials))


def test_merging_what_is_merged_changes_nothing():
    trials = [trial(0, "eca@post", 0, 0.5), trial(1, "eca@post", 1000, 0.6)]
    once = merged(trials)
    assert merged(once) == once
    assert len(once[0].replicates) == 2


def drawn(rng, *, count, effect, noise):
    """Each architecture with two seeds, of which the second moves all by `effect`."""
    options = ["none", "eca@post", "se:r8@residual", "se:r4@residual", "cbam:r8@post"][:count]
    trials = []
    for option in options:
        own = rng.normal()
        for seed, moved in ((0, 0.0), (1000, effect)):
            value = own + moved + noise * rng.normal()
            trials.append(trial(len(trials), option, seed, value))
    return trials


def test_the_noise_of_a_seed_is_estimated_without_bias_whatever_moves_all():
    rng = np.random.default_rng(0)
    found = [
        seed_noise(drawn(rng, count=5, effect=2.0, noise=0.3), "accuracy", 6) for _ in range(400)
    ]
    assert {noise.degrees for noise in found} == {4}
    assert np.mean([noise.variance for noise in found]) == pytest.approx(0.09, rel=0.1)


def test_what_a_seed_moves_all_by_is_taken_off():
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(200):
        trials = drawn(rng, count=5, effect=2.0, noise=0.05)
        errors += [
            m.metrics["accuracy"] - m.replicates[0].metrics["accuracy"] for m in merged(trials)
        ]
    assert abs(np.mean(errors)) < 0.02  # the plain mean would be 1.0 above


def test_a_move_within_the_noise_is_not_taken_off():
    noise = seed_noise(
        [
            trial(0, "none", 0, 0.50),
            trial(1, "none", 1000, 0.51),
            trial(2, "eca@post", 0, 0.70),
            trial(3, "eca@post", 1000, 0.60),
        ],
        "accuracy",
        6,
    )
    assert noise.degrees == 1
    assert noise.effects == {1000: 0.0}


def test_the_interval_covers_the_true_mean():
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(300):
        trials = []
        for i, option in enumerate(["none", "eca@post", "se:r8@residual", "se:r4@residual"]):
            values = i + 0.2 * rng.normal(size=3)
            trials += [trial(3 * i + j, option, 1000 * j, value) for j, value in enumerate(values)]
        for i, mean in enumerate(merged(trials)):
            low, high = mean.intervals["accuracy"]
            inside.append(low <= i <= high)
    assert 0.92 <= np.mean(inside) <= 0.98


def test_a_bound_on_what_training_tells_is_held_against_the_mean():
    broken = trial(0, "eca@post", 0, 0.40, violations={BOUND: 0.2})
    above, below = (
        merged([broken, trial(1, "eca@post", 1000, value)])[0] for value in (0.64, 0.56)
    )
    assert above.feasible
    assert below.violations == {BOUND: pytest.approx(0.04)}
    assert below.reason == f"{BOUND} missed by 4.0%"


def test_a_bound_on_a_cost_stays_broken():
    costly = {"latency_ms <= 2": 0.5}
    trials = [trial(i, "eca@post", 1000 * i, 0.6, violations=costly) for i in (0, 1)]
    assert merged(trials)[0].violations == costly
