"""A proposal that was screened and trained, as a trial."""

import math

import numpy as np
import pytest

from attnas.core import Constraint, ItemScores, Objective, Proposal, Screening, TrainingResult
from attnas.evaluation import EvaluatorLost, Screened, is_to_be_trained, make_trial, screen, train
from attnas.evaluator import TrainingFailed
from attnas.search_space import Architecture, Backbone

ARCHITECTURE = Architecture.plain(
    Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (10,))
)
PROPOSAL = Proposal(ARCHITECTURE, 2, schedule_epochs=6)
OBJECTIVES = (Objective("error", "min"), Objective("latency_ms", "min"))
BOUNDS = (Constraint("error", "<=", 0.5), Constraint("latency_ms", "<=", 3.0))
SCORES = ItemScores.of("error", np.array([0.25, 0.5]))


def trial(trained, **screening):
    screened = Screened(Screening({"latency_ms": 2.0}, **screening), "", 1.5, "2026-01-31T10:00")
    return make_trial(PROPOSAL, 7, screened, trained, OBJECTIVES, BOUNDS, seed=3)


def test_a_trial_has_all_that_screening_and_training_gave():
    found = trial(
        TrainingResult({"error": 0.375}, 2.5, {"error": (0.25, 0.5)}, SCORES, half_size=True),
        intervals={"latency_ms": (1.9, 2.1)},
        uncounted=("aten::mystery",),
    )
    assert (found.number, found.state, found.feasible, found.reason) == (7, "complete", True, "")
    assert found.metrics == {"latency_ms": 2.0, "error": 0.375}
    assert found.intervals == {"latency_ms": (1.9, 2.1), "error": (0.25, 0.5)}
    assert (found.epochs, found.schedule_epochs, found.half_size) == (2, 6, True)
    assert (found.seconds, found.seed, found.started) == (4.0, 3, "2026-01-31T10:00")
    assert (found.scores, found.uncounted) == (SCORES, ("aten::mystery",))


def test_a_bound_on_what_training_gave_makes_a_complete_trial_infeasible():
    found = trial(TrainingResult({"error": 0.75}, scores=SCORES))
    assert (found.state, found.feasible) == ("complete", False)
    assert found.violations == {"error <= 0.5": 0.5}
    assert found.reason == "error <= 0.5 missed by 50.0%"


def test_what_screening_ruled_out_was_not_trained():
    found = trial(None, violations={"latency_ms <= 3": 0.1}, predicted=True)
    assert found.state == "infeasible"
    assert found.reason == "latency_ms <= 3 predicted to be missed by 10.0%"
    assert found.scores is None


@pytest.mark.parametrize(
    ("interval", "told"),
    [((1.9, 2.1), ", too near to tell: 1.9 to 2.1 ms"), ((1.95, 2.05), "")],
    ids=["the bound is in the interval", "the bound is below it"],
)
def test_a_latency_that_cannot_be_told_from_its_bound_says_so(interval, told):
    found = trial(
        None, violations={"latency_ms <= 1.92": 2 / 1.92 - 1}, intervals={"latency_ms": interval}
    )
    assert found.reason == "latency_ms <= 1.92 missed by 4.2%" + told


@pytest.mark.parametrize("metrics", [{}, {"error": math.nan}, {"error": math.inf}])
def test_a_training_without_an_objectives_metric_failed(metrics):
    found = trial(TrainingResult(metrics))
    assert (found.state, found.reason) == ("failed", "no value: error")


def test_a_failed_training_has_its_reason():
    found = trial(TrainingResult(seconds=2.0, failure="diverged: the loss is nan"))
    assert (found.state, found.reason) == ("failed", "diverged: the loss is nan")
    assert found.seconds == 3.5


class Evaluator:
    """Raises what it is given."""

    latency = None

    def __init__(self, error):
        self.error = error

    def screen(self, architecture):
        raise self.error

    def train(self, architecture, epochs, on_epoch, *, schedule_epochs, seed):
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TrainingFailed("diverged", "the loss is nan"), "diverged: the loss is nan"),
        (ValueError("a wrong shape"), "raised: ValueError: a wrong shape"),
    ],
)
def test_whatever_an_evaluator_raises_becomes_the_reason(error, reason):
    screened = screen(PROPOSAL, Evaluator(error))
    assert screened.reason == train(PROPOSAL, Evaluator(error), lambda *_: None).failure == reason
    assert not is_to_be_trained(screened, always=True)
    found = make_trial(PROPOSAL, 0, screened, None, OBJECTIVES, BOUNDS, seed=0)
    assert (found.state, found.reason) == ("failed", reason)


def test_an_evaluator_that_is_gone_ends_the_search():
    with pytest.raises(EvaluatorLost, match="gone"):
        screen(PROPOSAL, Evaluator(EvaluatorLost("gone")))


def test_the_reference_is_trained_though_it_breaks_a_bound():
    broken = Screened(Screening({}, {"latency_ms <= 3": 0.1}), "", 0.0, "")
    assert not is_to_be_trained(broken)
    assert is_to_be_trained(broken, always=True)
