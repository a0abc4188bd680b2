"""How a candidate is trained: the section `training` of a config."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from attnas.core import Section

from .augmentation import Augment

_SMALLEST_HALVED = 32  # below, a network's last maps would shrink to a pixel or two

Precision = Literal["auto", "float32", "bfloat16"]
Optimizer = Literal["sgd", "adamw"]
Scale = Annotated[float, Field(gt=0)]

NEW = "new"
"""Stands for the parameters of inserted blocks, where patterns stand for the network's own."""

_USUAL_FOR_ADAMW = {"learning_rate": 1e-3, "weight_decay": 0.05}


class Recipe(Section):
    """The brief training of a trial: SGD with Nesterov momentum, or AdamW, under a one-cycle rate.

    The rate rises linearly from 0 to its peak and then falls linearly to 0. The first epochs see
    images of half the side (2x2 means), which costs a quarter; images with a side below 32 or an
    odd one are not halved, and a network that was trained on whole images (`init`, `pretrained`)
    is better served by `half_resolution: 0`. With a `function` all else but the epochs is up to
    that.

    Fields that later versions added are recorded where they differ from what was done before
    them, so that recipes of older runs compare with newer ones.
    """

    epochs: int = Field(6, ge=1, le=1_000_000, description="passes over the training items")
    batch_size: int = Field(64, ge=2, le=10_000_000, description="items a step")
    optimizer: Optimizer = Field("sgd", description="`sgd` or `adamw`")
    learning_rate: float = Field(
        0.03, gt=0, description="the peak of the one-cycle; of adamw 0.001 if not given"
    )
    learning_rate_scale: dict[str, Scale] = Field(
        default_factory=dict,
        description="factors of the learning rate: of `new`, the inserted blocks, and of parts of "
        "the network by pattern (docs/networks.md)",
    )
    freeze: list[str] = Field(
        default_factory=list,
        description="parts of the network that stay as they are, by pattern; their batch norms "
        "stay in eval mode; inserted blocks are never frozen",
    )
    momentum: float = Field(
        0.9, gt=0, lt=1, description="Nesterov momentum; of adamw the first beta"
    )
    weight_decay: float = Field(
        5e-4,
        ge=0,
        description="not applied to norms and biases; of adamw 0.05 if not given, and not applied "
        "to tables by position, tokens and embeddings either",
    )
    ema: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of a running average of the weights, which is scored and kept in the "
        "place of the last ones: 0.99 is over about 100 steps",
    )
    warmup: float = Field(0.2, ge=0, lt=1, description="share of all steps in which the rate rises")
    half_resolution: float = Field(
        0.75, ge=0, le=1, description="share of the epochs that see images of half the side"
    )
    augment: Augment = Field(
        "auto",
        description="drawn on whole batches; `auto` flips colour images only; `randaugment` draws "
        "two more operations on colours, geometry and sharpness for each (colour images)",
    )
    views: int = Field(
        1, ge=1, le=2, description="2 scores the mean prediction for an image and its mirror"
    )
    time_limit_s: float | None = Field(
        None,
        gt=0,
        description="seconds after which a trial's training counts as failed; a supernet's may "
        "take longer",
    )
    precision: Precision = Field(
        "auto", description="`auto` takes bfloat16 where a probe shows that it is faster"
    )
    function: str | None = Field(
        None, description="your own training: `package.module:function`; see docs/extending.md"
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("optimizer") == "adamw":
            return {**_USUAL_FOR_ADAMW, **given}
        return given

    @model_validator(mode="before")
    @classmethod
    def _scales_are_numbers(cls, given: Any) -> Any:
        """Python reads `true` as 1."""
        scales = given.get("learning_rate_scale") if isinstance(given, dict) else None
        for name, scale in scales.items() if isinstance(scales, dict) else ():
            if isinstance(scale, bool):
                raise ValueError(f"the scale of '{name}' must be a number, not {scale}")
        return given

    @model_serializer(mode="wrap")
    def _without_later_fields(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        plain: dict[str, Any] = handler(self)
        return {k: v for k, v in plain.items() if k not in _LATER or v != _LATER[k]}


_LATER: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate_scale": {},
    "freeze": [],
    "ema": None,
    "views": 1,
}
"""Fields of later versions with what was done before there were any."""


def half_epochs(recipe: Recipe, epochs: int, input_shape: tuple[int, ...]) -> int:
    """How many of the epochs, from the first, see images of half the side."""
    sides = input_shape[1:] if len(input_shape) == 3 else (1,)
    if min(sides) < _SMALLEST_HALVED or any(side % 2 for side in sides):
        return 0
    return int(recipe.half_resolution * epochs)


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at `step` of 0..steps-1: linear up, linear down.

    Smith and Topin 2019, arXiv:1708.07120, without the final phase below the start. It is
    above 0 at every step.
    """
    top = warmup * steps
    at = step + 0.5  # the middle of the step
    return at / top if at < top else (steps - at) / (steps - top)
