import torch
import torch.nn.functional as F
from torch.testing import assert_close

from attnas.search_space import block
from attnas.search_space.blocks.bam import Bam


def logits(bam, x, normed):
    c = torch.relu(normed(x.mean((2, 3)) @ bam.reduce.weight.T + bam.reduce.bias, bam.norm))
    c = c @ bam.expand.weight.T + bam.expand.bias
    s, layers = x, bam.spatial
    for convolution, norm in ((0, 1), (3, 4), (6, 7)):
        reach = 4 if convolution else 0
        s = F.conv2d(
            F.pad(s, (reach, reach, reach, reach)),
            layers[convolution].weight,
            layers[convolution].bias,
            dilation=4 if convolution else 1,
        )
        s = torch.relu(normed(s, layers[norm]))
    s = torch.einsum("nchw,c->nhw", s, layers[9].weight[0, :, 0, 0]) + layers[9].bias
    return torch.einsum("nc,nhw->nchw", c, s)


def test_bam_matches_the_equation(randomise, normed, x):
    bam = randomise(Bam(64, ratio=16))
    assert_close(bam(x), x * (1 + logits(bam, x, normed).sigmoid()))


def test_bam_with_an_identity_start_has_the_gain_of_a_doubled_gate_once_trained(
    randomise, normed, x
):
    bam = randomise(Bam(64, ratio=16, identity_start=True))
    assert_close(bam(x), x * 2 * logits(bam, x, normed).sigmoid())


def test_bam_has_the_parameters_of_the_literature():
    channel = 64 * 4 + 4 + 2 * 4 + 4 * 64 + 64
    spatial = 64 * 4 + 4 + 2 * (9 * 4 * 4 + 4) + 3 * 2 * 4 + 4 + 1
    assert block("bam").params(64, 8, 8, 16) == channel + spatial == 1173
