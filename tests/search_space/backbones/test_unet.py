import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.core import InputError
from attnas.search_space import Attention, Depth, SearchSpace, build, make_backbone
from attnas.search_space.backbones.unet import unet


def counted_by_hand(width, levels, classes, in_channels):
    def double(a, b):
        return 9 * a * b + 9 * b * b + 4 * b

    widths = [width * 2**i for i in range(levels + 1)]
    total = double(in_channels, widths[0])
    for a, b in itertools.pairwise(widths):
        total += double(a, b)  # the encoder's next, at last the bottleneck
        total += 4 * b * a + a + double(2 * a, a)  # up, and the decoder beside it
    return total + width * classes + classes


@pytest.mark.parametrize(("width", "levels"), [(16, 3), (4, 1), (5, 4)])
@pytest.mark.parametrize(("classes", "in_channels"), [(3, 1), (2, 4)])
def test_parameters_are_those_counted_by_hand(width, levels, classes, in_channels):
    arguments = {"width": width, "levels": levels, "classes": classes, "in_channels": in_channels}
    network = unet(**arguments)
    assert sum(p.numel() for p in network.parameters()) == counted_by_hand(**arguments)


def normed(x, bn):
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-5)


def double(unit, x):
    x = F.relu(normed(F.conv2d(x, unit.conv1.weight, padding=1), unit.bn1))
    return F.relu(normed(F.conv2d(x, unit.conv2.weight, padding=1), unit.bn2))


@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 9)])
def test_it_computes_what_the_figure_shows(height, width):
    torch.manual_seed(0)
    network = unet(classes=2, in_channels=3, width=4, levels=2)
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.05, 0.3)
    network.eval()
    x = torch.randn(2, 3, height, width)
    first = double(network.encoder1, x)
    second = double(network.encoder2, F.max_pool2d(first, 2))
    y = double(network.bottleneck, F.max_pool2d(second, 2))
    for up, decoder, beside in (
        (network.up2, network.decoder2, second),
        (network.up1, network.decoder1, first),
    ):
        y = F.conv_transpose2d(y, up.weight, up.bias, stride=2)
        padded = torch.zeros(2, y.shape[1], *beside.shape[2:])
        padded[:, :, : y.shape[2], : y.shape[3]] = y
        y = double(decoder, torch.cat([beside, padded], 1))
    expected = F.conv2d(y, network.head.weight, network.head.bias)
    torch.testing.assert_close(network(x), expected)


def backbone(**arguments):
    return make_backbone(
        name="unet", arguments=arguments, input_shape=(3, 16, 16), output_shape=(2, 16, 16)
    )


def test_each_block_is_a_stage_with_places_before_within_and_behind():
    made = backbone(width=4, levels=2)
    assert made.stage_names == ("encoder1", "encoder2", "bottleneck", "decoder2", "decoder1")
    found = {}
    for stage in made.stage_names:
        [unit] = made.sites(stage)
        assert set(unit) == {"pre", "post", "replace", "block"}
        found[stage] = [(s.channels, s.height) for s in (unit["pre"], unit["post"])]
    assert found == {
        "encoder1": [(3, 16), (4, 16)],
        "encoder2": [(4, 8), (8, 8)],
        "bottleneck": [(8, 4), (16, 4)],
        "decoder2": [(16, 8), (8, 8)],  # as many from below as from beside
        "decoder1": [(8, 16), (4, 16)],
    }


def test_its_one_block_a_stage_cannot_be_skipped():
    made = backbone(width=4, levels=2)
    assert all(Depth(stage).possible(made) == (1,) for stage in made.stage_names)
    assert [unit for unit, _ in Attention("bottleneck").placed("eca@post", made)] == [
        "bottleneck.0"
    ]


@pytest.mark.parametrize("levels", [1, 2])
def test_its_levels_can_be_decided_whichever_the_plain_one_has(levels):
    space = SearchSpace.create(
        backbone(width=4, levels=levels),
        blocks=["none", "eca"],
        ratios=[],
        placements=["post"],
        arguments={"levels": [1, 2]},
    )
    names = space.backbone.stage_names
    assert len(names) == 2 * levels + 1
    # of the larger one the stages that the plain one lacks are left as they are
    assert space.size == 2**3 + 2 ** len(names)
    networks = [build(architecture) for architecture in space.enumerate()]
    blocks = [sum("post.conv" in n for n in network.state_dict()) for network in networks]
    assert sum(blocks) == 3 * 2**2 + len(names) * 2 ** (len(names) - 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width: must be at least 1, not 0."),
        ({"levels": 0}, "levels: must be from 1 to 6, not 0."),
        ({"levels": 7}, "levels: must be from 1 to 6, not 7."),
    ],
)
def test_a_width_or_depth_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(InputError) as caught:
        unet(classes=2, in_channels=3, **arguments)
    assert str(caught.value) == message


def test_a_map_that_is_smaller_than_the_levels_halve_it_is_refused():
    with pytest.raises(InputError, match="the network does not run on an image of 3 x 4 x 4"):
        make_backbone(
            name="unet",
            arguments={"width": 4, "levels": 3},
            input_shape=(3, 4, 4),
            output_shape=(2, 4, 4),
        )
