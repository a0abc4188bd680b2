import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.non_local import BilinearAttention, NonLocalAttention

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


@ORDERS
@pytest.mark.parametrize("start", [False, True])
def test_nl_matches_the_equation(randomise, normed, attend, x, order, start):
    nl = randomise(NonLocalAttention(64, ratio=8, identity_start=start))
    of_x = x.flatten(2).transpose(1, 2)
    q, k, v = (of_x @ f.weight.T + f.bias for f in (nl.query, nl.key, nl.value))
    z = attend(q, k, v, scale=1 / 8) @ nl.project.weight.T + nl.project.bias
    expected = x + normed(z.transpose(1, 2).unflatten(2, (5, 3)), nl.norm)
    assert_close(nl(x.to(memory_format=order)), expected)


def activated(x, layers, normed):
    y = torch.einsum("nchw,dc->ndhw", x, layers[0].weight[..., 0, 0])
    return torch.relu(normed(y, layers[1]))


def equation(bat, x, normed):
    """With P and Q as matrices of all rows and all columns."""
    side, (height, width) = bat.side, x.shape[2:]
    u = activated(x, bat.reduce, normed)
    gathered = activated(u, bat.gather, normed)
    rows = gathered.unflatten(2, (side, -1)).amax((3, 4))  # (N, 2, b)
    columns = gathered.unflatten(3, (side, -1)).amax((2, 4))
    p = torch.einsum("ngb,ogb->no", rows, bat.to_p.weight[..., 0]) + bat.to_p.bias
    q = torch.einsum("ngb,ogb->no", columns, bat.to_q.weight[:, :, 0]) + bat.to_q.bias
    p, q = p.sigmoid().view(-1, 2, side, side), q.sigmoid().view(-1, 2, side, side)
    p, q = p / p.sum(3, keepdim=True), q / q.sum(2, keepdim=True)
    y = torch.empty_like(u)
    half = u.shape[1] // 2
    for n in range(len(x)):
        for channel in range(u.shape[1]):
            of_rows = torch.kron(p[n, channel // half], torch.eye(height // side).double())
            of_columns = torch.kron(q[n, channel // half], torch.eye(width // side).double())
            y[n, channel] = of_rows @ u[n, channel] @ of_columns
    return activated(activated(y, bat.mix, normed), bat.expand, normed)


@ORDERS
@pytest.mark.parametrize(("side", "size"), [(7, (14, 7)), (8, (8, 16)), (4, (8, 4)), (1, (2, 3))])
def test_bat_matches_the_equation(randomise, normed, generator, side, size, order):
    bat = randomise(BilinearAttention(16, ratio=2, side=side))
    x = torch.randn(2, 16, *size, generator=generator, dtype=torch.float64)
    assert_close(bat(x.to(memory_format=order)), x + equation(bat, x, normed))


def test_bat_with_an_identity_start_moves_to_the_equation_with_its_blend(
    randomise, normed, generator
):
    bat = randomise(BilinearAttention(16, ratio=2, side=4, identity_start=True))
    x = torch.randn(2, 16, 4, 4, generator=generator, dtype=torch.float64)
    assert_close(bat(x), x + bat.blend * equation(bat, x, normed))


def test_bat_pads_a_map_that_its_blocks_do_not_divide(randomise, normed, generator):
    bat = randomise(BilinearAttention(16, ratio=2, side=4))
    x = torch.randn(2, 16, 3, 6, generator=generator, dtype=torch.float64)
    whole = F.pad(x, (0, 2, 0, 1))
    assert_close(bat(x), x + equation(bat, whole, normed)[:, :, :3, :6])


def test_they_have_the_parameters_of_their_layers():
    assert block("nl").params(64, 8, 8, 16) == 3 * (64 * 4 + 4) + 4 * 64 + 64 + 2 * 64
    layers = 64 * 16 + 2 * 16 + 16 * 2 + 2 * 2 + 16 * 16 + 2 * 16 + 16 * 64 + 2 * 64
    maps = 2 * (2 * 49 * 2 * 7 + 2 * 49)
    assert block("bat").params(64, 7, 7, 4) == layers + maps
    assert block("bat").params(64, 7, 7, 4) == 2 * 64 * 16 + 16**2 + 6 * 16 + 132 + 8 * 343 + 196


def test_bat_has_an_even_width_and_is_legal_where_its_blocks_divide_the_map():
    assert block("bat").widths(20, 4) == (6,)
    legal = [side for side in range(1, 30) if block("bat").legal(64, 7, side, 4)]
    assert legal == [7, 14, 21, 28]


def test_nl_agrees_with_timm(timm_class, randomise, assert_agree, x):
    theirs = timm_class("layers.non_local_attn", "NonLocalAttn")
    assert_agree(randomise(NonLocalAttention(64, ratio=8)), theirs(64, rd_channels=8), x)


def test_bat_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    x = torch.randn(2, 64, 14, 7, generator=generator, dtype=torch.float64)
    theirs = timm_class("layers.non_local_attn", "BatNonLocalAttn")
    assert_agree(randomise(BilinearAttention(64, ratio=4, side=7)), theirs(64, rd_channels=16), x)
