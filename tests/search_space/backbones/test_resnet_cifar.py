import pytest
import torch

from attnas.core import InputError
from attnas.search_space import make_backbone
from attnas.search_space.backbones.resnet_cifar import resnet_cifar


def n_parameters(**arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in resnet_cifar(**arguments).parameters())


def counted_by_hand(depth, width, classes, in_channels):
    def unit(a, b, projection):
        return 9 * a * b + 9 * b * b + 4 * b + (a * b + 2 * b if projection else 0)

    units, w = (depth - 2) // 6, width
    stem = 9 * in_channels * w + 2 * w
    stages = units * unit(w, w, False)
    for a, b in ((w, 2 * w), (2 * w, 4 * w)):
        stages += unit(a, b, True) + (units - 1) * unit(b, b, False)
    return stem + stages + (4 * w + 1) * classes


@pytest.mark.parametrize("depth", [8, 14, 20, 32, 56])
@pytest.mark.parametrize(("width", "classes", "in_channels"), [(16, 10, 3), (5, 2, 1)])
def test_parameters_are_those_counted_by_hand(depth, width, classes, in_channels):
    arguments = {"depth": depth, "width": width, "classes": classes, "in_channels": in_channels}
    assert n_parameters(**arguments) == counted_by_hand(**arguments)


@pytest.mark.parametrize(("depth", "known"), [(20, 269722), (32, 464154), (56, 853018)])
def test_without_the_projections_the_parameters_are_the_papers(depth, known):
    # The paper's 0.27, 0.46 and 0.85 million (table 6) have shortcuts without weights.
    projections = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    ours = n_parameters(depth=depth, width=16, classes=10, in_channels=3)
    assert ours - projections == known


@pytest.mark.parametrize(("size", "maps"), [(32, (32, 16, 8)), (8, (8, 4, 2)), (1, (1, 1, 1))])
def test_sites_have_the_papers_widths_and_halved_maps(size, maps):
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 14},
        input_shape=(1, size, size),
        output_shape=(10,),
    )
    assert backbone.stage_names == ("layer1", "layer2", "layer3")
    entering = (16, size)
    for name, channels, side in zip(backbone.stage_names, (16, 32, 64), maps, strict=True):
        units = backbone.sites(name)
        assert len(units) == 2
        for unit in units:
            assert set(unit) == {"pre", "residual", "post", "identity", "replace", "block"}
            assert (unit["pre"].channels, unit["pre"].height) == entering
            for placement in ("residual", "post", "identity"):
                site = unit[placement]
                assert (site.channels, site.height, site.width) == (channels, side, side)
            entering = (channels, side)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 9}, "depth: must be 6n + 2 (8, 14, 20, 32, 56, ...), not 9."),
        ({"depth": 2}, "depth: must be 6n + 2 (8, 14, 20, 32, 56, ...), not 2."),
        ({"width": 0}, "width: must be at least 1, not 0."),
    ],
)
def test_a_depth_or_width_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(InputError) as caught:
        resnet_cifar(classes=10, in_channels=3, **arguments)
    assert str(caught.value) == message
