import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.squeeze_excite import EffectiveSqueezeExcite, SqueezeExcite


def test_se_matches_the_equation(randomise, x):
    se = randomise(SqueezeExcite(64, ratio=16))
    hidden = torch.relu(x.mean((2, 3)) @ se.reduce.weight.T + se.reduce.bias)
    gate = 1 / (1 + torch.exp(-(hidden @ se.expand.weight.T + se.expand.bias)))
    assert hidden.shape == (2, 4)
    assert_close(se(x), torch.einsum("nchw,nc->nchw", x, gate))


def test_se_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    se = randomise(SqueezeExcite(64, ratio=16, identity_start=True))
    plain = SqueezeExcite(64, ratio=16).double()
    plain.load_state_dict(se.state_dict())
    assert_close(se(x), 2 * plain(x))


def test_cse_is_se_under_another_name():
    assert block("cse").function == "se" == block("se").function
    assert block("cse").module is block("se").module
    assert block("cse").ratios == block("se").ratios


def test_se_and_ese_have_the_parameters_of_the_literature():
    assert block("se").params(64, 8, 8, 16) == 2 * 64 * 4 + 4 + 64 == 580
    assert block("ese").params(64, 8, 8, None) == 64 * 64 + 64 == 4160


def test_ese_matches_the_equation(randomise, x):
    ese = randomise(EffectiveSqueezeExcite(64))
    logits = x.mean((2, 3)) @ ese.mix.weight.T + ese.mix.bias
    gate = torch.clamp(logits + 3, 0, 6) / 6
    assert_close(ese(x), torch.einsum("nchw,nc->nchw", x, gate))


def test_ese_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    ese = randomise(EffectiveSqueezeExcite(64, identity_start=True))
    plain = EffectiveSqueezeExcite(64).double()
    plain.load_state_dict(ese.state_dict())
    assert_close(ese(x), 2 * plain(x))


def test_se_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.squeeze_excite", "SEModule")
    assert_agree(randomise(SqueezeExcite(64, ratio=16)), theirs(64, rd_channels=4), x)


def test_ese_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.squeeze_excite", "EffectiveSEModule")
    assert_agree(randomise(EffectiveSqueezeExcite(64)), theirs(64), x)


def test_cca_matches_the_equation(randomise, x):
    cca = randomise(block("cca").make(64, None, identity_start=False))
    gate = 1 / (1 + torch.exp(-(x.mean((2, 3)) @ cca.mix.weight.T + cca.mix.bias)))
    assert_close(cca(x), torch.einsum("nchw,nc->nchw", x, gate))


def test_cca_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    cca = randomise(block("cca").make(64, None, identity_start=True))
    plain = EffectiveSqueezeExcite(64, hard=False).double()
    plain.load_state_dict(cca.state_dict())
    assert_close(cca(x), 2 * plain(x))


def test_cca_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.squeeze_excite", "EffectiveSEModule")
    cca = randomise(EffectiveSqueezeExcite(64, hard=False))
    assert_agree(cca, theirs(64, gate_layer="sigmoid"), x)
