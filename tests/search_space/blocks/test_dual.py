import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.dual import DualAttentionUnit


@pytest.mark.parametrize("start", [False, True])
def test_dual_matches_the_equation(randomise, x, start):
    dual = randomise(DualAttentionUnit(64, ratio=8, identity_start=start))
    u = F.conv2d(F.pad(x, (1, 1, 1, 1)), dual.first.weight)
    u = torch.where(u > 0, u, dual.activation.weight * u)
    u = F.conv2d(F.pad(u, (1, 1, 1, 1)), dual.second.weight)
    maps = torch.stack((u.max(1).values, u.mean(1)), 1)
    spatial = F.conv2d(F.pad(maps, (2, 2, 2, 2)), dual.spatial.weight).sigmoid()
    hidden = torch.relu(u.mean((2, 3)) @ dual.reduce.weight.T)
    channel = (hidden @ dual.expand.weight.T).sigmoid()[:, :, None, None]
    of_spatial, of_channel = dual.fuse.weight[:, :, 0, 0].chunk(2, 1)
    y = x + torch.einsum("nchw,dc->ndhw", u * spatial, of_spatial)
    assert_close(dual(x), y + torch.einsum("nchw,dc->ndhw", u * channel, of_channel))


def test_dual_has_the_parameters_of_the_literature():
    counted = 2 * 9 * 64**2 + 1 + 50 + 2 * 64 * 8 + 2 * 64**2
    assert block("dual").params(64, 8, 8, 8) == counted == 82995
