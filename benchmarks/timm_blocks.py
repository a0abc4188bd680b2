"""timm's class for each of the blocks that has one, on maps (N, C, H, W) and as wide as ours."""

import importlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnas.search_space import hidden_width
from attnas.search_space.blocks.heads import head_count

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_kept: list[Any] = []  # a library's schemas go with it

Size = tuple[int, int]
Make = Callable[[int, Size], nn.Module]
"""Takes the channels and the map's height and width."""


def timm_class(module: str, name: str) -> Any:
    """A class of timm, such as ("layers.eca", "EcaModule").

    Raises:
        ModuleNotFoundError: timm, torchvision or the module is not installed.
    """
    declare_operators()
    return getattr(importlib.import_module(f"timm.{module}"), name)


def declare_operators() -> None:
    """Makes torchvision, which timm needs, importable.

    Its wheel lacks its operators beside a torch for the CPU alone. Nothing that is compared here
    runs them: the two that torchvision asks for get a schema.

    Raises:
        ModuleNotFoundError: torchvision is not installed.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}{_SCHEMA}")
        _kept.append(library)


class OnTokens(nn.Module):
    """A module on tokens (N, P, C), run on a map (N, C, H, W)."""

    def __init__(self, module: nn.Module, *, takes_size: bool = False) -> None:
        super().__init__()
        self.module, self.takes_size = module, takes_size

    def forward(self, x: Tensor) -> Tensor:
        size = list(x.shape[2:])
        given = x.flatten(2).transpose(1, 2)
        y = self.module(given, size) if self.takes_size else self.module(given)
        return y.transpose(1, 2).unflatten(2, size)


class OnPixels(nn.Module):
    """A module on maps (N, H, W, C), run on one of (N, C, H, W)."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class OnWindows(nn.Module):
    """A module on tokens (N, P, C), run on each window of a map that is padded as timm does."""

    def __init__(self, module: nn.Module, side: int) -> None:
        super().__init__()
        self.module, self.side = module, side
        self.split = timm_class("models.davit", "window_partition")
        self.join = timm_class("models.davit", "window_reverse")

    def forward(self, x: Tensor) -> Tensor:
        side, (height, width) = self.side, x.shape[2:]
        pixels = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, -width % side, 0, -height % side))
        windows = self.split(pixels, (side, side))
        attended = self.module(windows.flatten(1, 2)).view_as(windows)
        whole = self.join(attended, (side, side), pixels.shape[1], pixels.shape[2])
        return whole[:, :height, :width].permute(0, 3, 1, 2)


def references() -> dict[str, tuple[int | None, Make]]:
    """By block: the ratio that it is compared at, and what makes timm's class for a place."""
    return {**_gates(), **_attention()}


def _plain(module: str, name: str, **given: Any) -> Make:
    return lambda channels, size: timm_class(module, name)(channels, **given)


def _narrowed(module: str, name: str, ratio: int, **given: Any) -> tuple[int, Make]:
    def make(channels: int, size: Size) -> nn.Module:
        width = hidden_width(channels, ratio)
        return timm_class(module, name)(channels, rd_channels=width, **given)

    return ratio, make


def _gates() -> dict[str, tuple[int | None, Make]]:
    added = {"fuse_add": True, "fuse_scale": False}
    found: dict[str, tuple[int | None, Make]] = {
        "se": _narrowed("layers.squeeze_excite", "SEModule", 16),
        "ese": (None, _plain("layers.squeeze_excite", "EffectiveSEModule")),
        "cca": (None, _plain("layers.squeeze_excite", "EffectiveSEModule", gate_layer="sigmoid")),
        "eca": (None, _plain("layers.eca", "EcaModule")),
        "ceca": (None, _plain("layers.eca", "CecaModule")),
        "ecam": _narrowed("layers.eca", "EcaModule", 16, use_mlp=True),
        "gc": _narrowed("layers.global_context", "GlobalContext", 16),
        "gca": _narrowed("layers.global_context", "GlobalContext", 16, **added),
        "cbam": _narrowed("layers.cbam", "CbamModule", 16),
        "lcbam": _narrowed("layers.cbam", "LightCbamModule", 16),
        "coord": _narrowed("layers.coord_attn", "CoordAttn", 16),
        "scoord": _narrowed("layers.coord_attn", "SimpleCoordAttn", 16),
        "strip": (None, _plain("layers.coord_attn", "StripAttn")),
        "ela_silu": (None, _plain("layers.coord_attn", "EfficientLocalAttn")),
    }
    for extent in (0, 2, 4, 8):
        name = f"ge_{extent}" if extent else "ge"
        make = _plain("layers.gather_excite", "GatherExcite", extent=extent, use_mlp=False)
        found[name] = (None, make)
    return found


def _attention() -> dict[str, tuple[int | None, Make]]:
    whole = {"split_input": False, "groups": 32}
    batch_norm = {"norm_layer": nn.BatchNorm2d}
    return {
        "sk": _narrowed("layers.selective_kernel", "SelectiveKernel", 8),
        "sk_grouped": _narrowed("layers.selective_kernel", "SelectiveKernel", 8, **whole),
        "splat": _narrowed("layers.split_attn", "SplitAttn", 8, **batch_norm),
        "nl": _narrowed("layers.non_local_attn", "NonLocalAttn", 8),
        "bat": _narrowed("layers.non_local_attn", "BatNonLocalAttn", 4),
        "lambda": (None, _with_heads("layers.lambda_layer", "LambdaLayer")),
        "halo": (1, _with_heads("layers.halo_attn", "HaloAttn")),
        "mhsa": (1, _bottleneck),
        "gpsa": (None, _on_tokens("models.convit", "GPSA")),
        "channel_group": (None, _on_tokens("models.davit", "ChannelAttention")),
        "sra": (2, _on_tokens("models.pvt_v2", "Attention", takes_size=True, sr_ratio=2)),
        "window": (None, _windows),
        "lowtention": (2, _low_resolution(1.0)),
        "lowtention_half": (2, _low_resolution(0.5)),
        "gated_conv": (None, _gated_convolution),
    }


def _with_heads(module: str, name: str) -> Make:
    def make(channels: int, size: Size) -> nn.Module:
        return timm_class(module, name)(channels, num_heads=head_count(channels))

    return make


def _on_tokens(module: str, name: str, *, takes_size: bool = False, **given: Any) -> Make:
    def make(channels: int, size: Size) -> nn.Module:
        reference = timm_class(module, name)(channels, head_count(channels), **given)
        return OnTokens(reference, takes_size=takes_size)

    return make


def _bottleneck(channels: int, size: Size) -> nn.Module:
    heads = head_count(channels)
    return timm_class("layers.bottleneck_attn", "BottleneckAttn")(
        channels, feat_size=size, num_heads=heads, dim_head=channels // heads
    )


def _windows(channels: int, size: Size) -> nn.Module:
    made = timm_class("models.davit", "WindowAttention")(channels, (7, 7), head_count(channels))
    return OnWindows(made, 7)


def _low_resolution(factor: float) -> Make:
    attention = {"head_dim_mul": factor, "att_stride": 2, "att_kernel": 5}
    return _plain("models.lowformer", "ConvAttention", **attention)


def _gated_convolution(channels: int, size: Size) -> nn.Module:
    return OnPixels(timm_class("models.mambaout", "GatedConvBlock")(channels))
