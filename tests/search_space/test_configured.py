import pytest

from attnas.core import InputError
from attnas.search_space import Backbone, SearchSpace

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 8, 8), (3,))
DEEPER = Backbone("resnet_cifar", (("depth", 14), ("width", 16)), (1, 8, 8), (3,))


def space(backbone=CIFAR, **given):
    lists = {"blocks": ["none", "se", "eca"], "ratios": [4, 8, 16], "placements": ["residual"]}
    return SearchSpace.create(backbone, **{**lists, **given})


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"blocks": ["se", "cbma"]},
            "blocks[1]: unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
        ({"blocks": []}, "blocks: is an empty list: nothing would be allowed."),
        ({"placements": []}, "placements: is an empty list: nothing would be allowed."),
        ({"blocks": "se"}, "blocks: must be a list, not 'se'. Write [se]."),
        ({"ratios": 4}, "ratios: must be a list, not 4. Write [4]."),
        (
            {"stages": {"layer1": {"blocks": []}}},
            "stages.layer1.blocks: is an empty list: nothing would be allowed.",
        ),
        (
            {"stages": {"layer1": {"ratios": []}}},
            "stages.layer1.ratios: is an empty list, but the block 'se' needs a ratio. "
            "It knows 2, 4, 8, 16, 32.",
        ),
        (
            {"ratios": [4, 3]},
            "ratios[1]: the block 'se' does not know the ratio 3. It knows 2, 4, 8, 16, 32.",
        ),
        (
            {"ratios": []},
            "ratios: is an empty list, but the block 'se' needs a ratio. It knows 2, 4, 8, 16, 32.",
        ),
        (
            {"blocks": ["eca"], "ratios": [3], "stages": {"layer1": {"blocks": ["eca", "se"]}}},
            "stages.layer1.blocks[1]: the block 'se' does not know the ratio 3. "
            "It knows 2, 4, 8, 16, 32.",
        ),
        (
            {"stages": {"layer1": {"ratios": [5]}}},
            "stages.layer1.ratios[0]: the block 'se' does not know the ratio 5. "
            "It knows 2, 4, 8, 16, 32.",
        ),
        (
            {"stages": {"layer1": {"choice": "se@post"}}},
            "stages.layer1.choice: the option 'se@post' lacks a ratio. Write 'se:r8@post'.",
        ),
        ({"ratios": [4, "8"]}, "ratios[1]: a ratio is a whole number, not '8'."),
        ({"ratios": [4, True]}, "ratios[1]: a ratio is a whole number, not True."),
        (
            {"placements": ["residual", "expanded"]},
            "placements[1]: no unit of resnet_cifar has the placement 'expanded'. "
            "It has residual, pre, post, identity, replace, block.",
        ),
        (
            {"stages": {"layer4": {}}},
            "stages.layer4: unknown stage 'layer4'. Did you mean 'layer3'?",
        ),
        (
            {"stages": {"layer1": {"block": ["se"]}}},
            "stages.layer1.block: unknown key 'block'. Did you mean 'blocks'?",
        ),
        (
            {"stages": {"layer1": {"blocks": ["eca", "sima"]}}},
            "stages.layer1.blocks[1]: unknown block 'sima'. Did you mean 'simam'? "
            "`attnas blocks` lists all.",
        ),
        (
            {"stages": {"layer1": {"placements": ["inner"]}}},
            "stages.layer1.placements[0]: no unit of layer1 has the placement 'inner'. "
            "It has residual, pre, post, identity, replace, block.",
        ),
        (
            {"stages": {"layer1": {"choice": "none", "blocks": ["se"]}}},
            "stages.layer1: 'choice' freezes the stage. Leave out 'blocks'.",
        ),
        (
            {"stages": {"layer1": {"choice": "se:r4"}}},
            "stages.layer1.choice: the option 'se:r4' lacks a placement. Write 'se:r4@residual'.",
        ),
        (
            {"stages": {"layer1": {"choice": "eca@inner"}}},
            "stages.layer1.choice: no unit of layer1 has the placement 'inner'. "
            "It has residual, pre, post, identity, replace, block.",
        ),
    ],
)
def test_wrong_input_is_told_with_its_key_and_what_would_be_right(lists, message):
    with pytest.raises(InputError) as caught:
        space(**lists)
    assert str(caught.value) == message


PIXELS = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 2, 2), (3,))


def test_a_stage_with_no_option_is_refused():
    with pytest.raises(InputError) as caught:
        space(PIXELS, blocks=["simam"])
    assert str(caught.value) == (
        "stages.layer2: none of simam can be placed at residual in layer2; layer2 has "
        "residual, pre, post, identity, replace, block. Allow 'none' or another placement there."
    )
    with pytest.raises(InputError) as caught:
        space(PIXELS, stages={"layer2": {"choice": "simam@post"}})
    assert str(caught.value) == (
        "stages.layer2.choice: the block 'simam' cannot be placed at the maps of layer2."
    )


def test_a_block_that_can_be_placed_on_one_variant_alone_is_allowed():
    # 2 x 2 maps shrink to single pixels in layer2, whatever the depth; a frozen stage keeps out
    frozen = {"layer2": {"choice": "none"}, "layer3": {"choice": "none"}}
    found = space(PIXELS, blocks=["simam"], stages=frozen)
    assert found.options_of("layer1") == ("simam@residual",)
    wider = space(
        CIFAR, blocks=["none", "se"], ratios=[2, 4], arguments={"width": [8]}, stages=frozen
    )
    # at the plain width, 16, there are two options, so there are also two where only 8 is built
    assert wider.options_of("layer1") == ("none", "se:r2@residual", "se:r4@residual")
    assert wider.size == 2


def test_decisions_come_in_a_fixed_order_arguments_first_and_other_kinds_last():
    found = space(
        DEEPER,
        per="unit",
        depth=[1, 2],
        arguments={"width": [8, 16]},
        stages={"layer2": {"choice": "none"}, "layer3": {"per": "stage", "depth": [2]}},
    )
    assert found.names == (
        "width",
        *("layer1.depth", "layer1.0", "layer1.1"),
        *("layer2.depth", "layer2"),
        *("layer3.depth", "layer3"),
    )
    assert found.options_of("layer3.depth") == ("2",)


def test_entries_of_a_stage_that_are_nothing_are_those_of_the_space():
    empty = dict.fromkeys(("blocks", "ratios", "placements", "per", "depth", "choice"))
    assert space(stages={"layer1": empty, "layer2": {}}) == space()


def test_lists_may_be_any_sequence_but_a_string():
    assert (
        space(blocks=("none", "se", "eca"), ratios=(4, 8, 16), placements=("residual",)) == space()
    )


def test_a_stage_without_a_decision_on_depth_keeps_its_units():
    assert space(DEEPER, stages={"layer1": {"depth": [1]}}).names == (
        "layer1.depth",
        "layer1",
        "layer2",
        "layer3",
    )
