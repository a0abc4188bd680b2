import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.gated_units import EfficientModulation, GatedConvolution

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


def gelu(z):
    return z * 0.5 * (1 + torch.erf(z / 2**0.5))


def layer_normed(x, norm):
    centred = x - x.mean(1, keepdim=True)
    z = centred / (centred.square().mean(1, keepdim=True) + norm.eps).sqrt()
    return z * norm.weight[:, None, None] + norm.bias[:, None, None]


def linear(x, layer):
    return torch.einsum("nchw,dc->ndhw", x, layer.weight) + layer.bias[:, None, None]


def depthwise(x, layer):
    return F.conv2d(F.pad(x, (3, 3, 3, 3)), layer.weight, layer.bias, groups=x.shape[1])


@ORDERS
@pytest.mark.parametrize("ratio", [1, 4])
@pytest.mark.parametrize("start", [False, True])
def test_modulation_matches_the_equation(randomise, x, ratio, start, order):
    unit = randomise(EfficientModulation(64, ratio=ratio, identity_start=start))
    z = layer_normed(x, unit.norm)
    context = linear(gelu(depthwise(linear(z, unit.to_context), unit.context)), unit.from_context)
    value = linear(z, unit.expand)
    value = gelu(value) if ratio > 1 else value
    expected = x + linear(value * context.repeat(1, ratio, 1, 1), unit.project)
    assert_close(unit(x.to(memory_format=order)), expected)


@ORDERS
@pytest.mark.parametrize(
    ("name", "hidden"), [("gated_conv", 170), ("gated_conv_2", 128), ("gated_conv_1", 64)]
)
@pytest.mark.parametrize("start", [False, True])
def test_gated_conv_matches_the_equation(randomise, x, name, hidden, start, order):
    unit = randomise(block(name).make(64, None, identity_start=start))
    assert unit.project.weight.shape == (64, hidden)
    expanded = linear(layer_normed(x, unit.norm), unit.expand)
    gate, kept, convolved = expanded.split((hidden, hidden - 64, 64), 1)
    value = torch.cat((kept, depthwise(convolved, unit.conv)), 1)
    assert_close(unit(x.to(memory_format=order)), x + linear(gelu(gate) * value, unit.project))


def test_they_have_the_parameters_of_the_literature():
    assert block("modulation").params(64, 8, 8, 4) == 10 * 64**2 + 9 * 64 + 50 * 64 == 44736
    counted = 64 * 340 + 340 + 50 * 64 + 170 * 64 + 64 + 2 * 64
    assert block("gated_conv").params(64, 8, 8, None) == counted == 36372


def test_gated_conv_agrees_with_timm(timm_class, randomise, assert_agree, x):
    reference = timm_class("models.mambaout", "GatedConvBlock")(64)

    def call(x):
        return reference(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    unit = randomise(GatedConvolution(64, expansion=8 / 3))
    names = {
        f"{their}.{kind}": f"{our}.{kind}"
        for their, our in (
            ("norm", "norm"),
            ("fc1", "expand"),
            ("conv", "conv"),
            ("fc2", "project"),
        )
        for kind in ("weight", "bias")
    }
    assert_agree(unit, reference, x, names=names, call=call)
