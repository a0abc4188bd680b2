import math

import pytest
import torch
from torch import nn

from attnas.search_space import BACKBONES, Insertion, Stage, Unit
from attnas.search_space.backbones.staged import StagedNetwork, classifier, convolution

SHAPES = {
    "resnet_cifar": (3, 9, 13),
    "resnet": (3, 40, 33),
    "mobilenetv2": (1, 33, 40),
    "unet": (3, 11, 14),
}


class Halved(nn.Module):
    sites = {"residual": "slot"}  # noqa: RUF012

    def __init__(self):
        super().__init__()
        self.slot = nn.Identity()

    def forward(self, x):
        return self.slot(x / 2)


def test_the_stages_run_in_order_between_stem_and_head():
    network = StagedNetwork(
        nn.Identity(), {"one": [Halved(), Halved()], "two": [nn.ReLU()]}, nn.Flatten()
    )
    torch.testing.assert_close(network(torch.tensor([[[[-4.0, 8.0]]]])), torch.tensor([[0.0, 2.0]]))


def test_stages_name_the_slots_of_every_unit():
    network = StagedNetwork(nn.Identity(), {"one": [Halved(), Halved()]}, nn.Flatten())
    sites = (("residual", Insertion("at", "slot")),)
    assert network.stages() == (Stage("one", (Unit("one.0", sites), Unit("one.1", sites))),)


def test_convolutions_start_with_the_spread_of_he_et_al():
    torch.manual_seed(0)
    network = StagedNetwork(convolution(64, 128, 3), {}, classifier(128, 10))
    spread = network.stem.weight.std().item()
    assert spread == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_takes_odd_maps_and_gives_finite_gradients_to_all_parameters(name):
    torch.manual_seed(0)
    network = BACKBONES[name](classes=7, in_channels=SHAPES[name][0])
    scores = network(torch.randn(2, *SHAPES[name]))
    assert scores.shape == ((2, 7, *SHAPES[name][1:]) if name == "unet" else (2, 7))
    scores.logsumexp(1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
