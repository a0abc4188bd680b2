"""Attention that a network has already, known by the names of its classes."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_NAMES: tuple[str, ...] = (
    *("squeezeexcite", "squeezeexcitation", "squeezeexcitecl", "squeezeexcitationlayer"),
    *("se", "selayer", "semodule", "seblock", "effectivesemodule", "effectivesqueezeexcite"),
    *("eca", "ecalayer", "ecamodule", "cecamodule", "gatherexcite", "gatherexcitation"),
    *("cbam", "cbammodule", "lightcbammodule", "bam", "scse", "scsemodule", "simam"),
    *("coordatt", "coordattn", "simplecoordattn", "coordinateattention", "stripattn"),
    *("globalcontext", "globalcontextblock", "efficientlocalattn", "tripletattention"),
)
_ENDINGS: tuple[str, ...] = (
    "SqueezeExcite",
    "SqueezeExcitation",
    "SqueezeExciteLayer",
    "SqueezeExcitationLayer",
)
_ENDINGS += ("SELayer", "SEModule", "SEBlock", "EcaModule", "ECALayer")


def is_known_attention(module: "nn.Module") -> bool:
    """Whether the module is a gate by the name of its class, as in timm, torchvision and others.

    A prefix before a known name does not matter (`MobileNetV3SqueezeExcitation`, `RegNetSELayer`).
    """
    name = type(module).__name__
    return re.sub("[^a-z0-9]", "", name.lower()) in _NAMES or name.endswith(_ENDINGS)
