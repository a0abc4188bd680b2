import pytest

from attnas.core import InputError
from attnas.search_space import Attention, AttentionOption, Backbone, block, register_block
from attnas.search_space.placing import (
    block_kind_fits,
    checked,
    placements_in,
    spellings,
    unknown_ratio,
)

MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 16, 16), (3,))
CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (3,))


def test_placements_are_those_of_any_unit_in_the_order_of_preference():
    every = ("residual", "pre", "post", "identity", "expanded")
    assert placements_in(MOBILE, MOBILE.stage_names) == every
    assert placements_in(MOBILE, ["stage1"]) == ("residual", "pre", "post", "expanded")
    assert placements_in(CIFAR, ["layer1", "layer2"]) == ("residual", "pre", "post", "identity")
    assert placements_in(CIFAR, []) == ()


@pytest.mark.parametrize(
    ("blocks", "ratios", "placements", "expected"),
    [
        (["none"], [4], ["post"], ["none"]),
        (["eca"], [4, 8], ["post"], ["eca@post"]),
        (["se"], [8, 4], ["post"], ["se:r4@post", "se:r8@post"]),
        (
            ["eca"],
            [],
            ["identity", "post", "own", "residual"],
            [*("eca@residual", "eca@post", "eca@identity", "eca@own")],
        ),
        (
            ["se", "cse", "none", "eca"],
            [4],
            ["pre"],
            [*("none", "eca@pre", "se:r4@pre", "cse:r4@pre")],
        ),
        (["se", "se"], [4, 4], ["pre", "pre"], ["se:r4@pre"]),
        (["se"], [], ["pre"], []),
    ],
)
def test_spellings_come_in_the_order_of_preference(blocks, ratios, placements, expected):
    assert [str(option) for option in spellings(blocks, ratios, placements)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("se:r8@post", "se:r8@post"), ("eca:r8@post", "eca@post"), ("none", "none")],
)
def test_a_ratio_that_changes_nothing_is_dropped(text, expected):
    assert str(checked(AttentionOption.parse(text))) == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            AttentionOption("se", None, "post"),
            "the option 'se@post' lacks a ratio. Write 'se:r8@post'.",
        ),
        (
            AttentionOption("se", 3, "post"),
            "the block 'se' does not know the ratio 3. It knows 2, 4, 8, 16, 32.",
        ),
        (
            AttentionOption("cbma", 4, "post"),
            "unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
    ],
)
def test_what_cannot_be_is_refused(option, message):
    with pytest.raises(InputError) as caught:
        checked(option)
    assert str(caught.value) == message


def test_the_error_for_a_ratio_names_those_that_the_block_knows():
    assert str(unknown_ratio(block("se"), 5)) == (
        "the block 'se' does not know the ratio 5. It knows 2, 4, 8, 16, 32."
    )


@pytest.mark.parametrize(
    ("kind", "fitting"),
    [("gate", ["post", "residual", "own"]), ("mixer", ["replace"]), ("unit", ["block"])],
)
def test_each_kind_of_block_has_its_placements(own_registers, kind, fitting):
    register_block(f"own_{kind}", kind=kind)(block("eca").module)
    placements = ["post", "residual", "own", "replace", "block"]
    assert [p for p in placements if block_kind_fits(block(f"own_{kind}"), p)] == fitting
    placed = Attention("layer1").placed(f"own_{kind}@post", CIFAR)
    assert [site.path for _, site in placed] == (["layer1.0.post"] if kind == "gate" else [])
