import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.windowed_attention import HaloAttention, WindowAttention

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


def draw(generator, *size):
    return torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)


def padded(x, side):
    return F.pad(x, (0, -x.shape[3] % side, 0, -x.shape[2] % side))


@ORDERS
@pytest.mark.parametrize("size", [(5, 3), (14, 7), (9, 15)])
def test_window_matches_the_equation(randomise, generator, attend, heads_of, size, order):
    window = randomise(WindowAttention(64))
    x = draw(generator, *size)
    whole = padded(x, 7)
    y = torch.empty_like(whole)
    for i in range(0, whole.shape[2], 7):
        for j in range(0, whole.shape[3], 7):
            part = whole[:, :, i : i + 7, j : j + 7].flatten(2).transpose(1, 2)
            qkv = part @ window.to_qkv.weight.T + window.to_qkv.bias
            q, k, v = (heads_of(of, 4) for of in qkv.chunk(3, 2))
            attended = torch.cat(list(attend(q, k, v).unbind(1)), 2)
            attended = attended @ window.project.weight.T + window.project.bias
            y[:, :, i : i + 7, j : j + 7] = attended.transpose(1, 2).unflatten(2, (7, 7))
    assert_close(window(x.to(memory_format=order)), y[:, :, : size[0], : size[1]])


@ORDERS
@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("size", [(5, 3), (16, 8), (9, 17)])
def test_halo_matches_the_equation(randomise, generator, attend, heads_of, size, order, ratio):
    halo, narrow = randomise(HaloAttention(64, ratio=ratio)), 16 // ratio
    x = draw(generator, *size)
    whole = padded(x, 8)
    surroundings = F.pad(whole, (3, 3, 3, 3))
    y = torch.empty_like(whole)
    rows, columns = torch.arange(64) // 8, torch.arange(64) % 8
    around_rows, around_columns = torch.arange(196) // 14, torch.arange(196) % 14
    relative = halo.rows[around_rows - rows[:, None] + 13]  # (64, 196, dk)
    relative = relative + halo.columns[around_columns - columns[:, None] + 13]
    for i in range(0, whole.shape[2], 8):
        for j in range(0, whole.shape[3], 8):
            inner = whole[:, :, i : i + 8, j : j + 8].flatten(2).transpose(1, 2)
            outer = surroundings[:, :, i : i + 14, j : j + 14].flatten(2).transpose(1, 2)
            q = heads_of(inner @ halo.to_q.weight.T, 4)
            kv = heads_of(outer @ halo.to_kv.weight.T, 4)
            bias = torch.einsum("nhid,ijd->nhij", q, relative)
            attended = attend(q, kv[..., :narrow], kv[..., narrow:], bias=bias)
            attended = torch.cat(list(attended.unbind(1)), 2)
            y[:, :, i : i + 8, j : j + 8] = attended.transpose(1, 2).unflatten(2, (8, 8))
    assert_close(halo(x.to(memory_format=order)), y[:, :, : size[0], : size[1]])


def test_they_have_the_parameters_of_the_literature():
    assert block("window").params(64, 8, 8, None) == 4 * 64**2 + 4 * 64 == 16640
    assert block("halo").params(64, 8, 8, 1) == 64 * 3 * 64 + 2 * 27 * 16


def test_window_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    theirs = timm_class("models.davit", "WindowAttention")
    reference = theirs(64, (7, 7), 4)

    def call(x):
        return reference(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (7, 7))

    x = draw(generator, 7, 7)
    assert_agree(randomise(WindowAttention(64)), reference, x, call=call)


def test_halo_agrees_with_timm(timm_class, randomise, assert_agree, generator):
    theirs = timm_class("layers.halo_attn", "HaloAttn")
    names = {
        "q.weight": "to_q.weight",
        "kv.weight": "to_kv.weight",
        "pos_embed.height_rel": "rows",
        "pos_embed.width_rel": "columns",
    }
    x = draw(generator, 16, 8)
    halo = randomise(HaloAttention(64, ratio=2))
    assert_agree(halo, theirs(64, num_heads=4, dim_head=8), x, names=names)
