import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attnas.search_space.blocks import heads


@pytest.mark.parametrize(
    ("channels", "count"),
    [(1, 1), (8, 1), (16, 1), (31, 1), (32, 2), (48, 3), (64, 4), (88, 4), (97, 1), (512, 32)],
)
def test_there_are_as_many_heads_of_16_or_more_as_divide_the_channels(channels, count):
    assert heads.head_count(channels) == count


@given(st.integers(1, 2000))
def test_no_greater_divisor_leaves_16_a_head(channels):
    found = heads.head_count(channels)
    assert channels % found == 0
    for more in range(found + 1, channels // 16 + 1):
        assert channels % more or channels // more < 16


def test_heads_are_of_neighbouring_channels_and_come_back():
    of_tokens = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    parted = heads.split_heads(of_tokens, 2)
    assert torch.equal(parted[:, 1], of_tokens[:, :, 4:])
    assert torch.equal(heads.joined_heads(parted), of_tokens)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_map_comes_back_from_its_tokens_in_its_order(order):
    x = torch.randn(2, 8, 5, 3).contiguous(memory_format=order)
    y = heads.in_order_of(x, heads.as_map(heads.tokens(heads.channels_last(x)), x))
    assert torch.equal(y, x)
    assert y.stride() == x.stride()


def test_a_linear_layer_on_a_map_is_that_at_every_position():
    linear, x = torch.nn.Linear(8, 6), torch.randn(2, 8, 5, 3)
    expected = linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(heads.pointwise(linear, x), expected)
