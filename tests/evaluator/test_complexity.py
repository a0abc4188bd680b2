"""Counts against counts worked by hand and against fvcore's own analyses."""

import logging

import pytest
import torch
import torch.nn.functional as F
from fvcore.nn import ActivationCountAnalysis, FlopCountAnalysis
from torch import nn

from attnas.evaluator.complexity import Complexity, complexity


class Squeeze(nn.Module):
    """Conv 3 -> 8 on 6 x 6, then squeeze and excitation with 4 hidden channels, then a sum."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.reduce, self.expand = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        y = self.norm(self.conv(x))
        gate = self.expand(F.relu(self.reduce(y.mean((2, 3), keepdim=True)))).sigmoid()
        return F.relu(y + y * gate)


def test_a_gated_unit_costs_what_hand_counting_says():
    flops = (
        3 * 9 * 8 * 36  # convolution
        + 2 * 8 * 36  # batch norm
        + 8 * 36  # mean over the map
        + 8 * 4 + 4 * 8  # bottleneck
        + 8  # sigmoid
        + 8 * 36  # times the gate
        + 8 * 36  # residual sum
    )  # fmt: skip
    params = 3 * 8 * 9 + 2 * 8 + (8 * 4 + 4) + (4 * 8 + 8)
    activations = 8 * 36 + 4 + 8
    assert complexity(Squeeze(), (3, 6, 6)) == Complexity(params, flops, activations, ())


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, groups=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=4),
            nn.GroupNorm(2, 8),
            nn.Conv2d(8, 4, 1),
            nn.BatchNorm2d(4, affine=False),
            nn.Flatten(),
            nn.LazyLinear(10),
        ),
        nn.Sequential(
            nn.ConvTranspose2d(3, 5, 4, stride=2),
            nn.Upsample(scale_factor=2),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(20, 6),
            nn.LayerNorm(6),
        ),
    ],
    ids=["convolutions", "upsampling"],
)
def test_what_fvcore_counts_is_counted_as_fvcore_does(network):
    image = torch.zeros(1, 3, 11, 9)
    network.eval()(image)
    counted = complexity(network, (3, 11, 9))
    assert counted.flops == FlopCountAnalysis(network, image).total()
    assert counted.activations == ActivationCountAnalysis(network, image).total()
    assert counted.uncounted == ()


def test_what_is_not_counted_is_named():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.fft.rfft2(x).abs() + torch.special.i0(x).sum()

    assert complexity(Odd(), (1, 4, 4)).uncounted == ("aten::fft_rfft2", "aten::i0")


def test_own_autograd_functions_are_named_as_uncounted():
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    class Own(nn.Module):
        def forward(self, x):
            return Double.apply(x)

    [name] = complexity(Own(), (1, 4, 4)).uncounted
    assert "Double" in name


def test_shared_parameters_count_once_and_frozen_ones_too():
    shared = nn.Conv2d(2, 2, 1, bias=False).requires_grad_(False)
    assert complexity(nn.Sequential(shared, shared), (2, 3, 3)).params == 4
    assert complexity(nn.Sequential(shared, shared), (2, 3, 3)).flops == 2 * 4 * 9


def test_multi_head_attention_is_not_hidden_in_one_operator():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            tokens = x.flatten(2).transpose(1, 2)  # (N, 12, 8)
            return self.attention(tokens, tokens, tokens, need_weights=False)[0]

    fused = torch.backends.mha.get_fastpath_enabled()
    counted = complexity(Tokens(), (8, 3, 4))
    projections, products = 12 * 8 * (3 * 8) + 12 * 8 * 8, 2 * 12 * 12 * 8
    assert counted.uncounted == ()
    assert projections + products <= counted.flops <= projections + products + 4 * 2 * 12 * 12
    assert torch.backends.mha.get_fastpath_enabled() == fused


def test_the_network_is_left_as_it_was():
    network = Squeeze()
    network.norm.eval()  # a module that was frozen on purpose
    before = {name: value.clone() for name, value in network.state_dict().items()}
    complexity(network, (3, 6, 6))
    assert network.training
    assert network.conv.training
    assert not network.norm.training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_nothing_is_logged_or_warned(caplog, recwarn):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            if x.sum() > 0:  # the tracer would warn of it
                return torch.fft.rfft2(x).abs()
            return x

    with caplog.at_level(logging.DEBUG):
        complexity(Branches(), (1, 4, 4))
    assert caplog.records == []
    assert [str(w.message) for w in recwarn if "fvcore" in w.filename or "Tracer" in str(w)] == []
