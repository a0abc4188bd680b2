import sys
from itertools import product
from pathlib import Path

import pytest
import torch
import yaml

from attnas.search_space import Architecture, build, make_backbone, stage_decisions

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """The example's backbone as its config describes it, its weights in a temporary file."""
    config = yaml.safe_load((ROOT / "examples/own_network.yaml").read_text())
    described = config["search_space"]["backbone"]
    described["arguments"]["weights"] = str(tmp_path_factory.mktemp("weights") / "bars.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr(sys, "path", list(sys.path))
        yield make_backbone(**described, input_shape=(1, 8, 8), output_shape=(10,))


@pytest.fixture(scope="module")
def module(backbone):
    return sys.modules["examples.own_network"]


@pytest.fixture(scope="module")
def bars(module):
    return module.bars(400, torch.Generator().manual_seed(1))


def test_the_network_knows_nothing_of_attnas(module):
    assert "attnas" not in (ROOT / "examples/own_network.py").read_text().split('"""', 2)[2]
    assert not any(str(value).startswith("<module 'attnas") for value in vars(module).values())


def test_its_weights_are_trained_ones(backbone, bars):
    images, directions = bars
    hits = build(Architecture.plain(backbone)).eval()(images).argmax(1) == directions
    assert hits.float().mean() > 0.7  # 0.1 by chance


@pytest.mark.parametrize(
    ("early", "late"),
    list(product(["none", "se:r4@residual", "eca@post"], ["gc:r4@pre", "cbam:r4@identity"])),
)
def test_with_blocks_inserted_it_computes_what_it_computed_before(
    module, backbone, bars, early, late
):
    images, _ = bars
    trained = module.trained_network(**dict(backbone.arguments)).eval()
    network = build(Architecture.read(backbone, stage_decisions(backbone), [early, late]), seed=0)
    with torch.no_grad():
        expected = trained(images)
        torch.testing.assert_close(network.eval()(images), expected, rtol=1e-4, atol=1e-4)
    added = sum(p.numel() for p in network.parameters())
    assert added > sum(p.numel() for p in trained.parameters())
