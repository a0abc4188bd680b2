"""The networks of timm, PyTorch image models."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from attnas.core import InputError, unknown

from ..source_code import SourceCode, called
from .libraries import imported


def make(
    model: str,
    arguments: Mapping[str, Any],
    *,
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> nn.Module:
    """`timm.create_model` for so many outputs and channels; the image's size is given where the
    model is made for one size.

    Raises:
        InputError: timm is not installed, or has no such model.
    """
    timm = checked(model, input_shape)
    return _created(timm, model, arguments, pretrained, classes, input_shape)[0]


def source(
    model: str,
    arguments: Mapping[str, Any],
    code: SourceCode,
    *,
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> str:
    """The expression that makes the network of `make`, with random weights."""
    timm = checked(model, input_shape)
    with torch.device("meta"):
        _, keywords = _created(timm, model, arguments, False, classes, input_shape)
    return called(f"{code.imported('timm')}.create_model", (model,), keywords)


def checked(model: str, input_shape: tuple[int, ...]) -> Any:
    """timm, if it has the model.

    Raises:
        InputError: as `make`.
    """
    timm = imported("timm")
    if not timm.is_model(model.partition(".")[0]):
        raise unknown("model of timm", model, timm.list_models()).inside(key="timm")
    if len(input_shape) != 3:
        raise InputError("the networks of timm take images.", key="timm")
    return timm


def _created(
    timm: Any,
    model: str,
    arguments: Mapping[str, Any],
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and the keyword arguments that it was made with."""
    given: dict[str, Any] = {"in_chans": input_shape[0]}
    if classes is not None:
        given["num_classes"] = classes
    described = timm.models.get_pretrained_cfg(model, allow_unregistered=True)
    if described is not None and described.fixed_input_size:
        try:
            sized = {**given, "img_size": input_shape[1:], **arguments}
            return timm.create_model(model, pretrained=pretrained, **sized), sized
        except TypeError:  # it takes no size
            pass
    keywords = {**given, **arguments}
    return timm.create_model(model, pretrained=pretrained, **keywords), keywords
