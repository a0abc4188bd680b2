"""The image classifiers of Hugging Face's transformers."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from attnas.core import InputError

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
    transformers = imported("transformers")
    if len(input_shape) != 3:
        raise InputError("the classifiers of transformers take images.", key="transformers")
    kinds = imported("transformers", "transformers.models.auto.configuration_auto").CONFIG_MAPPING
    given = dict(arguments)
    if classes is not None:
        given["num_labels"] = classes
    if pretrained:
        return Scores(
            transformers.AutoModelForImageClassification.from_pretrained(
                model, ignore_mismatched_sizes=True, **given
            )
        )
    described = kinds[model]() if model in kinds else transformers.AutoConfig.from_pretrained(model)
    if hasattr(described, "num_channels"):
        given.setdefault("num_channels", input_shape[0])
    if hasattr(described, "image_size") and input_shape[1] == input_shape[2]:
        given.setdefault("image_size", input_shape[1])
    if model in kinds:
        config = kinds[model](**given)
    else:
        config = transformers.AutoConfig.from_pretrained(model, **given)
    return Scores(transformers.AutoModelForImageClassification.from_config(config))
