import pytest
import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.gated_positional import GatedPositionalAttention

ORDERS = pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=str)


def equation(gpsa, x, heads_of):
    """With the softmax over all pairs of positions, and rows scaled to a sum of 1 at the end."""
    size = x.shape[2:]
    of_x = x.flatten(2).transpose(1, 2)
    q, k = (heads_of(part, 4) for part in (of_x @ gpsa.to_qk.weight.T).chunk(2, 2))
    v = heads_of(of_x @ gpsa.to_v.weight.T, 4)
    content = (torch.einsum("nhid,nhjd->nhij", q, k) / 4).softmax(3)
    rows = torch.arange(size[0]).repeat_interleave(size[1])
    columns = torch.arange(size[1]).repeat(size[0])
    dy, dx = rows - rows[:, None], columns - columns[:, None]
    offsets = torch.stack((dx, dy, dx**2 + dy**2), 2).double()
    scores = torch.einsum("ijf,hf->hij", offsets, gpsa.position.weight)
    position = (scores + gpsa.position.bias[:, None, None]).softmax(2)
    share = gpsa.mixture.sigmoid()[:, None, None]
    weights = (1 - share) * content + share * position
    weights = weights / weights.sum(3, keepdim=True)
    attended = torch.cat(list((weights @ v).unbind(1)), 2)
    y = attended @ gpsa.project.weight.T + gpsa.project.bias
    return y.transpose(1, 2).unflatten(2, size)


@ORDERS
@pytest.mark.parametrize("size", [(5, 3), (4, 4), (1, 1)])
def test_gpsa_matches_the_equation(randomise, generator, heads_of, size, order):
    gpsa = randomise(GatedPositionalAttention(64))
    x = torch.randn(2, 64, *size, generator=generator, dtype=torch.float64)
    assert_close(gpsa(x.to(memory_format=order)), equation(gpsa, x, heads_of))


def test_gpsa_starts_with_heads_that_look_at_the_places_of_a_kernel():
    gpsa = GatedPositionalAttention(64)
    assert torch.equal(gpsa.to_v.weight, torch.eye(64))
    assert torch.equal(gpsa.mixture, torch.ones(4))
    # the scores -(d - centre)^2 + constant have centres half a pixel from the query
    centres = gpsa.position.weight[:, :2] / 2
    assert centres.tolist() == [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]]
    assert gpsa.position.weight[:, 2].tolist() == [-1] * 4


def test_gpsa_has_the_parameters_of_the_literature():
    assert block("gpsa").params(64, 8, 8, None) == 4 * 64**2 + 64 + 5 * 4 == 16468


def reference_of(timm_class):
    return timm_class("models.convit", "GPSA")(64, 4)


def test_gpsa_agrees_with_timm_on_a_square_map(timm_class, randomise, assert_agree, generator):
    reference = reference_of(timm_class)
    names = {
        "qk.weight": "to_qk.weight",
        "v.weight": "to_v.weight",
        "proj.weight": "project.weight",
        "proj.bias": "project.bias",
        "pos_proj.weight": "position.weight",
        "pos_proj.bias": "position.bias",
        "gating_param": "mixture",
    }

    def call(x):
        return reference(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, (4, 4))

    x = torch.randn(2, 64, 4, 4, generator=generator, dtype=torch.float64)
    gpsa = randomise(GatedPositionalAttention(64))
    assert_agree(gpsa, reference, x, names=names, call=call)


def test_gpsa_starts_as_timm_s_local_start(timm_class):
    reference = reference_of(timm_class)
    reference.local_init()
    gpsa = GatedPositionalAttention(64)
    assert torch.equal(gpsa.position.weight, reference.pos_proj.weight)
    assert torch.equal(gpsa.to_v.weight, reference.v.weight)
