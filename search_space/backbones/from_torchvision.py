"""The image classifiers of torchvision."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from attnas.core import InputError, unknown

from ..source_code import SourceCode, called
from ..weights import load_state
from .libraries import imported


def make(
    model: str,
    arguments: Mapping[str, Any],
    *,
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> nn.Module:
    """`torchvision.models.get_model` for so many outputs; its first convolution is made anew for
    images that are not of three channels.

    With `pretrained` all weights are loaded but for layers of another shape (the head).

    Raises:
        InputError: torchvision is not installed, or has no such classifier.
    """
    models, keywords = _keywords(model, arguments, classes, input_shape)
    network = models.get_model(model, **keywords)
    if pretrained:
        weights = models.get_model_weights(model).DEFAULT
        load_state(network, weights.get_state_dict(progress=False))
    return network if input_shape[0] == 3 else take_channels(network, input_shape[0])


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
    _, keywords = _keywords(model, arguments, classes, input_shape)
    made = called(f"{code.imported('torchvision')}.models.get_model", (model,), keywords)
    if input_shape[0] == 3:
        return made
    return f"{code.name_of(take_channels)}({made}, {input_shape[0]})"


def _keywords(
    model: str, arguments: Mapping[str, Any], classes: int | None, input_shape: tuple[int, ...]
) -> tuple[Any, dict[str, Any]]:
    """torchvision's models, and what `get_model` is called with beside the name.

    Raises:
        InputError: as `make`.
    """
    models = imported("torchvision", "torchvision.models")
    names = models.list_models(module=models)
    if model not in names:
        raise unknown("model of torchvision", model, names).inside(key="torchvision")
    if len(input_shape) != 3:
        raise InputError("the networks of torchvision take images.", key="torchvision")
    given: dict[str, Any] = {"weights": None}
    if classes is not None:
        given["num_classes"] = classes
    if model.startswith("vit_") and input_shape[1] == input_shape[2]:
        given["image_size"] = input_shape[1]
    if model in ("inception_v3", "googlenet"):  # a second head would give a tuple in training
        given |= {"aux_logits": False, "init_weights": True}
    return models, {**given, **arguments}


def take_channels(network: nn.Module, channels: int) -> nn.Module:
    """The network with a new first convolution for so many channels, of the old weights' mean."""
    name, old = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    made = nn.Conv2d(
        channels, old.out_channels, old.kernel_size, old.stride, old.padding,  # type: ignore[arg-type]
        old.dilation, old.groups, old.bias is not None,  # type: ignore[arg-type]
    )  # fmt: skip
    made.weight.data.copy_(old.weight.data.mean(1, keepdim=True) * (old.in_channels / channels))
    if old.bias is not None and made.bias is not None:
        made.bias.data.copy_(old.bias.data)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, made)
    return network
