import json
import os
import pickle
import subprocess
import sys

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.core import InputError
from attnas.search_space import Backbone, Insertion, StagePattern
from attnas.search_space.backbone import freeze_arguments
from attnas.search_space.stages import MODES

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (10,))

texts = st.text("abcxyz_.", min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
insertions = st.builds(Insertion, st.sampled_from(MODES), texts | st.just(""))
placements = st.text("abz_", min_size=1, max_size=8)
sites = st.dictionaries(placements, insertions, max_size=3).map(lambda f: tuple(sorted(f.items())))
units = st.lists(texts, min_size=1, max_size=3).map(tuple)
stages = st.lists(st.builds(StagePattern, texts, units, sites), max_size=3).map(tuple)
shapes = st.lists(st.integers(1, 512), min_size=1, max_size=3).map(tuple)


@st.composite
def described(draw):
    return Backbone(
        name="package.module:function",
        arguments=freeze_arguments(draw(st.dictionaries(texts, values, max_size=3))),
        input_shape=draw(shapes),
        output_shape=draw(shapes | st.just(())),
        stages=draw(stages),
    )


@settings(max_examples=40)
@given(described())
def test_a_backbone_survives_its_way_through_yaml_and_json(backbone):
    plain = backbone.to_dict()
    assert Backbone.from_dict(yaml.safe_load(yaml.safe_dump(plain, sort_keys=False))) == backbone
    assert Backbone.from_dict(json.loads(json.dumps(plain))) == backbone
    assert hash(Backbone.from_dict(plain)) == hash(backbone)


def test_the_plain_form_of_one_of_ours_is_short():
    assert CIFAR.to_dict() == {
        "name": "resnet_cifar",
        "arguments": {"depth": 8, "width": 4},
        "input_shape": [1, 8, 8],
        "output_shape": [10],
    }


def test_a_backbone_of_format_1_has_its_classes_as_output_and_units_with_sites_of_their_own():
    unit = {"post": {"after": ""}, "residual": {"after": "bn2"}}
    found = Backbone.from_dict(
        {
            "name": "package.module:function",
            "arguments": {},
            "input_shape": [3, 8, 8],
            "classes": 5,
            "stages": [
                {
                    "name": "body",
                    "units": [
                        {"path": "layer1.0", "sites": unit | {"identity": {"after": "down"}}},
                        {"path": "layer1.1", "sites": unit},
                    ],
                }
            ],
        }
    )
    assert found.output_shape == (5,)
    [stage] = found.stages
    assert (stage.name, stage.units) == ("body", ("layer1.0", "layer1.1"))
    assert dict(stage.sites) == {
        "identity": Insertion("after", "down"),
        "post": Insertion("after", ""),
        "residual": Insertion("after", "bn2"),
    }
    assert Backbone.from_dict(found.to_dict()) == found


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"output_shape": None}, "TypeError(\"'NoneType' object is not iterable\")."),
        ({"output_shape": [0]}, "ValueError('output_shape has sizes of at least 1, not (0,)')."),
        ({"input_shape": []}, "ValueError('input_shape has sizes of at least 1, not ()')."),
        ({"input_shape": ["a"]}, "ValueError(\"invalid literal for int() with base 10: 'a'\")."),
        ({"arguments": None}, "TypeError(\"'NoneType' object is not iterable\")."),
        ({"stages": [{"name": "one"}]}, "KeyError('units')."),
        ({"stages": ["one"]}, "TypeError(\"string indices must be integers, not 'str'\")."),
    ],
)
def test_what_is_not_of_the_plain_form_is_refused(change, cause):
    with pytest.raises(InputError) as caught:
        Backbone.from_dict(CIFAR.to_dict() | change)
    assert str(caught.value) == (
        "backbone: a backbone has name, arguments, input_shape, output_shape and for a network of "
        f"your own stages; this one does not: {cause}"
    )


def test_a_backbone_without_an_output_is_refused():
    plain = CIFAR.to_dict()
    del plain["output_shape"]
    with pytest.raises(InputError, match=r"this one does not: KeyError\('classes'\)\.$"):
        Backbone.from_dict(plain)


@pytest.mark.parametrize("inside", [True, False], ids=["format 1", "format 2"])
def test_a_site_of_no_known_mode_is_refused_with_its_place(inside):
    sites = {"post": {"behind": "b"}}
    units = [{"path": "a", "sites": sites}] if inside else ["a"]
    stage = {"name": "one", "units": units, "sites": {} if inside else sites}
    with pytest.raises(InputError) as caught:
        Backbone.from_dict(CIFAR.to_dict() | {"stages": [stage]})
    assert str(caught.value) == (
        "backbone.stages.sites.post: a site is {at: path}, {before: path}, {after: path} or "
        "{replace: path}, with a 'layout' if need be; the path is relative to the unit, "
        '"" is the unit itself.'
    )


def test_an_argument_that_cannot_be_kept_is_refused():
    message = (
        "an argument is a number, a string, true, false, null or a list of those, not {'a': 2}."
    )
    with pytest.raises(InputError) as caught:
        freeze_arguments({"sizes": [1, {"a": 2}]}, key="arguments")
    assert str(caught.value) == f"arguments.sizes[1]: {message}"
    with pytest.raises(InputError) as caught:
        CIFAR.with_arguments({"sizes": [1, {"a": 2}]})
    assert str(caught.value) == f"sizes[1]: {message}"


@pytest.mark.parametrize(
    ("shape", "output", "expected"),
    [
        ((), (10,), "input_shape has sizes of at least 1, not ()"),
        ((1, 8, 0), (10,), "input_shape has sizes of at least 1, not (1, 8, 0)"),
        ((1, 8, 8), (0,), "output_shape has sizes of at least 1, not (0,)"),
    ],
)
def test_shapes_that_cannot_be_are_a_callers_mistake(shape, output, expected):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Backbone("resnet_cifar", (), shape, output)
    assert str(caught.value) == expected


# Arguments


def test_arguments_that_are_given_take_the_place_of_ones_own_and_are_sorted():
    wider = CIFAR.with_arguments({"width": 8, "act": ["relu", 3]})
    assert wider.arguments == (("act", ("relu", 3)), ("depth", 8), ("width", 8))
    assert CIFAR.arguments == (("depth", 8), ("width", 4))
    assert CIFAR.with_arguments({}) == CIFAR
    assert (wider.name, wider.input_shape, wider.output_shape) == (
        CIFAR.name,
        CIFAR.input_shape,
        CIFAR.output_shape,
    )


def test_a_variant_has_units_of_its_own():
    deeper = CIFAR.with_arguments({"depth": 20})
    assert [len(backbone.units("layer2")) for backbone in (CIFAR, deeper)] == [1, 3]


# Networks


def test_every_network_is_a_new_one_and_draws_from_torchs_generator():
    torch.manual_seed(0)
    first, second = CIFAR.network(), CIFAR.network()
    assert first is not second
    assert not torch.equal(first.head[-1].weight, second.head[-1].weight)
    torch.manual_seed(0)
    again = CIFAR.network()
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))


def test_a_function_gets_the_first_size_of_the_output_as_classes_if_there_is_one(own_module):
    name = own_module(
        """
        class Own(nn.Module):
            def __init__(self, classes=7):
                super().__init__()
                self.conv = nn.Conv2d(1, classes, 3)

            def forward(self, x):
                return self.conv(x)
        """
    )
    stages = (StagePattern("one", ("conv",), (("post", Insertion("after", "")),)),)
    for output, channels in (((3, 6, 6), 3), ((), 7)):
        backbone = Backbone(f"{name}:Own", (), (1, 8, 8), output, stages)
        assert backbone.network().conv.out_channels == channels
        assert backbone.units("one")[0].sites["post"].channels == channels
    with pytest.raises(InputError, match=r"the network returns shape \(1, 3, 6, 6\)"):
        Backbone(f"{name}:Own", (), (1, 8, 8), (3,), stages).units("one")


def test_sites_are_found_once_for_equal_backbones_and_move_no_generator():
    backbone = Backbone("resnet_cifar", (("width", 7),), (2, 9, 9), (3,))
    state = torch.get_rng_state()
    found = backbone.units("layer2")
    assert torch.equal(torch.get_rng_state(), state)
    assert Backbone("resnet_cifar", (("width", 7),), (2, 9, 9), (3,)).units("layer2") is found
    assert backbone.sites("layer2") == tuple(unit.sites for unit in found)


def test_an_unknown_stage_has_no_units_and_no_sites():
    assert CIFAR.units("layer4") == ()
    with pytest.raises(InputError) as caught:
        CIFAR.sites("layer4")
    assert str(caught.value) == "unknown stage 'layer4'. Did you mean 'layer3'?"


def test_a_network_that_does_not_describe_itself_needs_stages():
    with pytest.raises(InputError) as caught:
        Backbone("torch.nn:Flatten", (), (1, 8, 8), (64,)).sites("one")
    assert str(caught.value) == (
        "search_space.backbone.stages: a Flatten does not say where blocks can be placed. "
        "Give its stages."
    )


# Other processes

SENT = """
import pickle, sys
from attnas.search_space import Backbone
backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (10,))
hash(backbone)
sys.stdout.buffer.write(pickle.dumps(backbone))
"""


def test_a_backbone_of_another_process_is_the_same_key():
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    sent = subprocess.run(
        [sys.executable, "-c", SENT], env=environment, capture_output=True, check=True
    )
    received = pickle.loads(sent.stdout)
    assert received == CIFAR
    assert hash(received) == hash(CIFAR)
    assert len({received, CIFAR}) == 1
