import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.strip import EfficientLocalSiluAttention, StripAttention

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
STARTS = pytest.mark.parametrize("start", [False, True])


def convolved(means, weight):
    """(N, C, L) with a kernel (C, c, k) of C / c groups, zeros beyond the ends, by its sum."""
    channels, a_group, kernel = weight.shape
    padded = F.pad(means, (kernel // 2, kernel // 2))
    y = torch.zeros_like(means)
    for channel in range(channels):
        first = channel // a_group * a_group
        for offset in range(kernel):
            seen = padded[:, first : first + a_group, offset : offset + means.shape[2]]
            y[:, channel] += torch.einsum("ncl,c->nl", seen, weight[channel, :, offset])
    return y


def group_normed(z, norm):
    parts = z.unflatten(1, (norm.num_groups, -1))
    centred = parts - parts.mean((2, 3), keepdim=True)
    parts = centred / (centred.square().mean((2, 3), keepdim=True) + norm.eps).sqrt()
    return parts.flatten(1, 2) * norm.weight[:, None] + norm.bias[:, None]


@ORDERS
@STARTS
def test_strip_matches_the_equation(randomise, x, order, start):
    strip = randomise(StripAttention(64, identity_start=start))
    rows = convolved(x.mean(3), strip.rows.weight)
    columns = convolved(x.mean(2), strip.columns.weight)
    gate = (rows[..., None] + columns[:, :, None]).sigmoid() * (2 if start else 1)
    assert_close(strip(x.to(memory_format=order)), x * gate)


def test_strip_leaves_out_neighbours_that_a_strip_of_one_does_not_have(randomise, generator):
    strip = randomise(StripAttention(64))
    x = torch.randn(2, 64, 1, 1, generator=generator, dtype=torch.float64)
    both = strip.rows.weight[:, 0, 1] + strip.columns.weight[:, 0, 1]
    assert_close(strip(x), x * (x * both[:, None, None]).sigmoid())


@ORDERS
@STARTS
@pytest.mark.parametrize(
    ("name", "shape", "groups"),
    [
        ("ela_t", (64, 1, 5), 32),
        ("ela_b", (64, 1, 7), 16),
        ("ela_s", (64, 8, 5), 16),
        ("ela_l", (64, 8, 7), 16),
    ],
)
def test_ela_matches_the_equation(randomise, x, name, shape, groups, order, start):
    ela = randomise(block(name).make(64, None, identity_start=start))
    assert (ela.conv.weight.shape, ela.norm.num_groups) == (shape, groups)
    rows, columns = (
        group_normed(convolved(means, ela.conv.weight), ela.norm).sigmoid() * (2 if start else 1)
        for means in (x.mean(3), x.mean(2))
    )
    expected = x * rows[..., None] * columns[:, :, None]
    assert_close(ela(x.to(memory_format=order)), expected)


@ORDERS
@STARTS
def test_ela_silu_matches_the_equation(randomise, x, order, start):
    ela = randomise(EfficientLocalSiluAttention(64, identity_start=start))
    gates = []
    for means, conv, norm in (
        (x.mean(3), ela.rows, ela.row_norm),
        (x.mean(2), ela.columns, ela.column_norm),
    ):
        z = group_normed(convolved(means, conv.weight), norm)
        gates.append((z * z.sigmoid()).sigmoid() * (2 if start else 1))
    expected = x * gates[0][..., None] * gates[1][:, :, None]
    assert_close(ela(x.to(memory_format=order)), expected)


def test_they_have_the_parameters_of_the_literature():
    assert block("strip").params(64, 8, 8, None) == 6 * 64 == 384
    counted = [block(f"ela_{size}").params(64, 8, 8, None) // 64 for size in "tbsl"]
    assert counted == [7, 9, 42, 58]
    assert block("ela_silu").params(64, 8, 8, None) == 18 * 64


def test_ela_is_legal_where_its_norms_divide_the_channels_and_have_two_values():
    legal = {size: block(f"ela_{size}").legal for size in "tbsl"}
    assert [legal["t"](c, 8, 8, None) for c in (16, 32, 48, 64)] == [False, True, False, True]
    assert [legal["l"](c, 8, 8, None) for c in (8, 16, 24, 32)] == [False, True, False, True]
    assert not legal["b"](16, 1, 8, None)
    assert legal["b"](32, 1, 1, None)


def test_strip_and_ela_silu_agree_with_timm(timm_class, randomise, assert_agree, x):
    strip = timm_class("layers.coord_attn", "StripAttn")
    assert_agree(randomise(StripAttention(64)), strip(64), x)
    ela = timm_class("layers.coord_attn", "EfficientLocalAttn")
    assert_agree(randomise(EfficientLocalSiluAttention(64)), ela(64), x)
