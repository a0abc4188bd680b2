import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.relative_attention import BottleneckAttention, MoatAttention

SIZES = pytest.mark.parametrize("size", [(5, 3), (2, 3), (1, 1)])
ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


def draw(generator, *size):
    return torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)


def places(size):
    return [(i, j) for i in range(size[0]) for j in range(size[1])]


@SIZES
@ORDERS
@pytest.mark.parametrize("ratio", [1, 2])
def test_mhsa_matches_the_equation(randomise, generator, attend, heads_of, size, order, ratio):
    mhsa = randomise(BottleneckAttention(64, ratio=ratio, size=(5, 3)))
    x, narrow = draw(generator, *size), 16 // ratio
    qkv = x.flatten(2).transpose(1, 2) @ mhsa.to_qkv.weight.T
    q, k, v = (heads_of(part, 4) for part in qkv.split((4 * narrow, 4 * narrow, 64), 2))
    bias = torch.empty(2, 4, len(places(size)), len(places(size)), dtype=x.dtype)
    for i, (y, column) in enumerate(places(size)):
        for j, (other_y, other_column) in enumerate(places(size)):
            relative = mhsa.rows[other_y - y + 4] + mhsa.columns[other_column - column + 2]
            bias[:, :, i, j] = q[:, :, i] @ relative
    attended = torch.cat(list(attend(q, k, v, bias=bias).unbind(1)), 2)
    expected = attended.transpose(1, 2).unflatten(2, size)
    assert_close(mhsa(x.to(memory_format=order)), expected)


@SIZES
@ORDERS
def test_moat_matches_the_equation(randomise, generator, attend, heads_of, size, order):
    moat = randomise(MoatAttention(64, size=(5, 3)))
    x = draw(generator, *size)
    sides = [2 * side - 1 for side in size]
    table = moat.offset_bias  # of offsets up to 4 and 2
    if size != (5, 3):
        table = F.interpolate(table[None], size=sides, mode="bilinear", align_corners=False)[0]
    bias = torch.empty(4, len(places(size)), len(places(size)), dtype=x.dtype)
    for i, (y, column) in enumerate(places(size)):
        for j, (other_y, other_column) in enumerate(places(size)):
            offset = other_y - y + size[0] - 1, other_column - column + size[1] - 1
            bias[:, i, j] = table[:, offset[0], offset[1]]
    qkv = x.flatten(2).transpose(1, 2) @ moat.to_qkv.weight.T + moat.to_qkv.bias
    q, k, v = (heads_of(part, 4) for part in qkv.chunk(3, 2))
    attended = torch.cat(list(attend(q, k, v, bias=bias).unbind(1)), 2)
    y = attended @ moat.project.weight.T + moat.project.bias
    assert_close(moat(x.to(memory_format=order)), y.transpose(1, 2).unflatten(2, size))


def test_mhsa_refuses_a_map_that_is_larger_than_what_it_was_made_for():
    mhsa = BottleneckAttention(16, ratio=1, size=(4, 4))
    with pytest.raises(ValueError, match=r"a map of 4 x 5 is larger than the 4 x 4 that the"):
        mhsa(torch.zeros(1, 16, 4, 5))


def test_they_have_the_parameters_of_the_literature():
    assert block("mhsa").params(64, 8, 8, 1) == 64 * (2 * 64 + 64) + 30 * 16 == 12768
    assert block("moat").params(64, 8, 6, None) == 4 * 64**2 + 4 * 64 + 4 * 15 * 11


def test_mhsa_agrees_with_timm(timm_class, randomise, assert_agree, x):
    mhsa = randomise(BottleneckAttention(64, ratio=2, size=(5, 3)))
    theirs = timm_class("layers.bottleneck_attn", "BottleneckAttn")
    reference = theirs(64, feat_size=(5, 3), num_heads=4, dim_head=8)
    names = {
        "qkv.weight": "to_qkv.weight",
        "pos_embed.height_rel": "rows",
        "pos_embed.width_rel": "columns",
    }
    assert_agree(mhsa, reference, x, names=names)
