import pytest
import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.channel_group import ChannelGroupAttention


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_channel_group_matches_the_equation(randomise, heads_of, x, order):
    group = randomise(ChannelGroupAttention(64))
    qkv = x.flatten(2).transpose(1, 2) @ group.to_qkv.weight.T
    q, k, v = (heads_of(part, 4) for part in qkv.chunk(3, 2))  # (2, 4, 15, 16)
    scores = torch.einsum("nhpi,nhpj->nhij", k / 4, v)
    weights = scores.exp() / scores.exp().sum(3, keepdim=True)
    attended = torch.einsum("nhpj,nhij->nhpi", q, weights)
    y = torch.cat(list(attended.unbind(1)), 2) @ group.project.weight.T + group.project.bias
    assert_close(group(x.to(memory_format=order)), y.transpose(1, 2).unflatten(2, (5, 3)))


def test_channel_group_has_the_parameters_of_the_literature():
    assert block("channel_group").params(64, 8, 8, None) == 4 * 64**2 + 64 == 16448


def test_channel_group_agrees_with_timm(timm_class, randomise, assert_agree, x):
    reference = timm_class("models.davit", "ChannelAttention")(64, 4)

    def call(x):
        return reference(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (5, 3))

    assert_agree(randomise(ChannelGroupAttention(64)), reference, x, call=call)
