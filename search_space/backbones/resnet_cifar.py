"""The residual networks for small images.

Source: He et al. 2016, arXiv:1512.03385, section 4.2; shortcuts that change shape are
projections (their option B), so that a block can be placed on them.
"""

from torch import nn

from attnas.core import InputError

from .registry import register_backbone
from .residual_units import BasicUnit, residual_stage
from .staged import StagedNetwork, classifier, convolution


@register_backbone("resnet_cifar")
def resnet_cifar(*, classes: int, in_channels: int, depth: int = 8, width: int = 16) -> nn.Module:
    """3 stages of (depth - 2) / 6 basic units, `width`, 2 and 4 times `width` channels wide.

    Raises:
        InputError: the depth is not 6n + 2, or the width is below 1.
    """
    if depth < 8 or depth % 6 != 2:
        raise InputError(f"must be 6n + 2 (8, 14, 20, 32, 56, ...), not {depth}.", key="depth")
    if width < 1:
        raise InputError(f"must be at least 1, not {width}.", key="width")
    units = (depth - 2) // 6
    stem = nn.Sequential(convolution(in_channels, width, 3), nn.BatchNorm2d(width), nn.ReLU())
    stages = {
        "layer1": residual_stage(BasicUnit, width, width, units, 1),
        "layer2": residual_stage(BasicUnit, width, 2 * width, units, 2),
        "layer3": residual_stage(BasicUnit, 2 * width, 4 * width, units, 2),
    }
    return StagedNetwork(stem, stages, classifier(4 * width, classes))
