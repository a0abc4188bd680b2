import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.simam import SimAm


def equation(x):
    variance = x.var((2, 3), keepdim=True)  # unbiased: over H W - 1
    distance = (x - x.mean((2, 3), keepdim=True)) ** 2
    return x * (distance / (4 * (variance + 1e-4)) + 0.5).sigmoid()


def test_simam_matches_the_equation(x):
    assert_close(SimAm(64)(x), equation(x))


def test_simam_weighs_flat_channels_by_the_least_of_its_gate():
    x = torch.full((1, 3, 4, 4), 2.0)
    assert_close(SimAm(3)(x), x * torch.tensor(0.5).sigmoid())


def test_simam_with_an_identity_start_moves_to_the_equation_with_its_blend(x):
    simam = SimAm(64, identity_start=True).double()
    with torch.no_grad():
        simam.blend.fill_(0.25)
    assert_close(simam(x), x + 0.25 * (equation(x) - x))


def test_simam_has_no_parameters_but_the_blend_of_its_identity_start():
    assert block("simam").params(64, 8, 8, None) == 0
    assert block("simam").params(64, 8, 8, None, identity_start=True) == 1


def test_simam_is_illegal_where_there_is_no_variance():
    assert not block("simam").legal(64, 1, 1, None)
    assert block("simam").legal(64, 2, 1, None)
