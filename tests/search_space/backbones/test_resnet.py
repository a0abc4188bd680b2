import pytest
import torch

from attnas.core import InputError
from attnas.search_space import make_backbone
from attnas.search_space.backbones.resnet import resnet


@pytest.mark.parametrize(("depth", "known"), [(18, 11689512), (34, 21797672), (50, 25557032)])
def test_parameters_at_1000_classes_are_the_known_ones(depth, known):
    with torch.device("meta"):
        network = resnet(classes=1000, in_channels=3, depth=depth)
    assert sum(p.numel() for p in network.parameters()) == known


@pytest.mark.parametrize(
    ("depth", "units", "widths"),
    [(18, (2, 2, 2, 2), (64, 128, 256, 512)), (50, (3, 4, 6, 3), (256, 512, 1024, 2048))],
)
def test_stages_have_the_papers_units_widths_and_maps(depth, units, widths):
    backbone = make_backbone(
        name="resnet", arguments={"depth": depth}, input_shape=(3, 64, 64), output_shape=(5,)
    )
    found = {name: backbone.sites(name) for name in backbone.stage_names}
    assert tuple(found) == ("layer1", "layer2", "layer3", "layer4")
    assert tuple(map(len, found.values())) == units
    for sites, width, side in zip(found.values(), widths, (16, 8, 4, 2), strict=True):
        for unit in sites:
            for placement in ("residual", "post", "identity"):
                site = unit[placement]
                assert (site.channels, site.height, site.width) == (width, side, side)
    assert found["layer1"][0]["pre"].channels == 64


def test_another_depth_is_refused():
    with pytest.raises(InputError) as caught:
        resnet(classes=10, in_channels=3, depth=101)
    assert str(caught.value) == "depth: must be 18, 34 or 50, not 101."
