import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.selective_kernel import SelectiveKernel, SplitAttention


def softmax_of_two(a, b):
    return a.exp() / (a.exp() + b.exp()), b.exp() / (a.exp() + b.exp())


def branch(x, convolution, norm, normed, dilation, groups=1):
    padded = F.pad(x, (dilation,) * 4)
    z = F.conv2d(padded, convolution.weight, dilation=dilation, groups=groups)
    return torch.relu(normed(z, norm))


def equation(sk, x, normed, split):
    near_x, far_x = (x[:, :32], x[:, 32:]) if split else (x, x)
    groups = 1 if split else 32
    a = branch(near_x, sk.near, sk.near_norm, normed, 1, groups)
    b = branch(far_x, sk.far, sk.far_norm, normed, 2, groups)
    hidden = torch.relu(normed((a + b).mean((2, 3)) @ sk.reduce.weight.T, sk.norm))
    logits = hidden @ sk.select.weight.T
    of_a, of_b = softmax_of_two(logits[:, :64], logits[:, 64:])
    return a * of_a[:, :, None, None] + b * of_b[:, :, None, None]


@pytest.mark.parametrize("split", [True, False])
def test_sk_matches_the_equation(randomise, normed, x, split):
    sk = randomise(SelectiveKernel(64, ratio=8, split=split))
    assert_close(sk(x), equation(sk, x, normed, split))


def test_splat_matches_the_equation(randomise, normed, x):
    splat = randomise(SplitAttention(64, ratio=8))
    halves = [
        F.conv2d(F.pad(part, (1, 1, 1, 1)), weight)
        for part, weight in zip(x.chunk(2, 1), splat.conv.weight.chunk(2), strict=True)
    ]
    a, b = torch.relu(normed(torch.cat(halves, 1), splat.conv_norm)).chunk(2, 1)
    pooled = (a + b).mean((2, 3))
    hidden = torch.relu(normed(pooled @ splat.reduce.weight.T + splat.reduce.bias, splat.norm))
    logits = hidden @ splat.select.weight.T + splat.select.bias
    of_a, of_b = softmax_of_two(logits[:, :64], logits[:, 64:])
    assert_close(splat(x), a * of_a[:, :, None, None] + b * of_b[:, :, None, None])


def test_they_have_the_parameters_of_the_literature():
    assert block("sk").params(64, 8, 8, 8) == 9 * 64**2 + 4 * 64 + 3 * 64 * 8 + 2 * 8 == 38672
    grouped = 18 * 64**2 // 32 + 4 * 64 + 3 * 64 * 8 + 2 * 8
    assert block("sk_grouped").params(64, 8, 8, 8) == grouped
    layer = 64 * 16 + 16 + 2 * 16 + 16 * 128 + 128
    assert block("splat").params(64, 8, 8, 8) == 9 * 64**2 + 2 * 128 + layer


def test_they_are_legal_where_the_channels_can_be_split():
    for name, divisor in (("sk", 2), ("splat", 2), ("sk_grouped", 32)):
        legal = [c for c in range(1, 70) if block(name).legal(c, 8, 8, 4)]
        assert legal == list(range(divisor, 70, divisor))


SK_NAMES = {
    "paths.0.conv.weight": "near.weight",
    "paths.1.conv.weight": "far.weight",
    "attn.fc_reduce.weight": "reduce.weight",
    "attn.fc_select.weight": "select.weight",
    **{
        f"{theirs}.{part}": f"{ours}.{part}"
        for theirs, ours in (
            ("paths.0.bn", "near_norm"),
            ("paths.1.bn", "far_norm"),
            ("attn.bn", "norm"),
        )
        for part in ("weight", "bias", "running_mean", "running_var")
    },
}


@pytest.mark.parametrize("split", [True, False])
def test_sk_agrees_with_timm(timm_class, randomise, assert_agree, x, split):
    theirs = timm_class("layers.selective_kernel", "SelectiveKernel")
    groups = {} if split else {"split_input": False, "groups": 32}
    reference = theirs(64, rd_channels=8, **groups)
    sk = randomise(SelectiveKernel(64, ratio=8, split=split))
    assert_agree(sk, reference, x, names=SK_NAMES)


def test_splat_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.split_attn", "SplitAttn")
    reference = theirs(64, rd_channels=8, norm_layer=torch.nn.BatchNorm2d)
    assert_agree(randomise(SplitAttention(64, ratio=8)), reference, x)
