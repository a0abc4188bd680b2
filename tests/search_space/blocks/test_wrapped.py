import torch
from torch import nn
from torch.testing import assert_close

from attnas.search_space.blocks.wrapped import Wrapped


class Cube(nn.Module):
    def forward(self, x):
        return x**3


def test_a_wrapped_block_is_a_branch_beside_its_normed_input(randomise, x):
    wrapped = randomise(Wrapped(Cube(), 64, blends=False, identity_start=False))
    centred = x - x.mean((1, 2, 3), keepdim=True)
    z = centred / (centred.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    z = z * wrapped.norm.weight[:, None, None] + wrapped.norm.bias[:, None, None]
    assert_close(wrapped(x), x + wrapped.gamma * z**3)


def test_a_block_that_blends_is_blended_in_without_a_norm(randomise, x):
    wrapped = randomise(Wrapped(Cube(), 64, blends=True, identity_start=False))
    assert_close(wrapped(x), (1 - wrapped.gamma) * x + wrapped.gamma * x**3)


def test_a_branch_is_whole_without_an_identity_start_and_nothing_with_one(x):
    whole = Wrapped(Cube(), 64, blends=True, identity_start=False).double()
    assert_close(whole(x), x**3)
    assert torch.equal(Wrapped(Cube(), 64, blends=True, identity_start=True).double()(x), x)


def test_the_added_parameters_are_a_gain_a_channel_and_those_of_a_norm():
    for blends in (False, True):
        made = Wrapped(Cube(), 64, blends=blends, identity_start=True)
        counted = sum(parameter.numel() for parameter in made.parameters())
        assert counted == Wrapped.added(64, blends=blends) == (64 if blends else 3 * 64)
