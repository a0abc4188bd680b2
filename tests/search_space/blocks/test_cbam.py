import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.cbam import Cbam, LightCbam


def equation(cbam, x, scale=1):
    def shared(pooled):
        return torch.relu(pooled @ cbam.reduce.weight.T) @ cbam.expand.weight.T

    highest = x.flatten(2).max(2).values
    u = x * scale * (shared(x.mean((2, 3))) + shared(highest)).sigmoid()[:, :, None, None]
    maps = torch.stack((u.mean(1), u.max(1).values), 1)
    scores = F.conv2d(F.pad(maps, (3, 3, 3, 3)), cbam.conv.weight)
    norm = cbam.norm
    scores = (scores - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
    return u * scale * (scores * norm.weight + norm.bias).sigmoid()


def test_cbam_matches_the_equation(randomise, x):
    cbam = randomise(Cbam(64, ratio=16))
    assert_close(cbam(x), equation(cbam, x))


def test_cbam_matches_the_equation_in_channels_last_order(randomise, x):
    cbam = randomise(Cbam(64, ratio=16))
    assert_close(cbam(x.to(memory_format=torch.channels_last)), equation(cbam, x))


def test_cbam_with_an_identity_start_doubles_both_gates_once_trained(randomise, x):
    cbam = randomise(Cbam(64, ratio=16, identity_start=True))
    assert_close(cbam(x), equation(cbam, x, scale=2))


def test_cbam_has_the_parameters_of_the_literature():
    assert block("cbam").params(64, 8, 8, 16) == 2 * 64 * 4 + 2 * 49 + 2 == 612


def test_cbam_is_legal_wherever_it_trains_on_a_batch_of_one():
    assert not block("cbam").legal(64, 1, 1, 16)
    assert block("cbam").legal(64, 1, 2, 16)


def test_cbam_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.cbam", "CbamModule")
    assert_agree(randomise(Cbam(64, ratio=16)), theirs(64, rd_channels=4), x)


def light_equation(lcbam, x, scale=1):
    pooled = (x.mean((2, 3)) + x.flatten(2).max(2).values) / 2
    logits = torch.relu(pooled @ lcbam.reduce.weight.T) @ lcbam.expand.weight.T
    u = x * scale * logits.sigmoid()[:, :, None, None]
    level = (u.mean(1, keepdim=True) + u.max(1, keepdim=True).values) / 2
    scores = F.conv2d(F.pad(level, (3, 3, 3, 3)), lcbam.conv.weight)
    norm = lcbam.norm
    scores = (scores - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
    return u * scale * (scores * norm.weight + norm.bias).sigmoid()


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_lcbam_matches_the_equation(randomise, x, order):
    lcbam = randomise(LightCbam(64, ratio=16))
    assert_close(lcbam(x.to(memory_format=order)), light_equation(lcbam, x))


def test_lcbam_with_an_identity_start_doubles_both_gates_once_trained(randomise, x):
    lcbam = randomise(LightCbam(64, ratio=16, identity_start=True))
    assert_close(lcbam(x), light_equation(lcbam, x, scale=2))


def test_lcbam_has_the_parameters_of_timm_s_class():
    assert block("lcbam").params(64, 8, 8, 16) == 2 * 64 * 4 + 49 + 2 == 563


def test_lcbam_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.cbam", "LightCbamModule")
    assert_agree(randomise(LightCbam(64, ratio=16)), theirs(64, rd_channels=4), x)
