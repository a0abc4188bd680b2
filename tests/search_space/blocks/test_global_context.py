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


def test_gc_agrees_with_timm(timm_layer, randomise, copy_weights, x):
    gc = randomise(GlobalContext(64, ratio=16))
    gc.norm.eps = 1e-6  # timm's; the authors' is ours
    reference = copy_weights(gc, timm_layer("global_context", "GlobalContext")(64, rd_channels=4))
    assert_close(gc(x), reference(x))
