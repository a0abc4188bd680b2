import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.efficient_channel import (
    EfficientChannelAttention,
    EfficientChannelLayer,
    kernel_size,
)


@pytest.mark.parametrize("channels", [16, 64, 256, 2048])  # kernels of 3, 3, 5 and 7
def test_eca_matches_the_equation(randomise, generator, channels):
    eca = randomise(EfficientChannelAttention(channels))
    x = torch.randn(2, channels, 5, 3, generator=generator, dtype=torch.float64)
    kernel = eca.conv.weight.flatten().tolist()
    reach = len(kernel) // 2
    means = x.mean((2, 3))
    logits = torch.zeros_like(means)
    for channel in range(channels):
        for offset, weight in enumerate(kernel):
            neighbour = channel + offset - reach
            if 0 <= neighbour < channels:
                logits[:, channel] += weight * means[:, neighbour]
    assert_close(eca(x), x * logits.sigmoid()[:, :, None, None])


@pytest.mark.parametrize(
    ("channels", "kernel"),
    [(1, 3), (8, 3), (127, 3), (128, 5), (512, 5), (2047, 5), (2048, 7), (4096, 7)],
)
def test_the_kernel_grows_at_128_and_2048_channels(channels, kernel):
    assert kernel_size(channels) == kernel
    assert block("eca").params(channels, 8, 8, None) == kernel


@settings(deadline=None)
@given(st.integers(1, 1 << 20))
def test_the_kernel_size_is_that_of_the_written_rule(channels):
    t = int((math.log2(channels) + 1) / 2)
    assert kernel_size(channels) == max(3, t if t % 2 else t + 1)


def test_eca_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    eca = randomise(EfficientChannelAttention(64, identity_start=True))
    plain = EfficientChannelAttention(64).double()
    plain.load_state_dict(eca.state_dict())
    assert_close(eca(x), 2 * plain(x))


def test_eca_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    x = torch.randn(2, 128, 5, 3, generator=generator, dtype=torch.float64)
    theirs = timm_class("layers.eca", "EcaModule")
    assert_agree(randomise(EfficientChannelAttention(128)), theirs(128), x)


@pytest.mark.parametrize("channels", [2, 16, 256, 2048])  # kernels of 3, 3, 5 and 7
def test_ceca_reads_the_channels_of_the_other_end(randomise, generator, channels):
    ceca = randomise(EfficientChannelAttention(channels, circular=True))
    x = torch.randn(2, channels, 5, 3, generator=generator, dtype=torch.float64)
    kernel = ceca.conv.weight.flatten().tolist()
    means = x.mean((2, 3))
    logits = torch.zeros_like(means)
    for offset, weight in enumerate(kernel):
        logits += weight * means.roll(len(kernel) // 2 - offset, 1)
    assert_close(ceca(x), x * logits.sigmoid()[:, :, None, None])


def test_a_kernel_never_reaches_around_more_channels_than_there_are():
    assert all(kernel_size(channels) // 2 <= channels for channels in range(1, 5000))


@pytest.mark.parametrize("channels", [16, 256])
def test_ecam_matches_the_equation(randomise, generator, channels):
    ecam = randomise(EfficientChannelLayer(channels, ratio=4))
    x = torch.randn(2, channels, 5, 3, generator=generator, dtype=torch.float64)
    hidden = torch.einsum("nc,h->nhc", x.mean((2, 3)), ecam.expand.weight[:, 0])
    hidden = torch.relu(hidden + ecam.expand.bias[:, None])
    kernel = ecam.conv.weight[0]  # (h, k)
    logits = torch.zeros(2, channels, dtype=torch.float64)
    for channel in range(channels):
        for offset in range(kernel.shape[1]):
            neighbour = channel + offset - kernel.shape[1] // 2
            if 0 <= neighbour < channels:
                logits[:, channel] += hidden[:, :, neighbour] @ kernel[:, offset]
    gate = (logits + ecam.conv.bias).sigmoid()
    assert_close(ecam(x), x * gate[:, :, None, None])


def test_ecam_has_the_parameters_of_its_layers():
    assert block("ecam").params(64, 8, 8, 16) == 2 * 4 + 4 * 3 + 1


def test_ceca_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    x = torch.randn(2, 128, 5, 3, generator=generator, dtype=torch.float64)
    theirs = timm_class("layers.eca", "CecaModule")
    assert_agree(randomise(EfficientChannelAttention(128, circular=True)), theirs(128), x)


def test_ecam_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    x = torch.randn(2, 128, 5, 3, generator=generator, dtype=torch.float64)
    theirs = timm_class("layers.eca", "EcaModule")(128, use_mlp=True, rd_channels=8)
    assert_agree(randomise(EfficientChannelLayer(128, ratio=16)), theirs, x)
