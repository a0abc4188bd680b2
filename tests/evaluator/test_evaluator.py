"""Evaluation on a device whose time is made up: a network takes as long as it has parameters."""

from contextlib import contextmanager

import pandas as pd
import pytest
import torch

from attnas.evaluator import (
    AdditiveCost,
    Constraint,
    Data,
    LatencyTable,
    Pool,
    Recipe,
    Screening,
    Table,
    TableEvaluator,
    TrainingEvaluator,
    TrainingFailed,
    missing_metrics,
)
from attnas.evaluator.evaluator import excesses
from attnas.evaluator.latency_table import TableError
from attnas.results import Objective
from attnas.search_space import Architecture, AttnasError, Backbone, SearchSpace
from attnas.search_space.build import build

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), 2)
PLAIN = Architecture.plain(BACKBONE)
WITH_SE = Architecture.from_texts(BACKBONE, ["se:r4@residual", "none", "none"])
RECIPE = Recipe(epochs=1, batch_size=8, precision="float32")
MS_A_PARAMETER = 0.001


class CountingDevice:
    """Moves its clock by 1 microsecond for each parameter of the network."""

    name, threads, batch_size = "counting", 1, 1

    def __init__(self):
        self.ns, self.prepared = 0, []

    def prepare(self, network, input_shape):
        assert not network.training
        count = parameters(network)
        self.prepared.append((count, input_shape))

        def run():
            self.ns += round(count * MS_A_PARAMETER * 1e6)

        return run

    @contextmanager
    def measuring(self):
        yield

    def clock(self):
        return self.ns

    def describe(self):
        return {}


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def pool(count, seed):
    """Dark images of the one class and bright ones of the other."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(100, (count, 1, 8, 8), generator=draw)
    return Pool((noise + 150 * labels[:, None, None, None]).to(torch.uint8), labels)


DATA = Data(pool(32, 0), pool(10, 1), pool(10, 2), ("dark", "bright"), facts={})


def evaluator(*constraints, plain=None, recipe=RECIPE):
    device = CountingDevice()
    bounds = [Constraint.parse(*constraint) for constraint in constraints]
    return TrainingEvaluator(PLAIN, DATA, device, recipe, bounds, seed=0, plain=plain)


@pytest.fixture(scope="module")
def measured():
    """The plain backbone's metrics, so that one test need not measure them again."""
    return evaluator().plain


def test_all_cheap_metrics_are_measured_relative_to_the_plain_backbone(measured):
    count = parameters(build(WITH_SE, seed=0))
    screening = evaluator(plain=measured).screen(WITH_SE)
    assert screening.metrics.keys() == measured.metrics.keys() == {
        "params", "flops", "activations", "peak_memory_mb", "latency_ms",
    }  # fmt: skip
    assert screening.metrics["params"] == count
    assert screening.metrics["latency_ms"] == pytest.approx(count * MS_A_PARAMETER)
    assert measured.metrics["params"] == parameters(build(PLAIN, seed=0))
    assert measured.metrics["latency_ms"] == pytest.approx(
        measured.metrics["params"] * MS_A_PARAMETER
    )
    low, high = screening.intervals["latency_ms"]
    assert low <= screening.metrics["latency_ms"] <= high
    assert screening.violations == {}


def test_measuring_stops_at_the_first_broken_constraint(measured):
    strict = evaluator(("params", "<= 10"), ("latency_ms", "<= 1.01x"), plain=measured)
    screening = strict.screen(WITH_SE)
    excess = (screening.metrics["params"] - 10) / 10
    assert screening.violations == {"params <= 10": pytest.approx(excess)}
    assert "latency_ms" not in screening.metrics
    assert screening.intervals == {}
    assert strict.device.prepared == []


def test_relative_bounds_are_times_the_plain_backbones_figure(measured):
    ratio = parameters(build(WITH_SE, seed=0)) / measured.metrics["params"]
    for factor, kept in ((0.999, False), (1.001, True)):
        bound = f"<= {ratio * factor:.6f}x"
        violations = evaluator(("latency_ms", bound), plain=measured).screen(WITH_SE).violations
        assert (violations == {}) == kept
    assert evaluator(("latency_ms", "<= 1x"), plain=measured).screen(WITH_SE).violations == {
        "latency_ms <= 1x": pytest.approx(ratio - 1, rel=1e-3)
    }


def test_a_screening_is_kept_and_the_plain_backbones_too(measured):
    one = evaluator(plain=measured)
    first = one.screen(WITH_SE)
    prepared = list(one.device.prepared)
    assert len(prepared) == 2  # the candidate and the reference beside it
    assert all(shape == (1, 8, 8) for _, shape in prepared)
    assert one.screen(WITH_SE) is first
    assert one.screen(PLAIN).metrics == measured.metrics
    assert one.device.prepared == prepared


def predicting(ms, margin):
    """A latency table that predicts the same for every network but the plain one."""
    cost = AdditiveCost("latency_ms", ms, ((0.0, 0.0, 0.0),) * 3)
    return LatencyTable(SPACE, cost, TableError(0.02, 0.9, 0.9, margin), plain_ms=1.0)


def test_what_the_table_is_sure_breaks_the_bound_is_rejected_unmeasured(measured):
    plain_ms = measured.metrics["latency_ms"]
    one = evaluator(("latency_ms", "<= 1.5x"), plain=measured)
    one.screen_by(predicting(1.66 * plain_ms, margin=0.1))
    screening = one.screen(WITH_SE)
    assert screening.predicted
    assert screening.metrics["latency_ms"] == 1.66 * plain_ms
    assert screening.intervals["latency_ms"] == pytest.approx(
        (1.66 / 1.1 * plain_ms, 1.66 * 1.1 * plain_ms)
    )
    assert screening.violations == {"latency_ms <= 1.5x": pytest.approx(0.16 / 1.5)}
    assert one.device.prepared == []
    assert not one.screen(PLAIN).predicted


def test_what_the_table_is_not_sure_of_is_measured(measured):
    one = evaluator(("latency_ms", "<= 1.5x"), plain=measured)
    one.screen_by(predicting(1.64 * measured.metrics["latency_ms"], margin=0.1))
    screening = one.screen(WITH_SE)
    assert not screening.predicted
    count = parameters(build(WITH_SE, seed=0))
    assert screening.metrics["latency_ms"] == pytest.approx(count * MS_A_PARAMETER)
    assert screening.violations == {}


def test_latencies_side_by_side_are_relative_to_the_runs_plain_backbone(measured):
    twice = Screening({**measured.metrics, "latency_ms": 2 * measured.metrics["latency_ms"]})
    one = evaluator(plain=twice)
    other = Architecture.from_texts(BACKBONE, ["none", "se:r4@residual", "none"])
    found = one.latencies([WITH_SE, other], max_seconds=1)
    for latency, architecture in zip(found, (WITH_SE, other), strict=True):
        count = parameters(build(architecture, seed=0))
        assert latency.ms == pytest.approx(2 * count * MS_A_PARAMETER)
    plain = one.plain_latency(max_seconds=1)
    assert plain.ms == pytest.approx(measured.metrics["latency_ms"])


def test_the_plain_backbone_can_break_a_constraint_too(measured):
    violations = evaluator(("params", "<= 0.5x"), plain=measured).screen(PLAIN).violations
    assert violations == {"params <= 0.5x": pytest.approx(1.0)}


def test_training_scores_the_validation_images_and_is_the_same_again(measured):
    one = evaluator(("accuracy", ">= 0.999"), plain=measured)
    told = []
    first = one.train(WITH_SE, 2, lambda epoch, loss: told.append(epoch))
    again = one.train(WITH_SE, 2)
    assert told == [1, 2]
    assert first.images == 10
    bits = [int(bit) for byte in first.correct for bit in f"{byte:08b}"][:10]
    assert first.metrics["accuracy"] == sum(bits) / 10
    assert first.metrics == again.metrics
    assert first.correct == again.correct
    low, high = first.intervals["accuracy"]
    assert low <= first.metrics["accuracy"] <= high
    missed = (0.999 - first.metrics["accuracy"]) / 0.999
    expected = {"accuracy >= 0.999": pytest.approx(missed)} if missed > 0 else {}
    assert first.violations == expected


def test_a_training_that_diverges_is_told(measured):
    wild = Recipe(epochs=1, batch_size=8, precision="float32", learning_rate=1e30)
    with pytest.raises(TrainingFailed, match=r"^diverged"):
        evaluator(plain=measured, recipe=wild).train(WITH_SE, 3)


def test_an_objective_without_a_finite_value_is_missing():
    objectives = [Objective("accuracy", "max"), Objective("latency_ms", "min")]
    nan, infinite = float("nan"), float("inf")
    assert missing_metrics(objectives, {"accuracy": 0.5, "latency_ms": 2.0}) == []
    assert missing_metrics(objectives, {"accuracy": nan, "latency_ms": 2.0}) == ["accuracy"]
    assert missing_metrics(objectives, {"accuracy": 0.5}) == ["latency_ms"]
    assert missing_metrics(objectives, {"accuracy": nan, "latency_ms": infinite}) == [
        "accuracy",
        "latency_ms",
    ]


def test_constraints_on_what_is_not_known_break_nothing():
    bounds = [Constraint.parse("latency_ms", "<= 1.5x"), Constraint.parse("params", "<= 100")]
    assert excesses(bounds, {}, {}) == {}
    assert excesses(bounds, {"latency_ms": 4.0, "params": 100.0}, {"latency_ms": 2.0}) == {
        "latency_ms <= 1.5x": pytest.approx(1 / 3)
    }


SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[4], placements=["residual"]
)


@pytest.fixture
def table(tmp_path):
    """Loads a table of rows of choices with their accuracy, latency and parameters."""

    def load(*rows):
        columns = [*SPACE.stage_names, "accuracy", "latency_ms", "params"]
        frame = pd.DataFrame(rows, columns=columns).assign(epochs=3, seconds=7.0)
        frame.to_csv(tmp_path / "table.csv", index=False)
        return Table.load(tmp_path / "table.csv", SPACE)

    return load


PLAIN_ROW = ("none", "none", "none", 0.5, 2.0, 1000)
SE_ROW = ("se:r4@residual", "none", "none", 0.6, 3.0, 1100)


def test_a_table_replays_metrics_and_constraints(table):
    bounds = [Constraint.parse("latency_ms", "<= 1.2x"), Constraint.parse("accuracy", ">= 0.8")]
    replay = TableEvaluator(table(PLAIN_ROW, SE_ROW), bounds, PLAIN, 3)
    assert replay.screen(PLAIN) == Screening({"latency_ms": 2.0, "params": 1000})
    screening = replay.screen(WITH_SE)
    assert screening.metrics == {"latency_ms": 3.0, "params": 1100}
    assert screening.violations == {"latency_ms <= 1.2x": pytest.approx(0.25)}
    evaluation = replay.train(WITH_SE, 3)
    assert evaluation.metrics == {"accuracy": 0.6, "latency_ms": 3.0, "params": 1100}
    assert evaluation.seconds == 7.0
    assert evaluation.violations == {
        "latency_ms <= 1.2x": pytest.approx(0.25),
        "accuracy >= 0.8": pytest.approx(0.25),
    }


def test_a_table_without_the_plain_backbone_cannot_have_a_relative_bound(table):
    recorded = table(SE_ROW)
    with pytest.raises(AttnasError) as caught:
        TableEvaluator(recorded, [Constraint.parse("latency_ms", "<= 1.2x")], PLAIN, 3)
    assert str(caught.value) == (
        "constraints.latency_ms: '<= 1.2x' is relative to the plain backbone, which the table "
        "does not hold. Write an absolute bound."
    )
    absolute = TableEvaluator(recorded, [Constraint.parse("latency_ms", "<= 2")], PLAIN, 3)
    assert absolute.screen(PLAIN) == Screening({})
    assert absolute.screen(WITH_SE).violations == {"latency_ms <= 2": 0.5}


def test_what_a_table_lacks_is_a_lookup_error(table):
    replay = TableEvaluator(table(PLAIN_ROW), [], PLAIN, 3)
    with pytest.raises(LookupError, match="has no row for"):
        replay.screen(WITH_SE)
    with pytest.raises(LookupError, match="not after 4"):
        replay.train(PLAIN, 4)
