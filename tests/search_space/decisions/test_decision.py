"""What all kinds of decisions have in common, and a kind that a user registers."""

import importlib
import json
import pkgutil
from collections import Counter
from dataclasses import dataclass
from itertools import product

import pytest
import torch
import yaml
from torch import nn

from attnas.core import InputError
from attnas.search_space import (
    DECISIONS,
    Architecture,
    Argument,
    Attention,
    Backbone,
    Decision,
    Depth,
    Edit,
    SearchSpace,
    build,
    decision_from_dict,
    decisions,
    from_nni_json,
    register_decision,
    to_nni_json,
)

CIFAR = Backbone("resnet_cifar", (("depth", 14), ("width", 4)), (1, 8, 8), (3,))
LISTS = {"blocks": ["none", "eca"], "ratios": [], "placements": ["residual"]}
ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "none": nn.Identity}


@dataclass(frozen=True)
class Activation(Decision):
    """What is put before the units of some stages."""

    name: str
    stages: tuple[str, ...]
    twice: bool = False

    def plain(self, backbone):
        return "none"

    def read(self, text):
        if text.lower() not in ACTIVATIONS:
            raise InputError(f"unknown activation '{text}'.")
        return text.lower()

    def edits(self, option, backbone):
        if option == "none":
            return ()
        paths = [unit.path for stage in self.stages for unit in backbone.units(stage)]
        return tuple(Edit("before", p, option, lambda _: ACTIVATIONS[option]()) for p in paths)

    def details(self, option, backbone, *, identity_start):
        return {"activation": option}


@pytest.fixture
def activation(own_registers):
    return register_decision("activation")(Activation)


def entry(**changed):
    return {"kind": "activation", "stages": ["layer1"], "options": ["none", "silu"], **changed}


def space(**of_space):
    return SearchSpace.create(CIFAR, **{**LISTS, **of_space})


# Kinds


def test_every_kind_of_the_package_is_found_by_its_name():
    known = list(DECISIONS)
    for module in pkgutil.iter_modules(decisions.__path__):
        importlib.import_module(f"{decisions.__name__}.{module.name}")
    assert list(DECISIONS) == known
    assert {name: kind.kind for name, kind in DECISIONS.items()} == {name: name for name in known}
    assert dict(DECISIONS.items()) == {"argument": Argument, "attention": Attention, "depth": Depth}


def test_a_kind_is_given_to_one_class(activation):
    assert DECISIONS["activation"] is Activation
    assert register_decision("activation")(Activation) is Activation
    other = dataclass(frozen=True)(type("Other", (Depth,), {"__module__": "elsewhere"}))
    with pytest.raises(ValueError, match="kind of decision") as caught:
        register_decision("depth")(other)
    assert str(caught.value) == (
        "kind of decision 'depth' is attnas.search_space.decisions.depth.Depth already; register "
        "elsewhere.Other under another name"
    )
    assert Depth.kind == "depth"


@pytest.mark.parametrize("made", [dataclass, lambda cls: cls], ids=["not frozen", "no dataclass"])
def test_a_class_that_is_no_value_is_not_registered(own_registers, made):
    class Loose(Decision):
        name = "loose"

    with pytest.raises(ValueError, match="kind of decision") as caught:
        register_decision("loose")(made(Loose))
    assert str(caught.value) == (
        f"kind of decision 'loose': {__name__}.{Loose.__qualname__} must be a frozen dataclass"
    )
    assert "loose" not in DECISIONS


# Plain types


@pytest.mark.parametrize(
    ("decision", "plain"),
    [
        (Attention("layer1"), {"kind": "attention", "stage": "layer1"}),
        (Attention("layer1", 0), {"kind": "attention", "stage": "layer1", "unit": 0}),
        (Depth("layer1"), {"kind": "depth", "stage": "layer1"}),
        (Argument("width"), {"kind": "argument", "argument": "width"}),
    ],
)
def test_a_decision_comes_back_from_plain_types(decision, plain):
    assert decision.to_dict() == plain
    assert decision_from_dict(json.loads(json.dumps(plain))) == decision
    assert decision_from_dict(yaml.safe_load(yaml.safe_dump(plain))) == decision
    assert hash(decision_from_dict(plain)) == hash(decision)


def test_a_decision_of_ones_own_comes_back_from_plain_types(activation):
    made = Activation("act", ("layer1", "layer2"))
    plain = json.loads(json.dumps(made.to_dict()))
    assert plain == {
        "kind": "activation",
        "name": "act",
        "stages": ["layer1", "layer2"],
        "twice": False,
    }
    assert decision_from_dict(plain) == made


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"stage": "layer1"}, "is no decision: KeyError('kind')."),
        (
            {"kind": "depht", "stage": "a"},
            "unknown kind of decision 'depht'. Did you mean 'depth'?",
        ),
        (
            {"kind": "depth", "stages": "a"},
            'is no decision: TypeError("Depth.__init__() got an unexpected keyword argument '
            "'stages'\").",
        ),
        (["depth"], "is no decision: AttributeError(\"'list' object has no attribute 'items'\")."),
    ],
)
def test_what_is_no_decision_is_refused(plain, message):
    with pytest.raises(InputError) as caught:
        decision_from_dict(plain)
    assert str(caught.value) == message


@dataclass(frozen=True)
class Short(Decision):
    """Leaves out the second unit of a stage; unless `bare`, puts an activation behind the first."""

    name: str
    stage: str
    bare: bool = False
    structural = True

    def plain(self, backbone):
        return "long"

    def edits(self, option, backbone):
        if option == "long":
            return ()
        first, second, *_ = backbone.units(self.stage)
        removed = Edit("remove", second.path, "skipped", lambda _: nn.Identity())
        if self.bare:
            return (removed,)
        return (
            Edit("after", first.path, "relu", lambda _: nn.ReLU()),
            Edit("at", f"{second.path}.post", "relu", lambda _: nn.ReLU()),
            removed,
        )


# A kind of one's own in a space


def test_a_decision_of_ones_own_is_one_of_the_space(activation):
    made = space(decisions={"act": entry()})
    assert made.names == ("layer1", "layer2", "layer3", "act")
    assert made.decisions[-1] == Activation("act", ("layer1",))
    assert made.options_of("act") == ("none", "silu")
    assert made.size == 2**4
    assert made.plain.by_name["act"] == "none"
    assert not made.is_shared
    chosen = made.architecture({**made.plain.by_name, "act": "SiLU"})
    assert chosen.options[-1] == "silu"
    assert not chosen.is_plain
    assert made.decisions[-1].key == "decisions.act"


def test_a_decision_of_ones_own_is_built(activation):
    made = space(decisions={"act": entry(stages=["layer1", "layer3"])})
    chosen = made.architecture({**made.plain.by_name, "act": "silu"})
    network, plain = build(chosen, seed=1).eval(), build(made.plain, seed=1).eval()
    assert Counter(type(m).__name__ for m in network.modules())["SiLU"] == 4
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def run(units, y):
        for unit in units:
            y = unit(torch.nn.functional.silu(y))
        return y

    y = run(plain.layer1, plain.stem(x))
    expected = plain.head(run(plain.layer3, plain.layer2(y)))
    torch.testing.assert_close(network(x), expected)
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.numel() for p in plain.parameters()
    )


def test_a_decision_of_ones_own_gives_way_to_depth(activation):
    made = space(
        decisions={"act": entry(stages=["layer1"])},
        depth=[1, 2],
        stages={f"layer{i}": {"choice": "none"} for i in (1, 2, 3)},
    )
    cut = made.architecture({**made.plain.by_name, "layer1.depth": "1", "act": "silu"})
    assert [edit.path for edit in cut.edits] == ["layer1.1", "layer1.0"]
    assert Counter(type(m).__name__ for m in build(cut).modules())["SiLU"] == 1


def built(architecture):
    """What a network is made of, but for what is in place of a unit that is left out."""
    network = build(architecture)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters()}
    modules = {n: type(m).__name__ for n, m in network.named_modules()}
    return f"{modules} {shapes}".replace("Skipped", "Identity")


@pytest.mark.parametrize("turned", [False, True], ids=["depth first", "depth last"])
@pytest.mark.parametrize(("bare", "size"), [(False, 2**2 + 2 + 2), (True, 2**2 + 2)])
def test_networks_are_counted_where_a_structural_decision_of_ones_own_takes_units_away(
    own_registers, turned, bare, size
):
    register_decision("short")(Short)
    cut = {"kind": "short", "stage": "layer1", "bare": bare, "options": ["long", "short"]}
    made = space(
        decisions={"cut": cut},
        depth=[1, 2],
        per="unit",
        stages={f"layer{i}": {"choice": "none", "depth": [2]} for i in (2, 3)},
    )
    if turned:
        made = SearchSpace(CIFAR, made.decisions[::-1], made.options[::-1])
    # in layer1 two units with their attention, or one, with an activation behind it or without
    assert made.size == size
    every = list(made.enumerate())
    networks = {built(architecture) for architecture in every}
    assert len(networks) == len(every) == size
    assert {built(made.read(options)) for options in product(*made.options)} == networks
    assert {made.architecture(options) for options in product(*made.options)} == set(every)


def test_what_a_kind_leaves_out_has_a_default(activation):
    made = Activation("act", ("layer1",))
    assert made.arguments("silu") == {}
    assert made.parts("none", CIFAR) == {}
    assert made.parts("silu", CIFAR) == {("own", "act", "silu"): 1.0}
    assert made.details("silu", CIFAR, identity_start=True) == {"activation": "silu"}
    assert (made.structural, made.shared) == (False, False)


def test_the_same_option_twice_is_one(activation):
    made = space(decisions={"act": entry(options=["silu", "none", "SILU", "none"])})
    assert made.options_of("act") == ("silu", "none")


def test_an_architecture_with_a_decision_of_ones_own_is_read_and_written(activation):
    made = space(decisions={"act": entry()})
    for architecture in made.enumerate():
        read = Architecture.read(CIFAR, made.decisions, architecture.by_name)
        assert read == architecture
    assert from_nni_json(to_nni_json(made), CIFAR, made.decisions) == made


def test_combinations_with_a_decision_of_ones_own_are_all_networks(activation):
    made = space(decisions={"act": entry(), "other": entry(stages=["layer2"])})
    assert made.size == len(list(product(*made.options)))
    assert [made.index(a) for a in made.enumerate()] == list(range(made.size))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["activation"], "decisions.act: must be a mapping with 'kind' and 'options'."),
        ({"options": ["none"]}, "decisions.act: must be a mapping with 'kind' and 'options'."),
        (
            entry(kind="activaton"),
            "decisions.act.kind: unknown kind of decision 'activaton'. Did you mean 'activation'?",
        ),
        (entry(stage="layer1"), "decisions.act.stage: unknown key 'stage'. Did you mean 'stages'?"),
        (
            entry(name="act"),
            "decisions.act.name: unknown key 'name'. Known: options, stages, twice.",
        ),
        (
            {"kind": "activation", "options": ["none"]},
            "decisions.act: the kind 'activation' needs more: Activation.__init__() missing 1 "
            "required positional argument: 'stages'.",
        ),
        (
            {"kind": "activation", "stages": ["layer1"]},
            "decisions.act.options: must be a list of options, with one at least.",
        ),
        (entry(options=[]), "decisions.act.options: must be a list of options, with one at least."),
        (
            entry(options="silu"),
            "decisions.act.options: must be a list of options, with one at least.",
        ),
        (entry(options=["none", "elu"]), "decisions.act.options[1]: unknown activation 'elu'."),
        (
            {"kind": "attention", "stage": "layer1", "options": ["none"]},
            "decisions.act: the kind 'attention' has a key of its own, beside this one.",
        ),
    ],
)
def test_what_is_wrong_with_a_decision_is_told_with_its_key(activation, given, message):
    with pytest.raises(InputError) as caught:
        space(decisions={"act": given})
    assert str(caught.value) == message


def test_two_decisions_cannot_have_one_name(activation):
    with pytest.raises(InputError) as caught:
        space(decisions={"layer2": entry()})
    assert str(caught.value) == (
        "decisions.layer2: 'layer2' is the name of another decision already. Rename one."
    )
