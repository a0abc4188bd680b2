import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.search_space.layout_adapters import adapter
from attnas.search_space.layouts import NCHW, Layout, sides_of

IMAGE = (3, 32, 48)


@pytest.mark.parametrize("text", ["nchw", "nhwc", "signal", "tokens", "tokens+5"])
def test_a_layout_is_read_as_it_is_written(text):
    assert str(Layout.parse(text)) == text
    assert Layout.parse("nchw") == NCHW


@pytest.mark.parametrize("text", ["nhwcc", "nchw+1", "", "tokens+", "tokens-1"])
def test_what_is_no_layout_is_refused(text):
    with pytest.raises(InputError) as caught:
        Layout.parse(text)
    assert str(caught.value) == (
        f"'{text}' is no layout. Write nchw, nhwc, signal, tokens, or tokens+1 with one class "
        "token before those of the map."
    )


@pytest.mark.parametrize(
    ("layout", "shape", "sizes"),
    [
        ("nchw", (1, 5, 4, 6), (5, 4, 6)),
        ("nhwc", (1, 4, 6, 5), (5, 4, 6)),
        ("nhwc", (1, 24, 5), None),
        ("signal", (1, 5, 24), (5, 1, 24)),
        ("tokens", (1, 24, 5), (5, 4, 6)),
        ("tokens", (1, 25, 5), None),
        ("tokens+1", (1, 25, 5), (5, 4, 6)),
        ("tokens+1", (1, 1, 5), None),
    ],
)
def test_the_sizes_of_a_map_are_those_of_its_axes(layout, shape, sizes):
    assert Layout.parse(layout).sizes(shape, IMAGE) == sizes


def test_tokens_have_the_sides_of_the_image():
    assert sides_of(6, IMAGE) == (2, 3)
    assert sides_of(1, (3, 8, 8)) == (1, 1)
    assert sides_of(24, (3, 8, 8)) is None
    assert sides_of(24, (3, 100)) == (1, 24)  # of a signal


class Marked(nn.Module):
    """Adds to (N, C, H, W) what depends on channel, row and column."""

    def forward(self, x):
        _, channels, height, width = x.shape
        y = torch.arange(channels).reshape(-1, 1, 1) * 100.0
        return x + y + torch.arange(height).reshape(-1, 1) * 10 + torch.arange(width)


def test_a_block_sees_every_layout_as_a_map():
    x = torch.randn(2, 5, 4, 6)
    expected = Marked()(x)

    def run(layout, given, height=4, width=6):
        adapt, sizes = adapter(Layout.parse(layout), height, width)
        return adapt(Marked(), *sizes)(given)

    assert torch.equal(run("nhwc", x.permute(0, 2, 3, 1)), expected.permute(0, 2, 3, 1))
    tokens, changed = x.flatten(2).transpose(1, 2), expected.flatten(2).transpose(1, 2)
    assert torch.equal(run("tokens", tokens), changed)
    assert torch.equal(run("tokens", tokens, 8, 12), changed)  # traced on twice the size
    leading = torch.randn(2, 2, 5)
    assert torch.equal(
        run("tokens+2", torch.cat([leading, tokens], 1)), torch.cat([leading, changed], 1)
    )
    signal = torch.randn(2, 5, 24)
    assert torch.equal(run("signal", signal), Marked()(signal[:, :, None])[:, :, 0])


def test_tokens_of_another_shape_are_refused():
    adapt, sizes = adapter(Layout("tokens"), 4, 4)
    adapted = adapt(Marked(), *sizes)
    with pytest.raises(ValueError, match="7 tokens make no map like 4 x 4"):
        adapted(torch.zeros(1, 7, 2))
