import pytest
import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.polarized import ParallelPolarized, SequentialPolarized


def pooled(psa, x):
    """sum_p softmax_p(q . x_p) Wv x_p, with Wv at every position."""
    positions = x.flatten(2)
    weights = torch.einsum("c,ncp->np", psa.score.weight[0], positions).softmax(1)
    values = torch.einsum("mc,ncp->nmp", psa.value.weight, positions)
    return torch.einsum("np,nmp->nm", weights, values)


def query_and_keys(psa, x):
    positions = x.flatten(2)
    queries = torch.einsum("mc,ncp->nmp", psa.query.weight, positions).mean(2)
    return queries, torch.einsum("mc,ncp->nmp", psa.key.weight, positions)


def test_psa_p_is_the_sum_of_both_gated_maps(randomise, x):
    psa = randomise(ParallelPolarized(64))
    channel = (pooled(psa, x) @ psa.expand.weight.T).sigmoid()
    query, keys = query_and_keys(psa, x)
    spatial = torch.einsum("nm,nmp->np", query, keys).softmax(1).sigmoid().view(-1, 1, 5, 3)
    assert_close(psa(x), x * channel[:, :, None, None] + x * spatial)


@pytest.mark.parametrize("start", [False, True])
def test_psa_s_gates_the_channels_and_then_the_positions(randomise, x, start):
    psa = randomise(SequentialPolarized(64, identity_start=start))
    scale = 2 if start else 1
    hidden = pooled(psa, x) @ psa.reduce.weight.T + psa.reduce.bias
    centred = hidden - hidden.mean(1, keepdim=True)
    hidden = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
    hidden = torch.relu(hidden * psa.norm.weight + psa.norm.bias)
    gate = (hidden @ psa.expand.weight.T + psa.expand.bias).sigmoid()
    u = x * scale * gate[:, :, None, None]
    query, keys = query_and_keys(psa, u)
    spatial = torch.einsum("nm,nmp->np", query, keys.softmax(2)).sigmoid().view(-1, 1, 5, 3)
    assert_close(psa(x), u * scale * spatial)


@pytest.mark.parametrize(("size", "gain"), [((8, 8), 1 + 1 / 256), ((1, 1), 1.2311)])
def test_psa_p_starts_near_the_identity_as_far_as_the_map_is_large(size, gain):
    x = torch.rand(2, 16, *size) + 0.5
    found = ParallelPolarized(16, identity_start=True)(x) / x
    assert_close(found, torch.full_like(found, gain), rtol=1e-4, atol=0)


def test_they_have_the_parameters_of_the_literature():
    assert block("psa_p").params(64, 8, 8, None) == 64 + 4 * 64 * 32 == 8256
    gate = 32 * 8 + 8 + 2 * 8 + 8 * 64 + 64
    assert block("psa_s").params(64, 8, 8, None) == 64 + 3 * 64 * 32 + gate == 7064


def test_psa_s_is_legal_where_its_layer_norm_has_more_than_two_values():
    assert [block("psa_s").legal(c, 8, 8, None) for c in (16, 31, 32)] == [False, False, True]
    assert [block("psa_p").legal(c, 8, 8, None) for c in (1, 2)] == [False, True]
