"""The image classifiers of Hugging Face's transformers."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from attnas.core import InputError

from ..source_code import SourceCode, called
from .libraries import imported


class Scores(nn.Module):
    """A classifier of transformers that gives its scores alone: (N, C, H, W) -> (N, classes)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(pixel_values=x).logits


def make(
    model: str,
    arguments: Mapping[str, Any],
    *,
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> nn.Module:
    """An image classifier by the kind of its configuration (`vit`, `convnext`), with that kind's
    defaults, or by the name of a model on the hub or of a folder, whose configuration is read.

    `arguments` are those of the configuration.

    Raises:
        InputError: transformers is not installed, or the input is no image.
    """
    transformers, kinds = _imported(input_shape)
    classifier = transformers.AutoModelForImageClassification
    given = dict(arguments)
    if classes is not None:
        given["num_labels"] = classes
    if pretrained:
        return Scores(classifier.from_pretrained(model, ignore_mismatched_sizes=True, **given))
    given = _sized(model, given, input_shape)
    if model in kinds:
        config = kinds[model](**given)
    else:
        config = transformers.AutoConfig.from_pretrained(model, **given)
    return Scores(classifier.from_config(config))


def source(
    model: str,
    arguments: Mapping[str, Any],
    code: SourceCode,
    *,
    pretrained: bool,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> str:
    """The expression that makes the network of `make`, with random weights.

    What a model on the hub or in a folder differs in from its kind is written out.
    """
    transformers, kinds = _imported(input_shape)
    given = dict(arguments)
    if classes is not None:
        given["num_labels"] = classes
    if not pretrained:
        given = _sized(model, given, input_shape)
    kind = model
    if model not in kinds:
        config = transformers.AutoConfig.from_pretrained(model, **given)
        kind, given = config.model_type, dict(config.to_diff_dict())
        for name in ("model_type", "transformers_version", "architectures", "_name_or_path"):
            given.pop(name, None)
    library, scores = code.imported("transformers"), code.name_of(Scores)
    config_text = called(f"{library}.AutoConfig.for_model", (kind,), given)
    return f"{scores}({library}.AutoModelForImageClassification.from_config({config_text}))"


def _imported(input_shape: tuple[int, ...]) -> tuple[Any, Any]:
    """transformers, and its kinds of configuration."""
    transformers = imported("transformers")
    if len(input_shape) != 3:
        raise InputError("the classifiers of transformers take images.", key="transformers")
    kinds = imported("transformers", "transformers.models.auto.configuration_auto").CONFIG_MAPPING
    return transformers, kinds


def _sized(model: str, given: Mapping[str, Any], input_shape: tuple[int, ...]) -> dict[str, Any]:
    """The configuration's arguments with the channels and the size of the images, if it has
    these."""
    transformers, kinds = _imported(input_shape)
    described = kinds[model]() if model in kinds else transformers.AutoConfig.from_pretrained(model)
    sizes: dict[str, Any] = {}
    if hasattr(described, "num_channels"):
        sizes["num_channels"] = input_shape[0]
    if hasattr(described, "image_size") and input_shape[1] == input_shape[2]:
        sizes["image_size"] = input_shape[1]
    return {**sizes, **given}
