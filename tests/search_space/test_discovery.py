"""Stages, units and sites of networks that do not describe themselves."""

import pytest
import torch

from attnas.core import InputError
from attnas.search_space import (
    Architecture,
    build,
    make_backbone,
    stage_decisions,
)
from attnas.search_space.discovery import discover

from . import own_networks as own

HERE = own.__name__


def backbone(network, input_shape=(3, 16, 16), **arguments):
    return make_backbone(
        factory=f"{HERE}:{network}",
        arguments=arguments,
        input_shape=input_shape,
        output_shape=(3,),
    )


def sites(found, stage):
    """By placement: path, layout and (C, H, W) in the last unit of a stage."""
    placed = found.units(stage)[-1].sites
    return {
        name: (site.path, str(site.layout), (site.channels, site.height, site.width))
        for name, site in placed.items()
    }


def computes_the_same(found, option):
    """Whether the network with the block in every stage that has the site starts as the plain."""
    decisions = stage_decisions(found)
    plain = Architecture.plain(found, decisions)
    placement = option.partition("@")[2]
    texts = [
        option if placement in found.units(d.name)[-1].sites else d.plain(found) for d in decisions
    ]
    changed = Architecture.read(found, decisions, texts)
    assert changed != plain
    x = torch.randn(2, *found.input_shape)
    one, other = build(plain, seed=0).eval(), build(changed, seed=0).eval()
    y = other(x)
    y.sum().backward()
    added = set(dict(other.named_parameters())) - set(dict(one.named_parameters()))
    blocks = [p for n, p in other.named_parameters() if ".block." in f".{n}" and n in added]
    assert blocks
    assert all(p.grad is not None for p in blocks)
    return torch.allclose(one(x), y, atol=1e-5)


def test_a_residual_network_has_the_ends_of_its_branches():
    found = backbone("Residual")
    assert found.stage_names == ("layer1", "layer2")
    assert [pattern.units for pattern in found.stages] == [("layer1.*",), ("layer2.*",)]
    assert sites(found, "layer2") == {
        "pre": ("layer2.1", "nchw", (16, 4, 4)),
        "post": ("layer2.1", "nchw", (16, 4, 4)),
        "block": ("layer2.1", "nchw", (16, 4, 4)),
        "residual": ("layer2.1.bn2", "nchw", (16, 4, 4)),
        "replace": ("layer2.1.conv2", "nchw", (16, 4, 4)),
    }
    assert computes_the_same(found, "se:r4@residual")


def test_an_inverted_residual_has_its_expansion_and_the_attention_that_is_there():
    found = backbone("Mobile")
    assert found.stage_names == ("stage1", "stage2")
    assert "attention" not in sites(found, "stage1")
    assert sites(found, "stage2") == {
        "pre": ("blocks.1.1", "nchw", (12, 4, 4)),
        "post": ("blocks.1.1", "nchw", (12, 4, 4)),
        "block": ("blocks.1.1", "nchw", (12, 4, 4)),
        "residual": ("blocks.1.1.bn2", "nchw", (12, 4, 4)),
        "expanded": ("blocks.1.1.project", "nchw", (24, 4, 4)),
        "attention": ("blocks.1.1.se", "nchw", (24, 4, 4)),
    }
    assert found.units("stage2")[0].sites["attention"].attention
    assert computes_the_same(found, "se:r4@expanded")


def test_channels_that_come_last_are_seen_also_where_the_sizes_are_equal():
    found = backbone("ChannelsLast")
    assert sites(found, "blocks")["post"] == ("blocks.1", "nhwc", (8, 8, 8))
    assert sites(found, "blocks")["residual"] == ("blocks.1.mlp", "nhwc", (8, 8, 8))
    assert computes_the_same(found, "se:r4@residual")
    wider = backbone("ChannelsLast", channels=12)
    assert sites(wider, "blocks")["pre"] == ("blocks.1", "nhwc", (12, 8, 8))


@pytest.mark.parametrize(("leading", "name"), [(1, "cls_token"), (4, "register_tokens")])
def test_tokens_before_the_map_are_known_by_their_parameters(leading, name):
    found = backbone("Tokens", leading=leading, name=name)
    assert sites(found, "layers")["post"] == ("layers.1", f"tokens+{leading}", (8, 4, 4))
    assert computes_the_same(found, "cbam:r4@residual")


def test_a_last_unit_of_which_only_the_class_token_is_used_is_left_out():
    found = discover(own.Tokens(pooled=False), (3, 16, 16), key="here")
    assert [stage.units for stage in found.stages] == [("layers.0",)]
    assert found.notes == ("layers.1: of what it gives only the class token is used",)


def test_signals_are_maps_of_height_one():
    found = backbone("Signals", input_shape=(2, 20))
    assert sites(found, "units")["residual"] == ("units.1.bn2", "signal", (6, 1, 10))
    assert computes_the_same(found, "eca@residual")


def test_without_units_the_activations_are_those():
    found = backbone("Plain")
    assert found.stage_names == ("stage1", "stage2")
    assert sites(found, "stage2")["post"] == ("features.4", "nchw", (8, 8, 8))
    assert computes_the_same(found, "se:r4@post")


def test_a_layout_that_is_not_to_be_seen_is_not_guessed():
    with pytest.raises(InputError) as caught:
        backbone("Hidden", input_shape=(3, 8, 8))
    assert str(caught.value) == (
        "search_space.backbone.stages: no places for blocks were found in the Hidden. Give its "
        "stages: the module paths of units and sites."
    )
    stages = {"all": {"units": ["units.*"], "sites": {"post": {"after": ""}}}}
    arguments = {
        "factory": f"{HERE}:Hidden",
        "arguments": {},
        "input_shape": (3, 8, 8),
        "output_shape": (3,),
    }
    with pytest.raises(InputError) as caught:
        make_backbone(**arguments, stages=stages)
    assert str(caught.value) == (
        "search_space.backbone.stages.all.sites.post: a block at the module 'units.0' gets a "
        "tensor of shape (1, 8, 8, 8), whose layout the modules around it do not show. Add it to "
        "the site: 'layout' is nchw, nhwc, signal, tokens, or tokens+1 with one class token "
        "before those of the map."
    )
    stages["all"]["sites"]["post"]["layout"] = "nhwc"
    found = make_backbone(**arguments, stages=stages)
    assert sites(found, "all") == {"post": ("units.1", "nhwc", (8, 8, 8))}


def test_a_layout_that_does_not_fit_is_refused():
    stages = {"all": {"units": ["blocks.*"], "sites": {"post": {"after": "", "layout": "signal"}}}}
    with pytest.raises(InputError) as caught:
        make_backbone(
            factory=f"{HERE}:ChannelsLast",
            arguments={},
            stages=stages,
            input_shape=(3, 16, 16),
            output_shape=(3,),
        )
    assert str(caught.value) == (
        "search_space.backbone.stages.all.sites.post.layout: a block at the module 'blocks.0' "
        "gets a tensor of shape (1, 8, 8, 8), which is not signal."
    )


def test_a_description_that_was_found_is_the_one_that_is_written():
    found = backbone("Mobile")
    again = make_backbone(
        factory=found.name,
        arguments={},
        stages={
            stage.name: {"units": list(stage.units), "sites": stage.to_dict()["sites"]}
            for stage in found.stages
        },
        input_shape=found.input_shape,
        output_shape=found.output_shape,
    )
    assert again == found
    assert type(found).from_dict(found.to_dict()) == found


def test_attention_outside_of_units_is_said_to_be_left_alone():
    assert discover(own.Mobile(), (3, 16, 16), key="here").notes == ()
    found = discover(own.Mobile(late=True), (3, 16, 16), key="here")
    assert found.notes == ("attention that no site replaces: late",)


def test_a_network_that_does_not_run_is_refused():
    with pytest.raises(InputError) as caught:
        discover(own.Mobile(), (2, 16, 16), key="here")
    assert str(caught.value).startswith("here: the network does not run on an input of 2 x 16 x 16")
