"""The networks of timm, PyTorch image models."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from attnas.core import InputError, unknown

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
    timm = imported("timm")
    if not timm.is_model(model.partition(".")[0]):
        raise unknown("model of timm", model, timm.list_models()).inside(key="timm")
    if len(input_shape) != 3:
        raise InputError("the networks of timm take images.", key="timm")
    given: dict[str, Any] = {"in_chans": input_shape[0]}
    if classes is not None:
        given["num_classes"] = classes
    described = timm.models.get_pretrained_cfg(model, allow_unregistered=True)
    if described is not None and described.fixed_input_size:
        try:
            sized = {**given, "img_size": input_shape[1:], **arguments}
            return timm.create_model(model, pretrained=pretrained, **sized)
        except TypeError:  # it takes no size
            pass
    return timm.create_model(model, pretrained=pretrained, **{**given, **arguments})
