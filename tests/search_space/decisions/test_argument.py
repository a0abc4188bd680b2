import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnas.core import InputError
from attnas.search_space import Argument, Backbone, SearchSpace, build, make_backbone
from attnas.search_space.decisions.argument import text_of, value_of

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (3,))
MOBILE = Backbone("mobilenetv2", (("width", 1.0),), (1, 8, 8), (3,))
LISTS = {"blocks": ["none"], "ratios": [], "placements": ["residual"]}
WIDTH = Argument("width")

texts = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)


# Values as text


@given(values)
def test_a_value_comes_back_from_its_text_with_its_type(value):
    text = text_of(value)
    assert repr(value_of(text)) == repr(value)
    assert "\n" not in text
    assert text == text.strip()
    assert WIDTH.read(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (24, "24"),
        (0.5, "0.5"),
        ("relu", "relu"),
        ((3, 5), "[3, 5]"),
        ([3, [5, "a"]], "[3, [5, a]]"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        (None, "null"),
        ("24", "'24'"),
        ("yes", "'yes'"),
        ("...", "'...'"),
    ],
)
def test_an_option_is_the_value_as_yaml_writes_it(value, text):
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [(" 24 ", "24"), ("0x18", "24"), ("[3,5]", "[3, 5]"), ("0.50", "0.5"), ("True", "true")],
)
def test_what_is_written_by_hand_is_read_as_its_usual_spelling(written, text):
    assert WIDTH.read(written) == text


def test_what_is_no_value_is_refused():
    with pytest.raises(InputError) as caught:
        WIDTH.read("[3, 5")
    assert str(caught.value) == "cannot read the value '[3, 5'."


# What it decides


def test_an_argument_is_named_as_itself_and_plain_as_the_backbone_has_it():
    assert (WIDTH.name, WIDTH.key) == ("width", "arguments.width")
    assert WIDTH.plain(CIFAR) == "4"
    assert WIDTH.plain(MOBILE) == "1.0"
    assert WIDTH.arguments("24") == {"width": 24}
    assert Argument("kernels").arguments("[3, 5]") == {"kernels": (3, 5)}
    assert WIDTH.edits("24", CIFAR) == ()
    assert (WIDTH.structural, WIDTH.shared) == (True, False)


def test_an_argument_that_the_backbone_does_not_give_has_nothing_to_be_compared_to():
    with pytest.raises(InputError) as caught:
        Argument("kernel").plain(CIFAR)
    assert str(caught.value) == (
        "arguments.kernel: the plain backbone gives no 'kernel', to which the others are "
        "compared. Write one under search_space.backbone."
    )


@pytest.mark.parametrize(("option", "shared"), [("8", 1.0), ("2", -0.5), ("6.0", 0.5)])
def test_numbers_share_what_grows_with_them(option, shared):
    assert WIDTH.parts(option, CIFAR) == {
        ("argument", "width"): shared,
        ("own", "width", option): 1,
    }


def test_what_is_no_number_has_a_cost_of_its_own_and_the_plain_value_none():
    act = Argument("act")
    backbone = Backbone("package.module:f", (("act", "relu"), ("bias", False)), (1, 8, 8), (3,))
    assert act.parts("relu", backbone) == {}
    assert act.parts("silu", backbone) == {("own", "act", "silu"): 1.0}
    assert Argument("bias").parts("true", backbone) == {("own", "bias", "true"): 1.0}
    assert WIDTH.parts("4", CIFAR) == {}


# Spaces and networks


def parameters(width, units):
    """Of resnet_cifar on gray images of 3 classes, counted by hand."""

    def unit(a, b):
        shortcut = 0 if a == b else a * b + 2 * b
        return 9 * a * b + 2 * b + 9 * b * b + 2 * b + shortcut

    w = width
    stages = units * unit(w, w)
    stages += unit(w, 2 * w) + (units - 1) * unit(2 * w, 2 * w)
    stages += unit(2 * w, 4 * w) + (units - 1) * unit(4 * w, 4 * w)
    return 9 * w + 2 * w + stages + 4 * w * 3 + 3


def test_every_value_makes_the_network_that_the_function_makes():
    space = SearchSpace.create(CIFAR, **LISTS, arguments={"width": [4, 8], "depth": [8, 14, 20]})
    assert space.size == 6
    for architecture in space.enumerate():
        width, depth = (int(architecture.by_name[name]) for name in ("width", "depth"))
        network = build(architecture)
        counted = sum(parameter.numel() for parameter in network.parameters())
        assert counted == parameters(width, (depth - 2) // 6)
        assert architecture.variant.arguments == (("depth", depth), ("width", width))
    assert space.at(0).is_plain
    assert space.at(0).variant == CIFAR


def test_blocks_fit_the_widths_that_an_argument_makes():
    space = SearchSpace.create(
        CIFAR, blocks=["se"], ratios=[2], placements=["residual"], arguments={"width": [4, 16]}
    )
    found = [build(a).layer3[0].residual.reduce for a in space.enumerate()]
    assert [(layer.in_features, layer.out_features) for layer in found] == [(16, 8), (64, 32)]


@pytest.mark.parametrize("values", [[0.35, 1], [0.35, 1.0], [0.35, 1, 1.0], [0.35, 1.0, 1]])
def test_the_plain_value_has_the_spelling_of_the_backbone(values):
    space = SearchSpace.create(MOBILE, **LISTS, arguments={"width": values})
    assert space.options_of("width") == ("0.35", "1.0")
    assert space.plain in space
    assert space.architecture({**space.plain.by_name, "width": "1"}) == space.plain


def test_an_option_that_the_space_lacks_is_refused_before_it_is_tried():
    space = SearchSpace.create(
        CIFAR, blocks=["se"], ratios=[2], placements=["residual"], arguments={"width": [4, 8]}
    )
    options = {**space.at(0).by_name, "width": "-5", "layer1": "cse:r4@residual"}
    with pytest.raises(InputError) as caught:
        space.architecture(options)
    assert str(caught.value) == (
        "width: the option '-5' is not in the search space. Allowed: 4, 8."
    )


def test_equal_values_are_one_option():
    space = SearchSpace.create(CIFAR, **LISTS, arguments={"width": [8, 4, 8]})
    assert space.options_of("width") == ("8", "4")


OWN = """
class Own(nn.Module):
    def __init__(self, sizes=(4, 4), bias=1, limit=99):
        super().__init__()
        if sum(sizes) * bias > limit:
            raise ValueError("too large")
        self.body = nn.Sequential(*(nn.Conv2d(1, size, 3, bias=bias is True) for size in sizes[:1]))
        self.head = nn.Linear(sizes[0], 3)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
"""


@pytest.fixture
def own(own_module):
    return make_backbone(
        factory=f"{own_module(OWN)}:Own",
        arguments={"sizes": [4, 4], "bias": 1, "limit": 20},
        stages={"body": {"units": ["body.*"], "sites": {"post": {"after": ""}}}},
        input_shape=(1, 8, 8),
        output_shape=(3,),
    )


def of_own(backbone, **arguments):
    lists = {"blocks": ["none"], "ratios": [], "placements": ["post"]}
    return SearchSpace.create(backbone, **lists, arguments=arguments)


def test_lists_and_truth_values_are_given_to_a_function_as_they_are(own):
    space = of_own(own, sizes=[[4, 4], [6, 2]], bias=[1, True, False])
    assert space.options_of("sizes") == ("[4, 4]", "[6, 2]")
    assert space.options_of("bias") == ("1", "true", "false")
    assert space.size == 6
    found = [build(a).body[0] for a in space.enumerate()]
    assert [layer.out_channels for layer in found] == [4, 4, 4, 6, 6, 6]
    assert [layer.bias is not None for layer in found] == [False, True, False] * 2
    assert isinstance(found[0], nn.Conv2d)


def test_values_that_do_not_go_together_are_refused_with_the_combination(own):
    with pytest.raises(InputError) as caught:
        of_own(own, sizes=[[4, 4], [8, 8]], bias=[1, 2])
    assert caught.value.key == "arguments"
    assert str(caught.value).startswith("arguments: with sizes=[8, 8], bias=2: '")
    assert str(caught.value).endswith("raised ValueError: too large")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 8}, "arguments.width: must be a list, not 8. Write [8]."),
        ({"width": []}, "arguments.width: is an empty list: nothing would be allowed."),
        ({"ratios": []}, "arguments.ratios: is an empty list: nothing would be allowed."),
        ({"width": [4, "8"]}, "arguments.width[1]: must be a whole number, not '8'."),
        ({"width": [4, True]}, "arguments.width[1]: must be a whole number, not True."),
        ({"depth": [8, 9]}, "arguments.depth[1]: must be 6n + 2 (8, 14, 20, 32, 56, ...), not 9."),
        (
            {"widht": [4]},
            "arguments.widht[0]: unknown option of resnet_cifar 'widht'. Did you mean 'width'?",
        ),
        (
            {"classes": [3]},
            "arguments.classes[0]: 'classes' comes from the data. Leave it out.",
        ),
        (
            {"width": [{"a": 1}]},
            "arguments.width[0]: an argument is a number, a string, true, false, null or a list of "
            "those, not {'a': 1}.",
        ),
    ],
)
def test_values_that_do_not_fit_the_function_are_refused_with_their_place(arguments, message):
    with pytest.raises(InputError) as caught:
        SearchSpace.create(CIFAR, **LISTS, arguments=arguments)
    assert str(caught.value) == message


def test_too_many_combinations_are_refused(monkeypatch):
    monkeypatch.setattr("attnas.search_space.configured.MOST_VARIANTS", 3)
    SearchSpace.create(CIFAR, **LISTS, arguments={"width": [4, 8, 16]})
    with pytest.raises(InputError) as caught:
        SearchSpace.create(CIFAR, **LISTS, arguments={"width": [4, 8], "depth": [8, 14]})
    assert str(caught.value) == (
        "arguments: have 4 combinations; a search space takes at most 3, as each is built and run "
        "once. Give fewer values."
    )
