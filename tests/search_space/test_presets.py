import pytest

from attnas.core import InputError
from attnas.search_space import BLOCKS, Backbone, SearchSpace, block, build
from attnas.search_space.presets import LIGHT, PRESETS, expanded

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (3, 32, 32), (10,))
EVERYWHERE = ("residual", "post", "replace", "block")


def of(preset, ratios=(4, 8), placements=EVERYWHERE):
    return expanded([preset], CIFAR, ratios, placements)


def space_of(names, ratios=(4,), placements=("residual",), **given):
    return SearchSpace.create(CIFAR, blocks=names, ratios=ratios, placements=placements, **given)


def test_the_kinds_are_presets_and_each_block_is_in_its_own():
    for kind in ("gate", "mixer", "unit"):
        assert {block(name).kind for name in of(f"{kind}s")} == {kind}
    together = {*of("gates"), *of("mixers"), *of("units")}
    assert {"se", "simam", "mhsa", "maxpool", "dual", "gated_conv"} < together
    assert "cse" not in together  # se under another name
    assert not together & set(PRESETS)


def test_blocks_that_know_no_ratio_of_the_list_are_left_out():
    assert "se" not in of("gates", ratios=(3,))
    assert "eca" in of("gates", ratios=(3,))
    assert "sra" in of("mixers", ratios=(1, 16))


def test_blocks_that_can_be_placed_nowhere_are_left_out():
    assert of("gates", placements=("replace",)) == ()
    assert of("units", placements=("residual",)) == ()
    assert "bat" not in of("units")  # no map has a side that is a multiple of 7


def test_the_other_names_stay_where_they_are_and_none_comes_twice():
    gates = of("gates")
    assert expanded(["none", "eca", "gates"], CIFAR, (4, 8), EVERYWHERE)[:2] == ("none", "eca")
    assert sorted(expanded(["eca", "gates", "gates"], CIFAR, (4, 8), EVERYWHERE)) == sorted(gates)
    assert expanded(["se", "eca"], CIFAR, (4, 8), EVERYWHERE) == ("se", "eca")


@pytest.mark.parametrize("placements", [("residual",), EVERYWHERE], ids=str)
def test_light_blocks_add_less_than_a_hundredth_in_every_stage_at_once(placements):
    plain = sum(p.numel() for p in build(space_of(["none"]).plain).parameters())
    light = set(of("light", placements=placements))
    assert {"eca", "simam", "strip", "sse"} <= light
    assert not light & {"ese", "dual", "sk", "se"}
    for name in sorted(set(BLOCKS) - {"cse"}):
        known = [ratio for ratio in (4, 8) if ratio in block(name).ratios] or [None]
        most = 0
        for placement in placements:
            for ratio in known:
                text = f"{name}:r{ratio}@{placement}" if ratio else f"{name}@{placement}"
                try:
                    built = build(space_of([name], (4, 8), placements).architecture([text] * 3))
                except InputError:  # it cannot be placed in some stage
                    continue
                most = max(most, added_by_blocks(built))
        if most:
            assert (name in light) == (most < LIGHT * plain), name


def added_by_blocks(network):
    """The parameters that are not the backbone's."""
    own = ("conv1", "bn1", "bn2", "shortcut")
    total = sum(p.numel() for unit in (network.stem, network.head) for p in unit.parameters())
    for stage in (network.layer1, network.layer2, network.layer3):
        for unit in stage:
            total += sum(
                p.numel()
                for name, module in unit.named_children()
                if name in own or (name == "conv2" and type(module).__name__ == "Conv2d")
                for p in module.parameters()
            )
    return sum(p.numel() for p in network.parameters()) - total


def test_a_space_of_a_preset_is_the_space_of_its_names():
    names = ["none", *of("gates", (4,), ("residual",))]
    assert space_of(["none", "gates"]) == space_of(names)
    mixed = space_of(["none", "gates"], stages={"layer1": {"blocks": ["none", "light"]}})
    assert 2 < len(mixed.options_of("layer1")) < len(mixed.options_of("layer2"))


def test_each_block_of_a_list_takes_the_ratios_that_it_knows():
    space = space_of(["se", "sra"], (1, 16), ("residual", "replace"))
    assert list(space.options[0]) == ["se:r16@residual", "sra:r1@residual", "sra:r1@replace"]


def test_a_ratio_that_no_block_knows_is_refused_unless_a_preset_may_know_it():
    with pytest.raises(InputError) as error:
        space_of(["se", "sra"], (4, 3))
    assert str(error.value) == (
        "ratios[1]: the block 'se' does not know the ratio 3. It knows 2, 4, 8, 16, 32."
    )
    assert space_of(["se", "gates"], (4, 3)) == space_of(["gates"], (4,))


def test_an_unknown_name_is_answered_with_a_preset_if_that_is_near():
    with pytest.raises(InputError) as error:
        space_of(["gate"])
    assert "Did you mean 'gates'?" in str(error.value)
