"""The table on a device whose time is made up: a network takes as long as it has parameters."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from attnas.evaluator import AdditiveCost, LatencyTable
from attnas.evaluator.latency_table import (
    TableError,
    design,
    fit_latency_table,
    held_out_error,
    make_latency_table,
    wanted_networks,
)
from attnas.search_space import Backbone, SearchSpace
from attnas.search_space.build import build

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, 8, 8), 4)
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[2, 4], placements=["residual", "post"]
)
MS_A_PARAMETER = 0.0001


class CountingDevice:
    """Moves its clock by 0.1 microseconds for each parameter of the network."""

    name, threads, batch_size = "counting", 1, 1

    def __init__(self, noise=0.0):
        self.ns, self.noise, self.rng = 0, noise, np.random.default_rng(0)

    def prepare(self, network, input_shape):
        ns = parameters(network) * MS_A_PARAMETER * 1e6

        def run():
            self.ns += round(ns * np.exp(self.noise * self.rng.standard_normal()))

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


def latency_ms(architecture):
    return parameters(build(architecture, seed=0)) * MS_A_PARAMETER


@pytest.fixture(scope="module")
def table():
    return make_latency_table(SPACE, CountingDevice(noise=0.01))


def test_the_table_finds_the_costs_that_add_up_on_networks_it_has_not_seen(table):
    taken = set(design(SPACE, np.random.default_rng((0, 0)), wanted_networks(SPACE)))
    unseen = [a for a in SPACE.enumerate() if a not in taken][:30]
    truth = np.array([latency_ms(a) for a in unseen])
    predicted = np.array([table.predict(a) for a in unseen])
    assert np.abs(predicted / truth - 1).mean() < 0.005
    assert kendalltau(predicted, truth).statistic > 0.9  # some differ by three parameters
    assert table.error.networks == 60
    assert table.error.mape < 0.01
    assert table.error.mape < table.error.margin < 0.05
    assert table.trusted


def test_the_entries_are_milliseconds_over_the_plain_backbone_with_their_errors(table):
    option = [str(c) for c in SPACE.allowed[2]].index("se:r2@residual")
    true = latency_ms(SPACE.architecture(["none", "none", "se:r2@residual"])) - latency_ms(
        SPACE.plain
    )
    assert abs(table.cost.costs[2][option] - true) < 4 * table.standard_errors[2][option]
    assert [stage[0] for stage in table.cost.costs] == [0.0, 0.0, 0.0]
    assert [len(stage) for stage in table.standard_errors] == [len(o) for o in SPACE.allowed]


def test_the_plain_backbone_takes_what_was_measured(table):
    assert table.predict(SPACE.plain) == table.plain_ms
    assert table.plain_ms == pytest.approx(latency_ms(SPACE.plain), rel=0.01)


def test_relative_to_another_session_all_figures_are_scaled_alike(table):
    twice = table.relative_to(2 * table.plain_ms)
    for architecture in (SPACE.plain, SPACE.at(17), SPACE.at(111)):
        assert twice.predict(architecture) == pytest.approx(2 * table.predict(architecture))
    assert twice.standard_errors[1][2] == 2 * table.standard_errors[1][2]
    assert twice.error == table.error


def test_what_is_surely_above_a_bound_is_above_it_by_more_than_the_margin():
    cost = AdditiveCost("latency_ms", 2.0, tuple((1.0,) * len(o) for o in SPACE.allowed))
    table = LatencyTable(SPACE, cost, TableError(0.02, 0.9, 0.9, margin=0.1))
    five = SPACE.at(40)
    assert table.predict(five) == 5.0
    assert table.surely_above(five, 4.54)
    assert not table.surely_above(five, 4.55)
    unknown = LatencyTable(SPACE, cost, TableError(0.02, 0.9, 0.9))
    assert not unknown.surely_above(five, 0.001)


def test_the_error_is_that_of_the_written_definitions():
    measured, predicted = np.array([1.0, 2.0, 4.0]), np.array([1.1, 1.8, 4.4])
    error = held_out_error(predicted, measured)
    assert error.mape == pytest.approx(0.1)
    assert error.tau == 1.0
    missed = 0.1**2 + 0.2**2 + 0.4**2
    assert error.r2 == pytest.approx(1 - missed / (14 / 3))  # squares about the mean of 7/3
    assert error.margin == pytest.approx(0.1)
    twenty = held_out_error(1 + np.arange(41) / 100, np.ones(41))
    assert twenty.margin == pytest.approx(0.38)  # 39 of 41 are at most so


def test_one_network_has_no_error_and_a_table_of_it_is_not_trusted():
    table = fit_latency_table(SPACE, [SPACE.at(5)], [1.2], plain_ms=3.0)
    assert math.isnan(table.error.mape)
    assert not table.trusted
    with pytest.raises(ValueError, match="needs measured networks"):
        fit_latency_table(SPACE, [], [], plain_ms=3.0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), networks=st.integers(1, 60))
def test_every_option_of_a_stage_stands_about_equally_often(seed, networks):
    found = design(SPACE, np.random.default_rng(seed), networks)
    assert len(set(found)) == len(found) == networks
    for stage, options in enumerate(SPACE.allowed):
        counts = [sum(a.choices[stage] == option for a in found) for option in options]
        # equal but for an unfinished turn and for a network drawn twice now and then
        assert max(counts) - min(counts) <= 5


def test_a_small_space_is_measured_whole():
    small = SearchSpace.create(BACKBONE, blocks=["none", "eca"], ratios=[2], placements=["post"])
    assert wanted_networks(small) == small.size == 8
    found = design(small, np.random.default_rng(0), 8)
    assert set(found) == set(small.enumerate())


def test_measuring_stops_when_the_time_is_up_and_says_how_far_it_is():
    told = []
    table = make_latency_table(
        SPACE, CountingDevice(), seconds=0, progress=lambda *args: told.append(args)
    )
    assert told == [(6, 60)]
    assert table.error.networks == 6


def test_a_known_latency_of_the_plain_backbone_is_taken():
    table = make_latency_table(SPACE, CountingDevice(), seconds=0, plain_ms=50.0)
    assert table.plain_ms == 50.0
    assert 40 < table.cost.base < 60
