import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block


def make(name, ratio=None, *, size=(5, 3), identity_start=False):
    return block(name).make(64, ratio, size=size, identity_start=identity_start)


def means(x, extent):
    """Of the pixels within e - 1 of every e-th one, by counting them."""
    rows = []
    for i in range(0, x.shape[2], extent):
        row = []
        for j in range(0, x.shape[3], extent):
            top, left = max(0, i - extent + 1), max(0, j - extent + 1)
            row.append(x[:, :, top : i + extent, left : j + extent].mean((2, 3)))
        rows.append(torch.stack(row, 2))
    return torch.stack(rows, 2)


def nearest(gate, height, width):
    rows = torch.arange(height) * gate.shape[2] // height
    columns = torch.arange(width) * gate.shape[3] // width
    return gate[:, :, rows][..., columns]


@pytest.mark.parametrize("extent", [2, 4, 8])
@pytest.mark.parametrize("size", [(8, 8), (5, 3), (1, 1)])
def test_ge_weighs_by_the_means_around_every_position(generator, extent, size):
    x = torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)
    gate = nearest(means(x, extent), *size).sigmoid()
    assert_close(make(f"ge_{extent}").double()(x), x * gate)


def test_ge_of_the_whole_map_weighs_by_its_means(x):
    assert_close(make("ge").double()(x), x * x.mean((2, 3), keepdim=True).sigmoid())


@pytest.mark.parametrize("name", ["ge", "ge_4"])
def test_ge_with_an_identity_start_moves_to_the_equation_with_its_blend(x, name):
    started = make(name, identity_start=True).double()
    with torch.no_grad():
        started.blend.fill_(0.25)
    assert_close(started(x), x + 0.25 * (make(name).double()(x) - x))


def gathered(gather, x, normed):
    steps = list(zip(gather.convolutions, gather.norms, strict=True))
    for convolution, norm in steps:
        padded = F.pad(x, (1, 1, 1, 1)) if gather.size is None else x
        stride = 2 if gather.size is None else 1
        z = F.conv2d(padded, convolution.weight, stride=stride, groups=x.shape[1])
        x = normed(z, norm)
        if norm is not steps[-1][1]:
            x = torch.relu(x)
    return x


@pytest.mark.parametrize("extent", ["", "_2", "_4", "_8"])
@pytest.mark.parametrize("start", [False, True])
def test_ge_theta_matches_the_equation(randomise, normed, x, extent, start):
    ge = randomise(make(f"ge_theta{extent}", identity_start=start))
    assert len(ge.gather.norms) == {"": 1, "_2": 1, "_4": 2, "_8": 3}[extent]
    gate = nearest(gathered(ge.gather, x, normed), 5, 3).sigmoid()
    assert_close(ge(x), x * (2 if start else 1) * gate)


@pytest.mark.parametrize("extent", ["", "_4"])
@pytest.mark.parametrize("start", [False, True])
def test_ge_plus_matches_the_equation(randomise, normed, x, extent, start):
    ge = randomise(make(f"ge_plus{extent}", 16, identity_start=start))
    z = gathered(ge.gather, x, normed)
    hidden = torch.einsum("nchw,dc->ndhw", z, ge.reduce.weight[..., 0, 0])
    hidden = torch.relu(hidden + ge.reduce.bias[:, None, None])
    logits = torch.einsum("nchw,dc->ndhw", hidden, ge.expand.weight[..., 0, 0])
    gate = nearest(logits + ge.expand.bias[:, None, None], 5, 3).sigmoid()
    assert_close(ge(x), x * (2 if start else 1) * gate)


def test_ge_theta_of_the_whole_map_pools_a_map_of_another_size(randomise, normed, x):
    ge = randomise(make("ge_theta", size=(10, 6)))
    pooled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)  # 5 x 3 means of 10 x 6 places
    gate = gathered(ge.gather, pooled, normed).sigmoid()
    assert_close(ge(x), x * gate)


def test_ge_has_the_parameters_of_the_literature():
    assert block("ge").params(64, 8, 8, None) == block("ge_8").params(64, 8, 8, None) == 0
    assert block("ge_theta_8").params(64, 8, 8, None) == 3 * (9 * 64 + 2 * 64)
    assert block("ge_theta").params(64, 8, 6, None) == 48 * 64 + 2 * 64
    assert block("ge_plus_4").params(64, 8, 8, 16) == 2 * 11 * 64 + 580 == 1988


@pytest.mark.parametrize("extent", [0, 2, 4, 8])
def test_ge_agrees_with_timm(timm_class, assert_agree, x, extent):
    theirs = timm_class("layers.gather_excite", "GatherExcite")
    ours = make(f"ge_{extent}" if extent else "ge").double()
    assert_agree(ours, theirs(64, extent=extent, use_mlp=False), x)
