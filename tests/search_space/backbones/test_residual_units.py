import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.search_space.backbones.residual_units import BasicUnit, BottleneckUnit
from attnas.search_space.insertion import Pooled, insert


class Sine(nn.Module):
    """In place of a block: neither linear nor an identity."""

    def forward(self, x):
        return 1 + x.sin()


def randomised(unit):
    for tensor in [*unit.parameters(), *unit.buffers()]:
        if tensor.is_floating_point():
            nn.init.uniform_(tensor, 0.2, 0.8)
    return unit.eval()


def normed(x, bn):
    return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-5)


def by_hand(unit, x, stride, placement):
    """The unit from its definition, with `a` at the placement alone."""

    def a(name, y):
        return 1 + y.sin() if name == placement else y

    def second(y, stride):
        if placement != "replace":
            return F.conv2d(y, unit.conv2.weight, stride=stride, padding=1)
        rows, columns = (y.shape[2] + stride - 1) // stride, (y.shape[3] + stride - 1) // stride
        pooled = F.adaptive_avg_pool2d(y, (rows, columns)) if stride > 1 else y
        return 1 + pooled.sin()

    f = a("pre", x)
    if isinstance(unit, BottleneckUnit):
        f = F.relu(normed(F.conv2d(f, unit.conv1.weight), unit.bn1))
        f = second(f, stride)
        f = F.conv2d(F.relu(normed(f, unit.bn2)), unit.conv3.weight)
        f = normed(f, unit.bn3)
    else:
        f = F.relu(normed(F.conv2d(f, unit.conv1.weight, stride=stride, padding=1), unit.bn1))
        f = normed(second(f, 1), unit.bn2)
    s = x
    if stride != 1 or x.shape[1] != f.shape[1]:
        convolution, norm = unit.shortcut
        s = normed(F.conv2d(x, convolution.weight, stride=stride), norm)
    return a("post", F.relu(a("identity", s) + a("residual", f)))


@pytest.mark.parametrize(
    "placement", ["pre", "residual", "post", "identity", "block", "replace", None]
)
@pytest.mark.parametrize(("channels_in", "stride"), [(8, 1), (8, 2), (4, 1)])
@pytest.mark.parametrize("unit", [BasicUnit, BottleneckUnit])
def test_a_block_at_each_site_is_where_its_placement_is_defined(
    unit, channels_in, stride, placement
):
    torch.manual_seed(0)
    made = randomised(unit(channels_in, 8, stride))
    x = torch.randn(2, channels_in, 8, 6)
    expected = by_hand(made, x, stride, "post" if placement == "block" else placement)
    if placement == "replace":
        mode, path = made.sites[placement].mode, made.sites[placement].path
        strided = made.get_submodule(path).stride[0]
        insert(made, [(mode, path, Sine() if strided == 1 else Pooled(strided, Sine()))])
    elif placement is not None:
        assert isinstance(made.get_submodule(made.sites[placement]), nn.Identity)
        setattr(made, made.sites[placement], Sine())
    torch.testing.assert_close(made(x), expected)


def test_shortcuts_have_weights_only_where_the_shape_changes():
    assert isinstance(BasicUnit(8, 8, 1).shortcut, nn.Identity)
    for changed in (BasicUnit(8, 16, 1), BasicUnit(8, 8, 2)):
        assert sum(p.numel() for p in changed.shortcut.parameters()) > 0
