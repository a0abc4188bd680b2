import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnas.core import InputError
from attnas.search_space import make_backbone
from attnas.search_space.backbones.mobilenetv2 import InvertedResidual, divisible_by_8, mobilenetv2


class Sine(nn.Module):
    """In place of a block: neither linear nor an identity."""

    def forward(self, x):
        return 1 + x.sin()


def randomised(unit):
    for tensor in [*unit.parameters(), *unit.buffers()]:
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 0.8)
    return unit.eval()


def by_hand(unit, x, stride, placement):
    """The inverted residual from its definition, with `a` at the placement alone."""

    def a(name, y):
        return 1 + y.sin() if name == placement else y

    def normed(y, bn):
        return F.batch_norm(y, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-5)

    f = a("pre", x)
    if isinstance(unit.expand, nn.Sequential):
        f = F.relu6(normed(F.conv2d(f, unit.expand[0].weight), unit.expand[1]))
    weight = unit.depthwise[0].weight
    f = F.conv2d(f, weight, stride=stride, padding=1, groups=f.shape[1])
    f = a("expanded", F.relu6(normed(f, unit.depthwise[1])))
    f = a("residual", normed(F.conv2d(f, unit.project[0].weight), unit.project[1]))
    if stride == 1 and x.shape[1] == f.shape[1]:
        f = a("identity", x) + f
    return a("post", f)


@pytest.mark.parametrize("placement", ["pre", "expanded", "residual", "post", "identity", None])
@pytest.mark.parametrize("expansion", [1, 6])
@pytest.mark.parametrize(("channels_in", "stride"), [(8, 1), (8, 2), (4, 1)])
def test_a_block_at_each_site_is_where_its_placement_is_defined(
    channels_in, stride, expansion, placement
):
    torch.manual_seed(0)
    unit = randomised(InvertedResidual(channels_in, 8, stride, expansion))
    shortcut = stride == 1 and channels_in == 8
    if placement == "identity" and not shortcut:
        assert "identity" not in unit.sites
        return
    x = torch.randn(2, channels_in, 7, 6)
    expected = by_hand(unit, x, stride, placement)
    if placement is not None:
        assert isinstance(unit.get_submodule(unit.sites[placement]), nn.Identity)
        setattr(unit, unit.sites[placement], Sine())
    torch.testing.assert_close(unit(x), expected)


def test_without_a_shortcut_post_is_the_same_site_as_residual():
    backbone = make_backbone(
        name="mobilenetv2", arguments={}, input_shape=(3, 32, 32), output_shape=(10,)
    )
    first, second = backbone.sites("stage2")
    assert first["post"].path == first["residual"].path
    assert second["post"].path != second["residual"].path
    assert "identity" not in first
    assert "identity" in second


@pytest.mark.parametrize(("width", "known"), [(1.0, 3504872), (1.4, 6108776)])
def test_parameters_at_1000_classes_are_the_known_ones(width, known):
    with torch.device("meta"):
        network = mobilenetv2(classes=1000, in_channels=3, width=width)
    assert sum(p.numel() for p in network.parameters()) == known


def test_stages_have_the_papers_units_widths_and_maps():
    backbone = make_backbone(
        name="mobilenetv2", arguments={}, input_shape=(3, 224, 224), output_shape=(10,)
    )
    units = {name: backbone.sites(name) for name in backbone.stage_names}
    assert [len(found) for found in units.values()] == [1, 2, 3, 4, 3, 3, 1]
    last = [found[-1]["residual"] for found in units.values()]
    assert [site.channels for site in last] == [16, 24, 32, 64, 96, 160, 320]
    assert [site.height for site in last] == [112, 56, 28, 14, 14, 7, 7]
    wide = [found[0]["expanded"] for found in units.values()]
    assert [site.channels for site in wide] == [32, 96, 144, 192, 384, 576, 960]
    assert [site.height for site in wide] == [112, 56, 28, 14, 14, 7, 7]


def test_it_runs_on_8_pixels():
    backbone = make_backbone(
        name="mobilenetv2", arguments={"width": 0.35}, input_shape=(1, 8, 8), output_shape=(10,)
    )
    assert backbone.sites("stage7")[0]["residual"].height == 1


@given(st.floats(0.1, 5000))
def test_channels_are_a_multiple_of_8_near_what_was_asked(channels):
    found = divisible_by_8(channels)
    assert found % 8 == 0
    assert found >= max(8, 0.9 * channels)
    assert found < channels + 12


@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf")])
def test_a_width_that_cannot_be_is_refused(width):
    with pytest.raises(InputError) as caught:
        mobilenetv2(classes=10, in_channels=3, width=width)
    assert str(caught.value) == f"width: must be above 0, not {width}."
