"""How a candidate is trained: the section `training` of a config."""

from typing import Literal

from pydantic import Field

from attnas.core import Section

from .augmentation import Augment

_SMALLEST_HALVED = 32  # below, a network's last maps would shrink to a pixel or two

Precision = Literal["auto", "float32", "bfloat16"]


class Recipe(Section):
    """The brief training of a trial: SGD with Nesterov momentum under a one-cycle rate.

    The rate rises linearly from 0 to its peak and then falls linearly to 0. The first epochs see
    images of half the side (2x2 means), which costs a quarter; images with a side below 32 or an
    odd one are not halved. With a `function` all else but the epochs is up to that.
    """

    epochs: int = Field(6, ge=1, le=1_000_000, description="passes over the training items")
    batch_size: int = Field(64, ge=2, le=10_000_000, description="items a step")
    learning_rate: float = Field(0.03, gt=0, description="the peak of the one-cycle")
    momentum: float = Field(0.9, gt=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="not applied to norms and biases")
    warmup: float = Field(0.2, ge=0, lt=1, description="share of all steps in which the rate rises")
    half_resolution: float = Field(
        0.75, ge=0, le=1, description="share of the epochs that see images of half the side"
    )
    augment: Augment = Field(
        "auto", description="drawn on whole batches; `auto` flips colour images only"
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
