import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.coordinate import CoordinateAttention, SimpleCoordinateAttention


def gate(coord, means, expand):
    """Of the means of a row or column, (N, C)."""
    norm = coord.norm
    z = means @ coord.reduce.weight.T
    z = (z - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
    return ((z * torch.clamp(z + 3, 0, 6) / 6) @ expand.weight.T).sigmoid()


def equation(coord, x, scale=1):
    y = torch.empty_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            row = scale * gate(coord, x[:, :, i].mean(2), coord.expand_rows)
            column = scale * gate(coord, x[:, :, :, j].mean(2), coord.expand_columns)
            y[:, :, i, j] = x[:, :, i, j] * row * column
    return y


def test_coord_matches_the_equation(randomise, x):
    coord = randomise(CoordinateAttention(64, ratio=16))
    assert_close(coord(x), equation(coord, x))


def test_coord_matches_the_equation_in_channels_last_order(randomise, x):
    coord = randomise(CoordinateAttention(64, ratio=16))
    assert_close(coord(x.to(memory_format=torch.channels_last)), equation(coord, x))


def test_coord_with_an_identity_start_doubles_both_gates_once_trained(randomise, x):
    coord = randomise(CoordinateAttention(64, ratio=16, identity_start=True))
    assert_close(coord(x), equation(coord, x, scale=2))


def test_coord_normalises_rows_and_columns_of_the_batch_together(randomise, x):
    coord = randomise(CoordinateAttention(64, ratio=16)).train()
    coord.norm.momentum = 1.0  # the running mean becomes that of this batch
    coord(x)
    means = torch.cat((x.mean(3), x.mean(2)), 2)  # (N, C, H + W)
    hidden = F.conv1d(means, coord.reduce.weight[:, :, None])
    assert_close(coord.norm.running_mean, hidden.mean((0, 2)))


def test_coord_has_the_parameters_of_the_literature():
    assert block("coord").params(64, 8, 8, 16) == 3 * 64 * 4 + 2 * 4 == 776


def test_coord_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.coord_attn", "CoordAttn")
    assert_agree(randomise(CoordinateAttention(64, ratio=16)), theirs(64, rd_channels=4), x)


def simple_equation(scoord, x, scale=1):
    def logits(means, expand):
        hidden = means @ scoord.reduce.weight.T + scoord.reduce.bias
        return (hidden * hidden.sigmoid()) @ expand.weight.T + expand.bias

    y = torch.empty_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            row = logits(x[:, :, i].mean(2), scoord.expand_rows)
            column = logits(x[:, :, :, j].mean(2), scoord.expand_columns)
            y[:, :, i, j] = x[:, :, i, j] * scale * (row + column).sigmoid()
    return y


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_scoord_matches_the_equation(randomise, x, order):
    scoord = randomise(SimpleCoordinateAttention(64, ratio=16))
    assert_close(scoord(x.to(memory_format=order)), simple_equation(scoord, x))


def test_scoord_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    scoord = randomise(SimpleCoordinateAttention(64, ratio=16, identity_start=True))
    assert_close(scoord(x), simple_equation(scoord, x, scale=2))


def test_scoord_has_the_parameters_of_its_layers():
    assert block("scoord").params(64, 8, 8, 16) == (64 * 4 + 4) + 2 * (4 * 64 + 64)


def test_scoord_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.coord_attn", "SimpleCoordAttn")
    assert_agree(randomise(SimpleCoordinateAttention(64, ratio=16)), theirs(64, rd_channels=4), x)
