import pytest
import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.global_context import GlobalContext


def equation(gc, x, scale=1):
    y = torch.empty_like(x)
    for n, image in enumerate(x):
        positions = image.flatten(1).T  # (H W, C)
        weights = torch.exp(positions @ gc.score.weight[0] + gc.score.bias)
        context = (weights[:, None] * positions).sum(0) / weights.sum()
        hidden = gc.reduce.weight @ context + gc.reduce.bias
        spread = hidden.var(correction=0)
        hidden = (hidden - hidden.mean()) / (spread + 1e-5).sqrt()
        hidden = torch.relu(hidden * gc.norm.weight + gc.norm.bias)
        y[n] = image * scale * (gc.expand.weight @ hidden + gc.expand.bias).sigmoid()[:, None, None]
    return y


def test_gc_matches_the_equation(randomise, x):
    gc = randomise(GlobalContext(64, ratio=16))
    assert_close(gc(x), equation(gc, x))


def test_gc_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    gc = randomise(GlobalContext(64, ratio=16, identity_start=True))
    assert_close(gc(x), equation(gc, x, scale=2))


def test_gc_has_the_parameters_of_the_literature():
    assert block("gc").params(64, 8, 8, 16) == 2 * 64 * 4 + 3 * 4 + 2 * 64 + 1 == 653


def added_equation(gca, x):
    context = torch.empty(x.shape[:2], dtype=x.dtype)
    for n, image in enumerate(x):
        positions = image.flatten(1).T  # (H W, C)
        weights = torch.exp(positions @ gca.score.weight[0] + gca.score.bias)
        context[n] = (weights[:, None] * positions).sum(0) / weights.sum()
    hidden = context @ gca.reduce.weight.T + gca.reduce.bias
    centred = hidden - hidden.mean(1, keepdim=True)
    hidden = centred / (centred.square().mean(1, keepdim=True) + gca.norm.eps).sqrt()
    hidden = torch.relu(hidden * gca.norm.weight + gca.norm.bias)
    return x + (hidden @ gca.expand.weight.T + gca.expand.bias)[:, :, None, None]


@pytest.mark.parametrize("start", [False, True])
def test_gca_matches_the_equation(randomise, x, start):
    gca = randomise(GlobalContext(64, ratio=16, added=True, identity_start=start))
    assert_close(gca(x), added_equation(gca, x))


@pytest.mark.parametrize("added", [False, True])
def test_gc_and_gca_agree_with_timm(timm_class, randomise, assert_agree, x, added):
    gc = randomise(GlobalContext(64, ratio=16, added=added))
    gc.norm.eps = 1e-6  # timm's; the authors' is ours
    theirs = timm_class("layers.global_context", "GlobalContext")
    assert_agree(gc, theirs(64, rd_channels=4, fuse_add=added, fuse_scale=not added), x)
