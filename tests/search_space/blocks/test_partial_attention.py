import math

import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.partial_attention import (
    PartialChannelAttention,
    PartialSelfAttention,
    PartialSpatialAttention,
)


def hard_sigmoid(z):
    return (z + 3).clamp(0, 6) / 6


@pytest.mark.parametrize("ratio", [2, 4, 8])
def test_pat_ch_matches_the_equation(randomise, normed, x, ratio):
    pat = randomise(PartialChannelAttention(64, ratio=ratio))
    a, b = x.split((64 // ratio, 64 - 64 // ratio), 1)
    style = torch.cat((b.mean((2, 3)), b.std((2, 3))), 1)  # unbiased: over H W - 1
    gate = hard_sigmoid(normed(style @ pat.mix.weight.T, pat.gate_norm))
    attended = normed(b * gate[:, :, None, None], pat.norm)
    convolved = F.conv2d(F.pad(a, (1, 1, 1, 1)), pat.conv.weight)
    assert_close(pat(x), torch.cat((convolved, attended), 1))


@pytest.mark.parametrize("ratio", [2, 4])
def test_pat_sp_matches_the_equation(randomise, normed, x, ratio):
    pat = randomise(PartialSpatialAttention(64, ratio=ratio))
    b, a = x.split((64 - 64 // ratio, 64 // ratio), 1)
    gate = hard_sigmoid(torch.einsum("nchw,c->nhw", b, pat.score.weight[0]))[:, None]
    mixed = torch.einsum("nchw,dc->ndhw", normed(a, pat.mixed_norm), pat.mix.weight[..., 0, 0])
    assert_close(pat(x), torch.cat((normed(b * gate, pat.norm), mixed), 1))


def bucket(distance):
    rounded = round(distance)
    if rounded <= 20:
        return 40 + rounded
    return 40 + min(40, round(20 + math.log(rounded / 20) / math.log(8) * 20))


@pytest.mark.parametrize("size", [(5, 3), (2, 40), (1, 1)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_pat_sf_matches_the_equation(randomise, generator, attend, heads_of, size, order):
    pat = randomise(PartialSelfAttention(64, ratio=4))
    x = torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)
    a, b = x.split((16, 48), 1)
    of_tokens = b.flatten(2).transpose(1, 2)
    centred = of_tokens - of_tokens.mean(2, keepdim=True)
    z = centred / (centred.square().mean(2, keepdim=True) + 1e-6).sqrt()
    z = z * pat.norm.weight + pat.norm.bias
    q, k, v = (heads_of(part, 3) for part in (z @ pat.to_qkv.weight.T).split(48, 2))
    places = [(i, j) for i in range(size[0]) for j in range(size[1])]
    found = [[bucket(math.dist(p, other)) for other in places] for p in places]
    attended = attend(q, k, v, bias=pat.distance_bias[:, torch.tensor(found)])
    attended = torch.cat(list(attended.unbind(1)), 2) @ pat.project.weight.T + pat.project.bias
    convolved = F.conv2d(F.pad(a, (1, 1, 1, 1)), pat.conv.weight)
    expected = torch.cat((convolved, attended.transpose(1, 2).unflatten(2, size)), 1)
    assert_close(pat(x.to(memory_format=order)), expected)


def test_they_have_the_parameters_of_the_literature():
    assert block("pat_ch").params(64, 8, 8, 4) == 9 * 16**2 + 2 * 48**2 + 4 * 48 == 7104
    assert block("pat_sp").params(64, 8, 8, 2) == 32**2 + 32 + 2 * 64 == 1184
    with_four_heads = 9 * 16**2 + 4 * 48**2 + 3 * 48 + 81 * 4
    assert with_four_heads == 11988
    assert block("pat_sf").params(64, 8, 8, 4) == with_four_heads - 81  # 3 heads of 16


def test_they_are_legal_where_each_part_has_a_channel():
    for name in ("pat_ch", "pat_sp", "pat_sf"):
        legal = [c for c in range(1, 9) if block(name).legal(c, 2, 1, 4)]
        assert legal == [4, 5, 6, 7, 8]
    assert [block(n).legal(8, 1, 1, 4) for n in ("pat_ch", "pat_sp", "pat_sf")] == [0, 0, 1]
