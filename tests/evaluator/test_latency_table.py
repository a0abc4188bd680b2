"""The table on a device whose time is made up: a network takes as long as it has parameters."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from attnas.core import AdditiveCost
from attnas.evaluator import LatencyTable
from attnas.evaluator.latency_table import (
    TableError,
    design,
    fit_latency_table,
    held_out_error,
    make_latency_table,
    wanted_networks,
)
from attnas.search_space import Backbone, SearchSpace, build

from .counting import CountingDevice, parameters

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, 8, 8), (4,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "eca"], ratios=[2, 4], placements=["residual", "post"]
)
MS_A_PARAMETER = 0.0001


def latency_ms(architecture):
    return parameters(build(architecture, seed=0)) * MS_A_PARAMETER


@pytest.fixture(scope="module")
def table():
    return make_latency_table(SPACE, CountingDevice(MS_A_PARAMETER, noise=0.01))


def test_the_table_finds_the_costs_that_add_up_on_networks_it_has_not_seen(table):
    taken = set(design(SPACE, np.random.default_rng((0, 0)), wanted_networks(SPACE)))
    unseen = [a for a in SPACE.enumerate() if a not in taken][:30]
    truth = np.array([latency_ms(a) for a in unseen])
    predicted = np.array([table.predict(a) for a in unseen])
    assert np.abs(predicted / truth - 1).mean() < 0.005
    assert kendalltau(predicted, truth).statistic > 0.8  # some differ by three parameters
    assert table.error.networks == 60
    assert table.error.mape < 0.01
    assert table.error.mape < table.error.margin < 0.05
    assert table.trusted


def test_the_entries_are_milliseconds_over_the_plain_backbone_with_their_errors(table):
    option = SPACE.options[2].index("se:r2@residual")
    true = latency_ms(SPACE.architecture(["none", "none", "se:r2@residual"])) - latency_ms(
        SPACE.plain
    )
    assert abs(table.cost.costs[2][option] - true) < 4 * table.standard_errors[2][option]
    assert [stage[0] for stage in table.cost.costs] == [0.0, 0.0, 0.0]
    assert [len(stage) for stage in table.standard_errors] == [len(o) for o in SPACE.options]


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
    cost = AdditiveCost("latency_ms", 2.0, tuple((1.0,) * len(o) for o in SPACE.options))
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
    for stage, options in enumerate(SPACE.options):
        counts = [sum(a.options[stage] == option for a in found) for option in options]
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
        SPACE, CountingDevice(MS_A_PARAMETER), seconds=0, progress=lambda *args: told.append(args)
    )
    assert told == [(6, 60)]
    assert table.error.networks == 6


def test_a_known_latency_of_the_plain_backbone_is_taken():
    table = make_latency_table(SPACE, CountingDevice(MS_A_PARAMETER), seconds=0, plain_ms=50.0)
    assert table.plain_ms == 50.0
    assert 40 < table.cost.base < 60


def test_an_architecture_outside_the_space_has_no_prediction(table):
    with pytest.raises(ValueError, match="an option is not in the search space"):
        table.predict(SPACE.read(["se:r8@residual", "none", "none"]))


def test_widths_and_depths_have_entries_like_attention():
    backbone = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (3, 8, 8), (4,))
    space = SearchSpace.create(
        backbone,
        blocks=["none"],
        ratios=[2],
        placements=["post"],
        stages={"layer3": {"blocks": ["none", "se"]}},
        arguments={"width": [6, 8]},
        depth=[1, 2],
    )
    table = make_latency_table(space, CountingDevice(MS_A_PARAMETER))
    assert space.names[0] == "width"
    assert [len(entries) for entries in table.cost.costs] == list(map(len, space.options))
    truth = [latency_ms(a) for a in space.enumerate()]
    predicted = [table.predict(a) for a in space.enumerate()]
    # parameters of a narrower or shallower network do not add up: near the truth, and in order
    assert kendalltau(predicted, truth).statistic > 0.85
    narrow = table.cost.costs[0][space.options_of("width").index("6")]
    shallow = table.cost.costs[space.names.index("layer3.depth")][0]
    assert narrow < 0
    assert shallow < 0
    assert table.predict(space.plain) == table.plain_ms


def test_a_table_goes_to_another_process_as_it_is(table):
    assert pickle.loads(pickle.dumps(table)) == table
