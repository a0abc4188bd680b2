import torch
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.scse import ConcurrentSqueezeExcite, SpatialSqueezeExcite


def channel_gate(se, x):
    hidden = torch.relu(x.mean((2, 3)) @ se.reduce.weight.T + se.reduce.bias)
    return (hidden @ se.expand.weight.T + se.expand.bias).sigmoid()[:, :, None, None]


def spatial_gate(sse, x):
    scores = torch.einsum("c,nchw->nhw", sse.score.weight[0], x) + sse.score.bias
    return scores.sigmoid()[:, None]


def test_sse_matches_the_equation(randomise, x):
    sse = randomise(SpatialSqueezeExcite(64))
    assert_close(sse(x), x * spatial_gate(sse, x))


def test_sse_with_an_identity_start_is_the_doubled_gate_once_trained(randomise, x):
    sse = randomise(SpatialSqueezeExcite(64, identity_start=True))
    assert_close(sse(x), 2 * x * spatial_gate(sse, x))


def test_scse_is_the_sum_of_the_channel_and_the_spatial_form(randomise, x):
    scse = randomise(ConcurrentSqueezeExcite(64, ratio=2))
    both = x * channel_gate(scse.channel, x) + x * spatial_gate(scse.spatial, x)
    assert_close(scse(x), both)


def test_scse_keeps_its_plain_gates_with_an_identity_start(randomise, x):
    scse = randomise(ConcurrentSqueezeExcite(64, ratio=2, identity_start=True))
    both = x * channel_gate(scse.channel, x) + x * spatial_gate(scse.spatial, x)
    assert_close(scse(x), both)


def test_sse_and_scse_have_the_parameters_of_the_literature():
    assert block("sse").params(64, 8, 8, None) == 64 + 1
    assert block("scse").params(64, 8, 8, 2) == 2 * 64 * 32 + 32 + 64 + 65 == 4257


def test_scse_max_is_the_greater_of_the_channel_and_the_spatial_form(randomise, x):
    found = randomise(block("scse_max").make(64, 2, identity_start=False))
    both = x * channel_gate(found.channel, x), x * spatial_gate(found.spatial, x)
    assert_close(found(x), torch.where(both[0] > both[1], *both))


def test_scse_max_doubles_both_gates_with_an_identity_start(randomise, x):
    found = randomise(block("scse_max").make(64, 2, identity_start=True))
    both = x * channel_gate(found.channel, x), x * spatial_gate(found.spatial, x)
    assert_close(found(x), 2 * torch.where(both[0] > both[1], *both))
