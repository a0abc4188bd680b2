import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.core import AdditiveCost
from attnas.evaluator import additive_costs
from attnas.evaluator.complexity import complexity
from attnas.search_space import SearchSpace, build, make_backbone

GATES = ["se", "eca", "cbam", "coord", "gc", "simam", "sse"]
OTHERS = ["mhsa", "maxpool", "pat_ch", "dual", "ge_theta"]


def space_of(name, identity_start, others=(), **arguments):
    backbone = make_backbone(
        name=name, arguments=arguments, input_shape=(3, 8, 8), output_shape=(4,)
    )
    placements = ["residual", "pre", "post"] if name != "mobilenetv2" else ["expanded", "post"]
    if others:
        placements = ["replace", "residual", "post", "block"]
    return SearchSpace.create(
        backbone,
        blocks=["none", *(others or GATES)],
        ratios=[2, 4],
        placements=placements,
        identity_start=identity_start,
    )


SPACES = [
    space_of("resnet_cifar", True, depth=8, width=8),
    space_of("resnet_cifar", False, depth=8, width=8),
    space_of("mobilenetv2", True, width=0.25),
    space_of("resnet_cifar", True, OTHERS, depth=8, width=8),
]


@settings(max_examples=12, deadline=None)
@given(space=st.sampled_from(SPACES), data=st.data())
def test_the_costs_of_a_networks_choices_add_up_to_what_counting_it_whole_gives(space, data):
    architecture = space.at(data.draw(st.integers(0, space.size - 1)))
    counted = complexity(build(architecture, seed=0), space.backbone.input_shape)
    for metric, cost in additive_costs(space, ("params", "flops", "activations")).items():
        assert cost.metric == metric
        assert cost.at(space.positions(architecture)) == getattr(counted, metric)


def test_a_block_in_place_of_a_strided_convolution_costs_what_that_does_not():
    backbone = make_backbone(
        name="resnet", arguments={"depth": 50}, input_shape=(3, 32, 32), output_shape=(4,)
    )
    space = SearchSpace.create(
        backbone,
        blocks=["none", "window"],
        ratios=[],
        placements=["replace"],
        stages={stage: {"choice": "none"} for stage in ("layer1", "layer3", "layer4")},
    )
    architecture = space.architecture(["none", "window@replace", "none", "none"])
    counted = complexity(build(architecture, seed=0), backbone.input_shape)
    for metric, cost in additive_costs(space, ("params", "flops")).items():
        assert cost.at(space.positions(architecture)) == getattr(counted, metric)


def test_the_plain_backbone_costs_the_base_and_none_adds_nothing():
    cost = additive_costs(SPACES[0])["params"]
    plain = build(SPACES[0].plain, seed=0)
    assert cost.base == sum(p.numel() for p in plain.parameters())
    assert [stage[0] for stage in cost.costs] == [0.0, 0.0, 0.0]


def test_the_mean_cost_over_all_architectures_is_that_of_the_mean_entries():
    space = SearchSpace.create(
        SPACES[0].backbone, blocks=["none", "se", "eca"], ratios=[2], placements=["residual"]
    )
    cost = additive_costs(space)["flops"]
    weights = [np.array(w) / sum(w) for w in ([1, 2, 3], [4, 1, 1], [0, 1, 1])]
    mean = sum(
        cost.at(place) * math.prod(w[i] for w, i in zip(weights, place, strict=True))
        for place in map(space.positions, space.enumerate())
    )
    expected = cost.base + sum(w @ entries for w, entries in zip(weights, cost.costs, strict=True))
    assert expected == pytest.approx(mean, rel=1e-12)
    every = [cost.at(space.positions(architecture)) for architecture in space.enumerate()]
    assert cost.span == (min(every), max(every))


def test_the_attention_of_single_units_adds_up_too():
    space = SearchSpace.create(
        SPACES[0].backbone, blocks=["none", "se"], ratios=[2], placements=["post"], per="unit"
    )
    whole = space.at(space.size - 1)
    assert "none" not in whole.options
    counted = complexity(build(whole, seed=0), space.backbone.input_shape)
    assert additive_costs(space)["params"].at(space.positions(whole)) == counted.params


@pytest.mark.parametrize("decided", [{"arguments": {"width": [4, 8]}}, {"depth": [1, 2]}])
def test_what_attention_does_not_decide_does_not_add_up_and_is_refused(decided):
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 14, "width": 8},
        input_shape=(3, 8, 8),
        output_shape=(4,),
    )
    space = SearchSpace.create(
        backbone, blocks=["none", "se"], ratios=[2], placements=["post"], **decided
    )
    with pytest.raises(ValueError, match="only the costs of attention add up exactly"):
        additive_costs(space)


def test_counting_leaves_torchs_generator_as_it_was():
    space = SearchSpace.create(
        SPACES[0].backbone, blocks=["none", "se"], ratios=[4], placements=["post"]
    )
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    additive_costs(space)
    assert torch.equal(torch.rand(3), wanted)


def test_what_does_not_add_up_and_what_is_not_in_the_space_are_refused():
    with pytest.raises(ValueError, match=r"^peak_memory_mb does not add up over decisions$"):
        additive_costs(SPACES[0], ["peak_memory_mb"])
    cost = AdditiveCost("params", 1.0, tuple((0.0,) * len(o) for o in SPACES[0].options))
    stranger = SPACES[0].read(["se:r16@residual", "none", "none"])
    place = SPACES[0].positions(stranger)
    assert place == [None, 0, 0]
    with pytest.raises(ValueError, match=r"^\[None, 0, 0\]: an option is not in the search space"):
        cost.at(place)
