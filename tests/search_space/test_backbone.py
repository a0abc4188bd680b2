import json

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.search_space import Backbone, InputError, Insertion, Stage, Unit
from attnas.search_space.backbone import freeze_arguments

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), 10)

texts = st.text("abcxyz_.", min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
insertions = st.builds(Insertion, st.sampled_from(["at", "before", "after"]), texts | st.just(""))
sites = st.dictionaries(texts, insertions, max_size=3).map(lambda found: tuple(found.items()))
units = st.lists(st.builds(Unit, texts, sites), min_size=1, max_size=3).map(tuple)
stages = st.lists(st.builds(Stage, texts, units), max_size=3).map(tuple)


@st.composite
def described(draw):
    sides = st.integers(1, 512)
    return Backbone(
        name="package.module:function",
        arguments=freeze_arguments(draw(st.dictionaries(texts, values, max_size=3))),
        input_shape=draw(st.tuples(sides, sides, sides)),
        classes=draw(st.integers(2, 1000)),
        stages=draw(stages),
    )


@settings(max_examples=40, deadline=None)
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
        "classes": 10,
    }


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"classes": None}, 'TypeError("int() argument must be a string'),
        ({"input_shape": [1, 8]}, "ValueError('not enough values to unpack"),
        ({"arguments": None}, "TypeError("),
        ({"stages": [{"name": "one"}]}, "KeyError('units')"),
        (
            {
                "stages": [
                    {"name": "one", "units": [{"path": "a", "sites": {"post": {"behind": "b"}}}]}
                ]
            },
            "ValueError(\"'behind' is not one of at, before, after\")",
        ),
    ],
)
def test_what_is_not_of_the_plain_form_is_refused(change, cause):
    with pytest.raises(InputError) as caught:
        Backbone.from_dict(CIFAR.to_dict() | change)
    assert str(caught.value).startswith(
        "backbone: a backbone has name, arguments, input_shape (channels, height, width), classes "
        f"and for a network of your own stages; this one does not: {cause}"
    )


def test_an_argument_that_cannot_be_kept_is_refused():
    with pytest.raises(InputError) as caught:
        freeze_arguments({"sizes": [1, {"a": 2}]}, key="arguments")
    assert str(caught.value) == (
        "arguments.sizes[1]: an argument is a number, a text, true, false, null or a list of "
        "those, not {'a': 2}."
    )


@pytest.mark.parametrize(
    ("shape", "classes", "expected"),
    [
        ((1, 8), 10, "input_shape is (channels, height, width), not (1, 8)"),
        ((1, 8, 0), 10, "input_shape is (channels, height, width), not (1, 8, 0)"),
        ((1, 8, 8), 1, "a classifier needs at least 2 classes, not 1"),
    ],
)
def test_shapes_and_classes_that_cannot_be_are_a_callers_mistake(shape, classes, expected):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Backbone("resnet_cifar", (), shape, classes)
    assert str(caught.value) == expected


def test_every_network_is_a_new_one_and_draws_from_torchs_generator():
    torch.manual_seed(0)
    first, second = CIFAR.network(), CIFAR.network()
    assert first is not second
    assert not torch.equal(first.head[-1].weight, second.head[-1].weight)
    torch.manual_seed(0)
    again = CIFAR.network()
    assert all(map(torch.equal, first.state_dict().values(), again.state_dict().values()))


def test_sites_are_found_once_for_equal_backbones_and_move_no_generator():
    backbone = Backbone("resnet_cifar", (("width", 7),), (2, 9, 9), 3)
    state = torch.get_rng_state()
    found = backbone.sites("layer2")
    assert torch.equal(torch.get_rng_state(), state)
    assert Backbone("resnet_cifar", (("width", 7),), (2, 9, 9), 3).sites("layer2") is found


def test_an_unknown_stage_is_refused():
    with pytest.raises(InputError) as caught:
        CIFAR.sites("layer4")
    assert str(caught.value) == "unknown stage 'layer4'. Did you mean 'layer3'?"


def test_a_network_that_does_not_describe_itself_needs_stages():
    with pytest.raises(InputError) as caught:
        Backbone("torch.nn:Flatten", (), (1, 8, 8), 64).sites("one")
    assert str(caught.value) == (
        "search_space.backbone.stages: a Flatten does not say where blocks may stand. "
        "Give its stages."
    )
