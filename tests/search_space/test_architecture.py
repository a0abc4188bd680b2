import pickle
from dataclasses import dataclass

import pytest

from attnas.core import InputError
from attnas.search_space import Architecture, Argument, Attention, Backbone, Depth, stage_decisions

CIFAR = Backbone("resnet_cifar", (("depth", 14), ("width", 4)), (1, 8, 8), (3,))


@dataclass(frozen=True)
class Sketch:
    """A backbone that only names its stages."""

    stage_names: tuple[str, ...] = ("layer1", "layer2")
    name: str = "sketch"

    def units(self, stage):
        return ()

    def replaces(self, stage):
        return False


SE = "se:r8@residual"
DECISIONS = stage_decisions(Sketch())


def architecture(*options, backbone=None, **others):
    return Architecture(backbone or Sketch(), DECISIONS, options, **others)


def read(options):
    return Architecture.read(Sketch(), DECISIONS, options)


def test_an_architecture_is_read_by_name_or_in_the_order_of_the_decisions():
    found = read({"layer2": "none", "layer1": SE})
    assert found == architecture(SE, "none")
    assert found == read([SE, "none"]) == read((f" {SE}\n", "none"))
    assert found.by_name == {"layer1": SE, "layer2": "none"}
    assert str(found) == "layer1=se:r8@residual layer2=none"


def test_options_are_read_as_their_usual_spelling():
    assert read(["eca:r8@post", "none:r4@pre"]).options == ("eca@post", "none")


def test_equal_architectures_are_one_key():
    keys = {architecture(SE, "none"), architecture(SE, "none")}
    assert len(keys) == 1
    keys.add(architecture(SE, "none", identity_start=False))
    keys.add(architecture(SE, "none", backbone=Sketch(name="other")))
    keys.add(Architecture(Sketch(), DECISIONS[::-1], (SE, "none")))
    assert len(keys) == 4


@pytest.mark.parametrize("identity_start", [True, False])
def test_the_plain_architecture_has_no_block(identity_start):
    plain = Architecture.plain(Sketch(), identity_start=identity_start)
    assert plain == architecture("none", "none", identity_start=identity_start)
    assert plain.is_plain
    assert not architecture("none", SE).is_plain


def test_the_plain_architecture_has_the_plain_option_of_each_decision():
    decisions = (Argument("width"), Depth("layer2"), Attention("layer2", 1))
    plain = Architecture.plain(CIFAR, decisions)
    assert plain.options == ("4", "2", "none")
    assert plain.is_plain
    assert plain.variant == CIFAR
    assert plain.edits == ()


def test_there_is_a_decision_for_the_attention_of_each_stage_unless_others_are_given():
    assert (Attention("layer1"), Attention("layer2")) == DECISIONS
    assert Architecture.plain(Sketch()).decisions == DECISIONS
    assert Architecture.plain(Sketch(), []).options == ()


def test_the_variant_has_the_arguments_that_the_options_give():
    decisions = (Argument("width"), Attention("layer1"), Argument("depth"))
    found = Architecture(CIFAR, decisions, ("8", "none", "20"))
    assert found.variant == Backbone("resnet_cifar", (("depth", 20), ("width", 8)), (1, 8, 8), (3,))
    assert architecture("none", "none").variant == Sketch()


def test_edits_are_those_of_the_variant_in_the_order_of_the_decisions():
    decisions = (Attention("layer2"), Argument("depth"), Attention("layer1", 2))
    found = Architecture(CIFAR, decisions, ("eca@pre", "20", "se:r2@post"))
    assert [edit.path for edit in found.edits] == [
        "layer2.0.pre",
        "layer2.1.pre",
        "layer2.2.pre",
        "layer1.2.post",
    ]


def test_edits_within_a_skipped_unit_are_left_out():
    decisions = (Attention("layer2"), Depth("layer2"))
    found = Architecture(CIFAR, decisions, ("eca@pre", "1"))
    assert [(edit.mode, edit.path) for edit in found.edits] == [
        ("at", "layer2.0.pre"),
        ("remove", "layer2.1"),
    ]


def test_an_architecture_survives_its_way_to_another_process():
    decisions = (Argument("width"), Attention("layer1"), Depth("layer2"))
    found = Architecture(CIFAR, decisions, ("8", "se:r2@post", "1"))
    assert len(found.edits) == 3  # what was computed goes along
    copy = pickle.loads(pickle.dumps(found))
    assert copy == found
    assert hash(copy) == hash(found)
    assert copy.edits == found.edits


def test_a_wrong_number_of_options_is_refused():
    with pytest.raises(ValueError, match=r"^1 options for the 2 decisions on sketch$"):
        architecture("none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"layer1": "none", "layer3": "none"},
            "options are given for layer1, layer3; the decisions are layer1, layer2.",
        ),
        ({}, "options are given for nothing; the decisions are layer1, layer2."),
        (["none"], "one option is needed for each of layer1, layer2, not 'none'."),
        (["none"] * 3, "one option is needed for each of layer1, layer2, not 'none, none, none'."),
        ("none", "one option is needed for each of layer1, layer2, not 'none'."),
        (["none", "se"], "layer2: the option 'se' lacks a placement. Write 'se@residual'."),
        (
            {"layer1": "cbma:r4@post", "layer2": "none"},
            "layer1: unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
    ],
)
def test_options_that_are_not_one_per_decision_are_refused(options, message):
    with pytest.raises(InputError) as caught:
        read(options)
    assert str(caught.value) == message
