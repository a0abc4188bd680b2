import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.search_space import Architecture, Backbone, Depth, SearchSpace, build, make_backbone
from attnas.search_space.insertion import Skipped

CIFAR = Backbone("resnet_cifar", (("depth", 20), ("width", 4)), (1, 8, 8), (3,))
MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 16, 16), (3,))
LISTS = {"blocks": ["none"], "ratios": [], "placements": ["residual"]}
LAYER2 = Depth("layer2")


def space(backbone=CIFAR, **given):
    return SearchSpace.create(backbone, **{**LISTS, **given})


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def unit_parameters(a, b):
    """Of a basic unit, counted by hand."""
    return 9 * a * b + 2 * b + 9 * b * b + 2 * b + (0 if a == b else a * b + 2 * b)


# What it decides


def test_depth_is_named_after_its_stage_and_plain_is_all_units():
    assert (LAYER2.name, LAYER2.key) == ("layer2.depth", "stages.layer2.depth")
    assert LAYER2.plain(CIFAR) == "3"
    assert Depth("stage1").plain(MOBILE) == "1"
    assert LAYER2.arguments("1") == {}
    assert (LAYER2.structural, LAYER2.shared) == (True, False)


@pytest.mark.parametrize(
    ("option", "skipped"),
    [("1", ["layer2.1", "layer2.2"]), ("2", ["layer2.2"]), ("3", []), ("7", [])],
)
def test_the_last_units_are_skipped(option, skipped):
    edits = LAYER2.edits(option, CIFAR)
    assert [(edit.mode, edit.path) for edit in edits] == [("remove", path) for path in skipped]
    assert LAYER2.details(option, CIFAR, identity_start=True) == {"skipped": skipped}
    shared = {("skipped", "layer2.depth"): float(len(skipped))} if skipped else {}
    assert LAYER2.parts(option, CIFAR) == shared


def test_depths_that_skip_the_same_are_equal_edits():
    assert LAYER2.edits("3", CIFAR) == LAYER2.edits("9", CIFAR)
    assert LAYER2.edits("2", CIFAR) != LAYER2.edits("1", CIFAR)


@pytest.mark.parametrize(
    ("backbone", "stage", "possible"),
    [
        (CIFAR, "layer1", (1, 2, 3)),
        (CIFAR, "layer2", (1, 2, 3)),
        (MOBILE, "stage1", (1,)),
        (MOBILE, "stage3", (1, 2, 3)),
    ],
)
def test_the_first_unit_of_a_stage_stays(backbone, stage, possible):
    assert Depth(stage).possible(backbone) == possible


@pytest.mark.parametrize(("text", "option"), [("2", "2"), (" 2 ", "2"), ("02", "2")])
def test_a_number_is_read_as_its_usual_spelling(text, option):
    assert LAYER2.read(text) == option


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "two", ""])
def test_what_is_no_number_of_units_is_refused(text):
    with pytest.raises(InputError) as caught:
        LAYER2.read(text)
    assert str(caught.value) == (f"'{text}' is no number of units. Write a whole number from 1 up.")


# Networks


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_the_parameters_are_those_of_the_units_that_are_left(kept):
    options = {"layer1.depth": "3", "layer2.depth": str(kept), "layer3.depth": "1"}
    options |= {f"layer{i}": "none" for i in (1, 2, 3)}
    network = build(space(depth=[1, 2, 3]).architecture(options))
    units = 3 * unit_parameters(4, 4) + unit_parameters(4, 8) + (kept - 1) * unit_parameters(8, 8)
    units += unit_parameters(8, 16)
    assert parameters(network) == 9 * 4 + 2 * 4 + units + 16 * 3 + 3


def test_a_skipped_unit_is_the_identity_and_the_rest_computes_as_before():
    the_space = space(depth=[1, 3])
    cut = the_space.architecture({**the_space.plain.by_name, "layer2.depth": "1"})
    network, plain = build(cut, seed=3).eval(), build(the_space.plain, seed=3).eval()
    assert [type(unit) for unit in network.layer2[1:]] == [Skipped, Skipped]
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = plain.head(plain.layer3(plain.layer2[0](plain.layer1(plain.stem(x)))))
    assert torch.equal(network(x), expected)
    y = torch.randn(2, 8, 4, 4)
    assert network.layer2[1](y) is y


def test_trained_weights_are_loaded_before_units_are_skipped():
    the_space = space(depth=[1, 3], blocks=["none", "se"], ratios=[2])
    trained = build(the_space.plain, seed=8)
    options = {"layer1": "se:r2@residual", "layer2.depth": "1"}
    cut = the_space.architecture({**the_space.plain.by_name, **options})
    network = build(cut, seed=0, weights=trained.state_dict()).eval()
    trained.eval()
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = trained.layer2[0](trained.layer1(trained.stem(x)))  # se starts as the identity
    torch.testing.assert_close(network(x), trained.head(trained.layer3(expected)))


def test_a_skipped_unit_comes_in_the_mode_of_the_network():
    the_space = space(depth=[1, 3])
    cut = the_space.architecture(["1", "none"] * 3)
    network = build(cut)
    assert all(module.training for module in network.modules())
    assert not any(module.training for module in network.eval().modules())


OWN = """
class Unit(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv = nn.Conv2d(a, b, 3, padding=1)

    def forward(self, x, scale=1):
        return torch.relu(self.conv(x)) * scale


class Own(nn.Module):
    def __init__(self, widths=(4, 4, 6, 6)):
        super().__init__()
        pairs = zip((1, *widths[:-1]), widths)
        self.units = nn.ModuleList(Unit(a, b) for a, b in pairs)
        self.head = nn.Linear(widths[-1], 3)

    def forward(self, x):
        for unit in self.units:
            x = unit(x, scale=0.5)
        return self.head(x.mean((2, 3)))
"""


@pytest.fixture
def own(own_module):
    return make_backbone(
        factory=f"{own_module(OWN)}:Own",
        arguments={},
        stages={"body": {"units": ["units.*"], "sites": {"residual": {"after": "conv"}}}},
        input_shape=(1, 8, 8),
        output_shape=(3,),
    )


def test_in_a_network_of_ones_own_the_units_behind_the_last_change_of_shape_can_go(own):
    assert Depth("body").possible(own) == (3, 4)
    the_space = space(own, depth=[3, 4])
    network = build(the_space.architecture(["3", "none"]))
    plain = build(the_space.plain)
    assert parameters(plain) - parameters(network) == 6 * 6 * 9 + 6
    x = torch.randn(2, 1, 8, 8)
    assert network(x).shape == (2, 3)
    assert isinstance(network.units[3], Skipped)
    assert isinstance(network.units[2].conv, nn.Conv2d)


def test_units_that_change_the_shape_cannot_be_skipped(own):
    assert Depth("body").edits("1", own) == ()
    with pytest.raises(InputError) as caught:
        build(Architecture(own, (Depth("body"),), ("1",)))
    assert str(caught.value).endswith(":Own.")
    assert str(caught.value).startswith("body.depth: the option '1' can be applied nowhere in own_")


# Spaces


def test_each_stage_has_a_depth_of_its_own_before_its_attention():
    the_space = space(depth=[1, 2], stages={"layer2": {"depth": [3]}})
    assert the_space.names == (
        *("layer1.depth", "layer1"),
        *("layer2.depth", "layer2"),
        *("layer3.depth", "layer3"),
    )
    assert the_space.options == (("1", "2"), ("none",), ("3",), ("none",), ("1", "2"), ("none",))
    assert the_space.size == 4


def test_a_depth_for_all_stages_is_cut_to_what_each_has():
    the_space = space(MOBILE, depth=[1, 2, 9])
    options = dict(zip(the_space.names, the_space.options, strict=True))
    assert {name: options[f"{name}.depth"] for name in MOBILE.stage_names} == {
        "stage1": ("1",),
        "stage2": ("1", "2"),
        "stage3": ("1", "2", "3"),
        "stage4": ("1", "2", "4"),
        "stage5": ("1", "2", "3"),
        "stage6": ("1", "2", "3"),
        "stage7": ("1",),
    }
    assert the_space.plain in the_space


def test_the_order_of_the_numbers_does_not_matter():
    assert space(depth=[3, 1, 3]) == space(depth=[1, 3])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"depth": 2}, "depth: must be a list, not 2. Write [2]."),
        ({"depth": [1, 0]}, "depth[1]: must be a number of units from 1 up, not 0."),
        ({"depth": ["2"]}, "depth[0]: must be a number of units from 1 up, not '2'."),
        ({"depth": [True]}, "depth[0]: must be a number of units from 1 up, not True."),
        ({"depth": [1.5]}, "depth[0]: must be a number of units from 1 up, not 1.5."),
        (
            {"stages": {"layer2": {"depth": [1, 4]}}},
            "stages.layer2.depth[1]: layer2 has 3 units, not 4.",
        ),
        (
            {"stages": {"layer2": {"depth": []}}},
            "stages.layer2.depth: is an empty list: nothing would be allowed.",
        ),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_their_place(given, message):
    with pytest.raises(InputError) as caught:
        space(**given)
    assert str(caught.value) == message


def test_a_number_that_would_skip_a_change_of_shape_is_refused(own):
    for given, key in (
        ({"depth": [2]}, ""),
        ({"stages": {"body": {"depth": [2]}}}, "stages.body."),
    ):
        with pytest.raises(InputError) as caught:
            space(own, **given)
        assert str(caught.value) == (
            f"{key}depth[0]: body cannot be cut to 2 units: those behind change the shape of what "
            "passes. Write 3 or more."
        )
