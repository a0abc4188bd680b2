import math
from dataclasses import dataclass

import pytest

from attnas.core import Objective, Trial
from attnas.results import (
    epochs_trained,
    front,
    hypervolume_over_trials,
    longest,
    rung_correlations,
    rungs_text,
)
from attnas.results.front import best
from attnas.search_space import Architecture, Backbone, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
TEXTS = ["none", "eca@post", "se:r4@post", "se:r8@post", "eca@residual", "cbam:r4@post"]
ACCURACY = (Objective("accuracy", "max"),)


def architecture(i: int) -> Architecture:
    return Architecture.read(BACKBONE, stage_decisions(BACKBONE), ["none", "none", TEXTS[i]])


def trial(number, i, epochs, accuracy=0.5, schedule=None, state="complete", **more) -> Trial:
    metrics = {"accuracy": accuracy, **more}
    return Trial(number, architecture(i), epochs, state, metrics, schedule_epochs=schedule)


def test_of_an_architecture_its_longest_training_counts():
    trials = [
        trial(0, 0, 2, 0.9),
        trial(1, 1, 2, 0.7),
        trial(2, 0, 6, 0.6),
        trial(3, 1, 6, state="failed"),
    ]
    assert [t.number for t in longest(trials)] == [1, 2]
    assert [t.number for t in front(trials, ACCURACY)] == [1]
    assert best(trials, ACCURACY)[0].number == 1


def test_the_hypervolume_is_that_of_the_front_after_each_trial():
    trials = [
        trial(0, 0, 2, 0.3, latency_ms=1.0),
        trial(1, 1, 2, 0.6, latency_ms=1.2),
        trial(2, 2, 2, 0.5, latency_ms=1.3),  # dominated until the next trial
        trial(3, 1, 6, 0.4, latency_ms=1.2),
        trial(4, 2, 6, 0.8, latency_ms=1.3),
    ]
    objectives = (*ACCURACY, Objective("latency_ms", "min"))
    reference, ideal = (0.0, 2.0), (-1.0, 0.0)
    shares = hypervolume_over_trials(trials, objectives, reference, ideal)
    slow = []
    for n in range(1, 6):
        points = sorted(
            (t.metrics["latency_ms"], t.metrics["accuracy"]) for t in longest(trials[:n])
        )
        area, height = 0.0, 0.0
        for (ms, a), (following, _) in zip(points, [*points[1:], (2.0, 0)], strict=True):
            height = max(height, a)
            area += height * (following - ms)
        slow.append(area / 2)
    assert shares.tolist() == pytest.approx(slow)
    assert shares[3] < shares[2]


@dataclass
class Running:
    architecture: Architecture
    epochs: int
    schedule_epochs: int | None
    seed: int = 0


def test_a_training_that_goes_on_costs_what_it_adds():
    trials = [
        trial(0, 0, 2, schedule=18),
        trial(1, 1, 2, schedule=18),
        trial(2, 0, 6, schedule=18),
        trial(3, 0, 18),
        trial(4, 2, 2, schedule=18, state="infeasible"),
        trial(5, 3, 6, schedule=18, state="failed"),
        trial(6, 1, 6),  # under a schedule of its own: from the beginning
    ]
    assert epochs_trained(trials) == 18 + 2 + 6 + 6
    assert epochs_trained(trials, [Running(architecture(1), 6, 18)]) == 18 + 6 + 6 + 6


def test_rungs_are_correlated_over_what_was_trained_for_both():
    trials = [trial(i, i, 2, i / 10) for i in range(6)]
    trials += [trial(6 + k, i, 6, a) for k, (i, a) in enumerate([(5, 0.9), (4, 0.7), (3, 0.8)])]
    trials += [trial(9, 5, 18, 0.95), trial(10, 2, 18, math.nan), trial(11, 1, 18, state="failed")]
    found = rung_correlations(trials, "accuracy")
    assert [r.epochs for r in found] == [(2, 6), (2, 18), (6, 18)]
    assert [r.architectures for r in found] == [3, 1, 1]
    assert found[0].correlation.tau == pytest.approx(1 / 3)  # 2 pairs agree, 1 does not
    assert rungs_text(trials, "accuracy") == (
        "Kendall's tau of accuracy between epochs: 2 and 6: 0.33 (3 architectures); "
        "2 and 18: cannot be told (1 architecture); 6 and 18: cannot be told (1 architecture)."
    )


def test_trials_of_one_length_have_no_rungs():
    trials = [trial(i, i, 6, i / 10) for i in range(5)]
    assert rung_correlations(trials, "accuracy") == []
    assert rungs_text(trials, "accuracy") == ""
