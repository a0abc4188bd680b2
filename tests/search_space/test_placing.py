import pytest

from attnas.core import InputError
from attnas.search_space import Attention, AttentionOption, Backbone, Site, block, register_block
from attnas.search_space.placing import (
    block_at,
    can_be_placed,
    checked,
    is_wrapped,
    params_at,
    placements_in,
    spellings,
    unknown_ratio,
)

MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 16, 16), (3,))
CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (3,))


def test_placements_are_those_of_any_unit_in_the_order_of_preference():
    every = ("residual", "pre", "post", "identity", "expanded", "block")
    assert placements_in(MOBILE, MOBILE.stage_names) == every
    assert placements_in(MOBILE, ["stage1"]) == ("residual", "pre", "post", "expanded", "block")
    own = ("residual", "pre", "post", "identity", "replace", "block")
    assert placements_in(CIFAR, ["layer1", "layer2"]) == own
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
        (["se", "sra"], [1, 32], ["post"], ["se:r32@post", "sra:r1@post"]),  # each its own
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


def site(placement, mode="at", stride=1):
    return Site(placement, mode, "layer1.0.conv2", 16, 4, 4, stride)


@pytest.mark.parametrize(
    ("kind", "fitting"),
    [
        ("gate", ["post", "residual", "own"]),
        ("mixer", ["post", "residual", "block", "replaced"]),
        ("unit", ["block"]),
    ],
)
def test_each_kind_of_block_has_its_placements(own_registers, kind, fitting):
    register_block(f"own_{kind}", kind=kind)(block("eca").module)
    sites = [site(name) for name in ("post", "residual", "own", "replace", "block")]
    sites = [*sites[:3], *sites[4:], site("replaced", "replace")]
    found = [s.placement for s in sites if can_be_placed(block(f"own_{kind}"), s)]
    assert found == fitting
    placed = Attention("layer1").placed(f"own_{kind}@post", CIFAR)
    assert [s.path for _, s in placed] == ([] if kind == "unit" else ["layer1.0.post"])


def test_a_slot_that_is_named_like_a_replaced_module_is_for_no_block():
    kinds = {block(name).kind: block(name) for name in ("se", "maxpool", "dual")}
    assert not any(can_be_placed(of, site("replace")) for of in kinds.values())


@pytest.mark.parametrize(
    ("option", "at", "wrapped", "made"),
    [
        ("maxpool@replace", site("replace", "replace"), False, "MaxPool"),
        ("maxpool@replace", site("replace", "replace", 2), False, "Pooled"),
        ("mhsa:r1@post", site("post"), True, "Wrapped"),
        ("se:r4@post", site("post"), False, "SqueezeExcite"),
        ("dual:r4@block", site("block"), False, "DualAttentionUnit"),
    ],
)
def test_a_block_enters_as_its_kind_and_site_say(option, at, wrapped, made):
    chosen = AttentionOption.parse(option)
    assert is_wrapped(block(chosen.block), at) is wrapped
    for start in (False, True):
        module = block_at(chosen, at, identity_start=start)
        assert type(module).__name__ == made
        counted = sum(parameter.numel() for parameter in module.parameters())
        assert counted == params_at(chosen, at, identity_start=start)
