"""Screening on a device whose time is made up: a network takes as long as it has parameters."""

import math

import pytest
import torch

from attnas.core import METRICS, AdditiveCost, Constraint, Screening, register_metric
from attnas.evaluator import (
    BatchProxies,
    Data,
    Latency,
    LatencyTable,
    Pool,
    Recipe,
    Screener,
    make_task,
)
from attnas.evaluator import screening as module
from attnas.evaluator.latency_table import TableError
from attnas.search_space import Architecture, Backbone, SearchSpace, build, stage_decisions

from .counting import CountingDevice, parameters

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (2,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[4], placements=["residual"]
)
PLAIN = SPACE.plain
WITH_SE = SPACE.architecture(["se:r4@residual", "none", "none"])
MS_A_PARAMETER = 0.001


def screener(*constraints, plain=None, space=SPACE, **settings):
    bounds = [Constraint.parse(*constraint) for constraint in constraints]
    device = CountingDevice(MS_A_PARAMETER)
    return Screener(space, device, bounds, seed=0, plain=plain, **settings)


@pytest.fixture(scope="module")
def measured():
    """The plain backbone's metrics, so that one test need not measure them again."""
    return screener().plain


def test_all_cheap_metrics_are_measured_relative_to_the_plain_backbone(measured):
    count = parameters(build(WITH_SE, seed=0))
    screening = screener(plain=measured).screen(WITH_SE)
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
    strict = screener(("params", "<= 10"), ("latency_ms", "<= 1.01x"), plain=measured)
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
        violations = screener(("latency_ms", bound), plain=measured).screen(WITH_SE).violations
        assert (violations == {}) == kept
    assert screener(("latency_ms", "<= 1x"), plain=measured).screen(WITH_SE).violations == {
        "latency_ms <= 1x": pytest.approx(ratio - 1, rel=1e-3)
    }


def test_a_screening_is_kept_and_the_plain_backbones_too(measured):
    one = screener(plain=measured)
    first = one.screen(WITH_SE)
    prepared = list(one.device.prepared)
    # the candidate and the reference beside it, once to warm up and in six instances
    assert len(prepared) == 2 * 7
    assert len({count for count, _ in prepared}) == 2
    assert all(shape == (1, 8, 8) for _, shape in prepared)
    assert one.screen(WITH_SE) is first
    assert one.screen(PLAIN).metrics == measured.metrics
    assert one.device.prepared == prepared


def predicting(ms, margin):
    """A latency table that predicts the same for every network but the plain one."""
    cost = AdditiveCost("latency_ms", ms, tuple((0.0,) * len(o) for o in SPACE.options))
    return LatencyTable(SPACE, cost, TableError(0.02, 0.9, 0.9, margin), plain_ms=1.0)


def test_what_the_table_is_sure_breaks_the_bound_is_rejected_unmeasured(measured):
    plain_ms = measured.metrics["latency_ms"]
    one = screener(("latency_ms", "<= 1.5x"), plain=measured)
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
    one = screener(("latency_ms", "<= 1.5x"), plain=measured)
    one.screen_by(predicting(1.64 * measured.metrics["latency_ms"], margin=0.1))
    screening = one.screen(WITH_SE)
    assert not screening.predicted
    count = parameters(build(WITH_SE, seed=0))
    assert screening.metrics["latency_ms"] == pytest.approx(count * MS_A_PARAMETER)
    assert screening.violations == {}


def test_latencies_side_by_side_are_relative_to_the_runs_plain_backbone(measured):
    twice = Screening({**measured.metrics, "latency_ms": 2 * measured.metrics["latency_ms"]})
    one = screener(plain=twice)
    other = SPACE.architecture(["none", "se:r4@residual", "none"])
    found = one.latencies([WITH_SE, other], max_seconds=1)
    for latency, architecture in zip(found, (WITH_SE, other), strict=True):
        count = parameters(build(architecture, seed=0))
        assert latency.ms == pytest.approx(2 * count * MS_A_PARAMETER)
    plain = one.plain_latency(max_seconds=1)
    assert plain.ms == pytest.approx(measured.metrics["latency_ms"])


def test_where_no_fresh_process_can_measure_this_one_does_and_says_why(measured):
    [found] = screener(plain=measured).latencies([WITH_SE], max_seconds=1)
    assert (found.processes, found.in_one_process) == (1, "ATTNAS_FRESH_PROCESSES is 0")


def test_fresh_processes_are_told_all_that_they_need(measured, monkeypatch):
    asked = []

    def measure(device, architectures, plain, **settings):
        asked.append((architectures, plain, settings))
        return [Latency(3.0, 2.9, 3.1, 1.5, 48, 12, 6)]

    monkeypatch.setattr(module, "in_fresh_processes", measure)
    one = screener(("latency_ms", "<= 1.5x"), plain=measured, plugins=["own_blocks"])
    [found] = one.latencies([WITH_SE], max_seconds=1)
    [(architectures, plain, settings)] = asked
    assert (found.processes, architectures, plain) == (6, [WITH_SE], PLAIN)
    plain_ms = measured.metrics["latency_ms"]
    assert settings == {
        "seed": 0,
        "reference_ms": plain_ms,
        "bound_ms": 1.5 * plain_ms,
        "max_seconds": 1,
        "plugins": ("own_blocks",),
    }


def test_the_table_is_of_the_screeners_space_and_relative_to_its_plain_backbone(
    measured, monkeypatch, tmp_path
):
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path))
    space = SearchSpace.create(BACKBONE, blocks=["none", "se"], ratios=[4], placements=["residual"])
    twice = Screening({**measured.metrics, "latency_ms": 2 * measured.metrics["latency_ms"]})
    told = []
    one = screener(plain=twice, space=space)
    table = one.table(told.append, lambda *numbers: told.append(numbers))
    assert told[0].startswith("Measuring the latency table of counting")
    assert told[-2] == (space.size, space.size)
    count = parameters(build(WITH_SE, seed=0))
    found = table.cost.at(space.positions(WITH_SE))
    assert found == pytest.approx(2 * count * MS_A_PARAMETER, rel=0.01)
    assert one.table(print).cost == table.cost  # read, not measured again


def test_the_plain_backbone_can_break_a_constraint_too(measured):
    violations = screener(("params", "<= 0.5x"), plain=measured).screen(PLAIN).violations
    assert violations == {"params <= 0.5x": pytest.approx(1.0)}


def test_a_network_outside_the_space_can_be_screened(measured):
    outside = Architecture.read(BACKBONE, stage_decisions(BACKBONE), ["cbam:r2@post"] * 3)
    screening = screener(plain=measured).screen(outside)
    count = parameters(build(outside, seed=0))
    assert screening.metrics["latency_ms"] == pytest.approx(count * MS_A_PARAMETER)


def test_what_a_decision_on_the_backbone_changes_is_measured():
    space = SearchSpace.create(
        BACKBONE,
        blocks=["none"],
        ratios=[4],
        placements=["residual"],
        arguments={"width": [4, 8]},
    )
    narrow = space.architecture(["4", "none", "none", "none"])
    one = screener(space=space)
    assert one.screen(narrow).metrics["params"] < 0.3 * one.plain.metrics["params"]


@pytest.fixture
def registered():
    """Registers a metric for the test only."""
    names = []

    def register(name, measure, **properties):
        names.append(name)
        return register_metric(name, better="min", **properties)(measure)

    yield register
    for name in names:
        del METRICS._found[name], METRICS._defined[name]


def widest(network, input_shape):
    """Channels of the widest layer."""
    assert not network.training
    assert input_shape == (1, 8, 8)
    return max(p.shape[0] for p in network.parameters())


def test_a_cheap_metric_of_the_users_is_computed_where_it_is_asked_for(registered, measured):
    registered("widest", widest, cheap=True)
    one = screener(metrics=["widest", "params", "accuracy", "no such metric"])
    assert one.screen(WITH_SE).metrics["widest"] == one.plain.metrics["widest"] == 32.0
    assert one.plain.metrics.keys() == {*measured.metrics, "widest"}
    assert "widest" not in screener(plain=measured).screen(WITH_SE).metrics


def test_a_cheap_metric_may_use_its_network_up_and_its_draws_repeat(registered, measured):
    def wrecks(network, input_shape):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
        return torch.rand(())

    registered("drawn", wrecks, cheap=True)
    torch.manual_seed(1)
    after = torch.rand(3)
    torch.manual_seed(1)
    one = screener(metrics=["drawn"])
    assert torch.equal(torch.rand(3), after)
    assert all(p.abs().sum() > 0 for p in one._reference.parameters() if p.ndim > 1)
    assert one.screen(WITH_SE).metrics["drawn"] == one.plain.metrics["drawn"]


def test_a_cheap_metric_of_the_users_can_be_constrained(registered, measured):
    registered("widest", widest, cheap=True)
    plain = Screening({**measured.metrics, "widest": 32.0})
    for bound, kept in (("<= 1x", True), ("<= 0.5x", False), ("<= 31", False)):
        one = screener(("widest", bound), plain=plain, metrics=["widest"])
        assert (one.screen(WITH_SE).violations == {}) == kept
        assert (one.device.prepared != []) == kept


def data_of_noise():
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(256, (24, 1, 8, 8), dtype=torch.uint8, generator=draw)
    pool = Pool(images, torch.arange(24) % 2)
    return Data(pool, pool, pool, ("a", "b"), {})


def test_proxies_come_before_the_clock_and_can_be_constrained(measured):
    recipe = Recipe(batch_size=16, precision="float32")
    task = make_task("classification", {})
    proxies = BatchProxies(["naswot", "grad_norm"], data_of_noise(), task, recipe, seed=0)
    one = screener(proxies=proxies)
    assert one.plain.metrics.keys() == {*measured.metrics, "naswot", "grad_norm"}
    found = one.screen(WITH_SE).metrics
    assert found.keys() == one.plain.metrics.keys()
    assert all(math.isfinite(value) for value in found.values())
    assert proxies(WITH_SE).items() <= found.items()
    strict = screener(("grad_norm", ">= 1e9"), plain=one.plain, proxies=proxies)
    screening = strict.screen(WITH_SE)
    assert screening.violations == {"grad_norm >= 1000000000": pytest.approx(1, abs=1e-3)}
    assert strict.device.prepared == []
