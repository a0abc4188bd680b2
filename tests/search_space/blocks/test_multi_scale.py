import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.multi_scale import EfficientMultiScaleAttention


def equation(ema, x, scale=1):
    """Group after group, each branch pooled as the equation says."""
    parts = []
    for group in x.chunk(ema.ratio, 1):
        rows = (torch.einsum("nch,dc->ndh", group.mean(3), ema.strips.weight)
                + ema.strips.bias[:, None]).sigmoid()  # fmt: skip
        columns = (torch.einsum("ncw,dc->ndw", group.mean(2), ema.strips.weight)
                   + ema.strips.bias[:, None]).sigmoid()  # fmt: skip
        a = group * rows[..., None] * columns[:, :, None]
        spread = a.var((2, 3), correction=0, keepdim=True)
        a = (a - a.mean((2, 3), keepdim=True)) / (spread + 1e-5).sqrt()
        a = a * ema.norm.weight[:, None, None] + ema.norm.bias[:, None, None]
        b = F.conv2d(F.pad(group, (1, 1, 1, 1)), ema.conv.weight, ema.conv.bias)
        logits = torch.einsum("nc,nchw->nhw", a.mean((2, 3)).softmax(1), b)
        logits = logits + torch.einsum("nc,nchw->nhw", b.mean((2, 3)).softmax(1), a)
        parts.append(group * scale * logits.sigmoid()[:, None])
    return torch.cat(parts, 1)


@pytest.mark.parametrize("ratio", [2, 8, 32])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_ema_matches_the_equation(randomise, x, ratio, order):
    ema = randomise(EfficientMultiScaleAttention(64, ratio=ratio))
    assert_close(ema(x.to(memory_format=order)), equation(ema, x))


def test_ema_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    ema = randomise(EfficientMultiScaleAttention(64, ratio=8, identity_start=True))
    assert_close(ema(x), equation(ema, x, scale=2))


def test_ema_has_the_parameters_of_the_literature():
    assert block("ema").params(64, 8, 8, 8) == 8 * 8 + 8 + 9 * 8 * 8 + 8 + 2 * 8 == 672


def test_ema_is_legal_where_its_groups_are_equal():
    assert [block("ema").legal(c, 8, 8, 8) for c in (4, 8, 12, 16)] == [False, True, False, True]
