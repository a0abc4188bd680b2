"""Marks against the plain backbone where trials have several seeds."""

import math

import numpy as np
import pytest

from attnas.core import ItemScores, merged
from attnas.results import differences_to_plain
from attnas.results.seeds import SeedDifference
from attnas.results.trial_differences import SeedVariance, trial_difference
from attnas.search_space import Architecture

ITEMS = 200


def trials_of(trial, values, rng, *, gain=0.0, noise=0.03, seeds=3, single=5):
    """The plain backbone and four others with `seeds` each, then some with one seed: each seed
    moves an architecture's accuracy by `noise`, its items are drawn anew."""
    options = [f"{block}:r{ratio}@residual" for block in ("se", "cbam") for ratio in (2, 4, 8, 16)]
    architectures = [Architecture.plain(values["backbone"])]
    architectures += [
        Architecture.read(values["backbone"], values["decisions"], [o, "none", "none"])
        for o in [*options, "eca@post"]
    ]
    made = []
    for number, architecture in enumerate(architectures[: 5 + single]):
        for seed in range(seeds if number < 5 else 1):
            share = 0.7 + (gain if number == 1 else 0.0) + noise * rng.normal()
            scores = ItemScores.of("accuracy", rng.random(ITEMS) < share)
            metrics = {"accuracy": scores.mean, "latency_ms": 2.0}
            more = {"scores": scores, "metrics": metrics, "seed": seed, "intervals": {}}
            made.append(trial(len(made), architecture=architecture, **more))
    return merged(made)


def test_with_one_seed_each_the_items_alone_decide(trial, values):
    trials = trials_of(trial, values, np.random.default_rng(0), seeds=1)
    assert {d.degrees for d in differences_to_plain(trials).values()} == {None}


def test_where_nothing_differs_few_runs_mark_any_trial(trial, values):
    rng = np.random.default_rng(1)
    marked = [
        any(
            not d.within_noise
            for number, d in differences_to_plain(trials_of(trial, values, rng)).items()
            if number > 0
        )
        for _ in range(200)
    ]
    assert np.mean(marked) <= 0.08  # 5 %, and two standard deviations of 200 runs


def test_a_true_gain_over_several_seeds_is_marked(trial, values):
    rng = np.random.default_rng(2)
    found = [
        differences_to_plain(trials_of(trial, values, rng, gain=0.25, noise=0.01))[3]
        for _ in range(20)
    ]
    assert {d.seeds for d in found} == {3}
    assert np.mean([not d.within_noise for d in found]) > 0.8


def test_one_seed_is_less_sure_than_several_of_the_same_difference(trial, values):
    trials = trials_of(trial, values, np.random.default_rng(3))
    found = differences_to_plain(trials)
    several = [found[t.number].standard_error for t in trials[1:5]]
    single = [found[t.number].standard_error for t in trials[5:]]
    assert max(several) < min(single)
    assert all(found[t.number].degrees is not None for t in trials[1:])


def test_trials_are_paired_by_the_seeds_that_both_had(trial, values):
    plain, eca = (
        Architecture.read(values["backbone"], values["decisions"], [option, "none", "none"])
        for option in ("none", "eca@post")
    )

    def scored(number, architecture, seed, share):
        scores = ItemScores.of("accuracy", np.arange(10) < 10 * share)
        return trial(number, architecture=architecture, seed=seed, scores=scores)

    a, b = merged(
        [
            scored(0, plain, 0, 0.5),
            scored(1, eca, 0, 0.6),
            scored(2, plain, 1, 0.1),
            scored(3, eca, 2, 0.9),
        ]
    )
    assert trial_difference(b, a).difference == pytest.approx(0.1)  # seed 0 is what both had
    alone = trial(4, architecture=eca, seed=5, scores=ItemScores.of("accuracy", np.ones(10) > 0))
    assert trial_difference(alone, a) is None


def test_variances_are_shrunk_the_more_the_less_they_differ():
    def differences(variances):
        return [SeedDifference(0.0, v, 0.0, seeds=3, items=10) for v in variances]

    alike = differences([1.0, 1.1, 0.9, 1.05])
    assert SeedVariance.of(alike).degrees == math.inf
    assert SeedVariance.of(alike).moderated(alike[0])[1] == 8  # no more than all seeds tell
    apart = differences([1e-4, 1.0, 1e-2, 100.0])
    belief = SeedVariance.of(apart)
    assert belief.degrees < 2
    assert abs(math.log(belief.moderated(apart[3])[0] / 100.0)) < math.log(3)
    assert SeedVariance.of([]) is None
    assert SeedVariance.of(apart[:1]).moderated(apart[0]) == (pytest.approx(1e-4), 2)


def test_the_degrees_that_made_the_variances_are_found_again():
    """Variances drawn as the model says: 6 degrees, of a typical one of 2."""
    rng = np.random.default_rng(4)
    true = 2.0 * 6 / rng.chisquare(6, size=4000)
    seen = true * rng.chisquare(2, size=4000) / 2
    drawn = [SeedDifference(0.0, float(v), 0.0, seeds=3, items=10) for v in seen]
    found = SeedVariance.of(drawn)
    assert found.degrees == pytest.approx(6, rel=0.25)
    assert found.typical == pytest.approx(2.0, rel=0.1)
