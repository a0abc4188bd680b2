"""Attention that a network has already: kept, taken away or replaced."""

import pytest
import torch

from attnas.core import InputError
from attnas.search_space import (
    Architecture,
    Attention,
    SearchSpace,
    Supernet,
    build,
    make_backbone,
)

from . import own_networks as own

BACKBONE = make_backbone(
    factory=f"{own.__name__}:Mobile",
    arguments={},
    input_shape=(3, 16, 16),
    output_shape=(3,),
)


def space(blocks=("keep", "none", "eca", "se"), ratios=(4, 8), **others):
    return SearchSpace.create(
        BACKBONE, blocks=blocks, ratios=ratios, placements=["attention"], **others
    )


def test_only_stages_with_attention_have_what_to_keep():
    found = space()
    assert found.options_of("stage1") == ("none",)
    # at 24 channels the ratio 8 is the least width of 4, another than that of 4
    assert found.options_of("stage2") == (
        "none",
        "keep",
        "eca@attention",
        "se:r4@attention",
        "se:r8@attention",
    )
    assert found.plain.by_name == {"stage1": "none", "stage2": "keep"}
    assert found.plain.is_plain
    assert not found.plain.edits


def test_each_unit_can_be_decided():
    found = space(per="unit")
    assert found.options_of("stage1.0") == ("none",)
    assert found.options_of("stage2.1")[:2] == ("none", "keep")
    assert found.size == 4 * 5  # 16 channels have one width for both ratios


def test_keep_alone_is_the_plain_network_everywhere():
    found = space(blocks=["keep"])
    assert found.size == 1
    assert found.at(0) == found.plain


@pytest.mark.parametrize("option", ["keep", "none", "se:r4@attention"])
def test_the_attention_is_kept_taken_away_or_replaced(option):
    made = build(space().architecture(["none", option]), seed=0)
    inside = [type(unit.se).__name__ for unit in made.blocks[1]]
    expected = {"keep": "SEModule", "none": "Skipped"}.get(option)
    if expected:
        assert inside == [expected] * 2
    else:
        assert all(
            unit.se.__class__.__module__.endswith("squeeze_excite") for unit in made.blocks[1]
        )
    x = torch.randn(2, 3, 16, 16)
    y = made.eval()(x)
    own_se = own.Squeeze.forward
    plain = build(space().plain, seed=0).eval()
    if option == "keep":
        assert torch.equal(y, plain(x))
        return
    for unit in plain.blocks[1]:  # a near-identity start and nothing there compute the same
        unit.se = torch.nn.Identity()
    assert torch.allclose(y, plain(x), atol=1e-5)
    assert own_se is own.SEModule.forward


def test_a_unit_alone_can_lose_it():
    decisions = (Attention("stage2", 0), Attention("stage2", 1))
    changed = Architecture.read(BACKBONE, decisions, ["none", "keep"])
    made = build(changed, seed=0)
    assert [type(unit.se).__name__ for unit in made.blocks[1]] == ["Skipped", "SEModule"]
    details = decisions[0].details("none", BACKBONE, identity_start=True)
    assert details["sites"] == ["blocks.1.0.se"]


def test_an_attention_beside_the_one_that_is_there_leaves_it():
    found = SearchSpace.create(BACKBONE, blocks=["keep", "eca"], ratios=[], placements=["post"])
    made = build(found.architecture(["eca@post", "eca@post"]), seed=0)
    assert type(made.blocks[1][0].module.se).__name__ == "SEModule"


def test_a_mixer_does_not_replace_a_gate():
    with pytest.raises(InputError, match="none of mhsa can be placed at attention in stage1"):
        space(blocks=["mhsa"], ratios=[1])


def test_keep_where_there_is_nothing_cannot_be_built():
    decisions = (Attention("stage1"), Attention("stage2"))
    with pytest.raises(InputError) as caught:
        build(Architecture.read(BACKBONE, decisions, ["keep", "keep"]))
    assert str(caught.value) == (
        f"stage1: the option 'keep' can be applied nowhere in {BACKBONE.name}."
    )


def test_a_supernet_shares_what_is_kept_or_replaced_but_not_what_is_taken_away():
    with pytest.raises(InputError, match="it cannot among those of 'stage2'"):
        Supernet(space(), seed=0)
    shared = space(blocks=["keep", "se"])
    assert shared.is_shared
    supernet = Supernet(shared, seed=0).eval()
    x = torch.randn(2, 3, 16, 16)
    for architecture in shared.enumerate():
        supernet.select(architecture)
        assert torch.allclose(supernet(x), supernet.subnet(architecture)(x), atol=1e-6)


def test_a_frozen_stage_may_keep_or_lose_it():
    assert space(stages={"stage2": {"choice": "keep"}}).options_of("stage2") == ("keep",)
    assert space(stages={"stage2": {"choice": "none"}}).options_of("stage2") == ("none",)
    assert space(stages={"stage1": {"choice": "keep"}}).options_of("stage1") == ("none",)
