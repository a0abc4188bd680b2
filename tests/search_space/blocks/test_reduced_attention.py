import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.reduced_attention import (
    ConvolutionalAttention,
    LowResolutionAttention,
    SpatialReductionAttention,
)

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def joined(attended, size):
    return torch.cat(list(attended.unbind(1)), 2).transpose(1, 2).unflatten(2, size)


def linear(x, layer):
    y = torch.einsum("nchw,dc->ndhw", x, layer.weight)
    return y if layer.bias is None else y + layer.bias[:, None, None]


def draw(generator, *size):
    return torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)


@ORDERS
@pytest.mark.parametrize(("ratio", "size"), [(1, (5, 3)), (2, (5, 3)), (4, (8, 9)), (4, (3, 5))])
def test_sra_matches_the_equation(randomise, generator, attend, heads_of, ratio, size, order):
    sra = randomise(SpatialReductionAttention(64, ratio=ratio))
    x = z = draw(generator, *size)
    if ratio > 1:
        z = F.pad(x, (0, max(0, ratio - size[1]), 0, max(0, ratio - size[0])))
        z = F.conv2d(z, sra.reduce.weight, sra.reduce.bias, stride=ratio)
        centred = z - z.mean(1, keepdim=True)
        z = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        z = z * sra.norm.weight[:, None, None] + sra.norm.bias[:, None, None]
    k, v = (heads_of(tokens(part), 4) for part in linear(z, sra.to_kv).chunk(2, 1))
    attended = joined(attend(heads_of(tokens(linear(x, sra.to_q)), 4), k, v), size)
    assert_close(sra(x.to(memory_format=order)), linear(attended, sra.project))


@ORDERS
def test_cvt_matches_the_equation(randomise, normed, attend, heads_of, x, order):
    cvt = randomise(ConvolutionalAttention(64))
    projected = []
    for layer, stride in ((cvt.to_q, 1), (cvt.to_k, 2), (cvt.to_v, 2)):
        z = F.conv2d(F.pad(x, (1, 1, 1, 1)), layer.conv.weight, stride=stride, groups=64)
        projected.append(heads_of(tokens(linear(normed(z, layer.norm), layer.linear)), 4))
    attended = joined(attend(*projected, scale=64**-0.5), (5, 3))
    assert_close(cvt(x.to(memory_format=order)), linear(attended, cvt.project))


@ORDERS
@pytest.mark.parametrize("narrowing", [1, 2])
@pytest.mark.parametrize(("ratio", "kernel"), [(1, 3), (2, 5), (4, 7)])
def test_lowtention_matches_the_equation(
    randomise, normed, attend, heads_of, x, ratio, kernel, narrowing, order
):
    low = randomise(LowResolutionAttention(64, ratio=ratio, narrowing=narrowing))
    heads, width = {1: (2, 32), 2: (1, 32)}[narrowing]
    assert low.project.weight.shape == (64, heads * width)
    z = F.conv2d(F.pad(x, (kernel // 2,) * 4), low.conv.weight, stride=ratio, groups=64)
    z = normed(z, low.norm)
    qkv = heads_of(tokens(linear(z, low.to_qkv)), heads)
    attended = joined(attend(*qkv.split(width, 3)), z.shape[2:])
    projected = linear(attended, low.project)
    # the transposed convolution, by what each small pixel adds to the large map
    side, cut = low.up.weight.shape[2], (1 if ratio == 1 else ratio // 2)
    large = torch.zeros(2, 64, 5 + 4 * side, 3 + 4 * side, dtype=x.dtype)
    for i in range(z.shape[2]):
        for j in range(z.shape[3]):
            spread = projected[:, :, i, j, None, None] * low.up.weight[:, 0]
            large[:, :, i * ratio : i * ratio + side, j * ratio : j * ratio + side] += spread
    expected = large[:, :, cut : cut + 5, cut : cut + 3] + low.up.bias[:, None, None]
    assert_close(low(x.to(memory_format=order)), expected)


def test_they_have_the_parameters_of_the_literature():
    assert block("sra").params(64, 8, 8, 2) == 4 * 64**2 + 4 * 64 + 4 * 64**2 + 3 * 64 == 33216
    assert block("sra").params(64, 8, 8, 1) == 4 * 64**2 + 4 * 64
    assert block("cvt").params(64, 8, 8, None) == 3 * (9 + 2) * 64 + 4 * (64**2 + 64)
    assert block("lowtention").params(64, 8, 8, 2) == 4 * 64 * 64 + (25 + 16 + 4) * 64 == 19264
    assert block("lowtention_half").params(64, 8, 8, 2) == 4 * 32 * 64 + (25 + 16 + 4) * 64


def test_sra_is_legal_where_a_key_is_left():
    assert [block("sra").legal(64, 4, side, 4) for side in (3, 4)] == [False, True]


def test_sra_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("models.pvt_v2", "Attention")
    reference = theirs(64, 4, sr_ratio=2)
    names = {
        f"{their}.{kind}": f"{our}.{kind}"
        for their, our in (
            ("q", "to_q"),
            ("kv", "to_kv"),
            ("proj", "project"),
            ("sr", "reduce"),
            ("norm", "norm"),
        )
        for kind in ("weight", "bias")
    }

    def call(x):
        return reference(tokens(x), [5, 3]).transpose(1, 2).unflatten(2, (5, 3))

    sra = randomise(SpatialReductionAttention(64, ratio=2))
    assert_agree(sra, reference, x, names=names, call=call)


@pytest.mark.parametrize(("narrowing", "factor"), [(1, 1.0), (2, 0.5)])
def test_lowtention_agrees_with_timm(timm_class, randomise, assert_agree, x, narrowing, factor):
    theirs = timm_class("models.lowformer", "ConvAttention")
    reference = theirs(64, head_dim_mul=factor, att_stride=2, att_kernel=5)
    low = randomise(LowResolutionAttention(64, ratio=2, narrowing=narrowing))
    assert_agree(low, reference, x)
