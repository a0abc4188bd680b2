"""How a candidate is trained: the settings of the brief training, checked."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from attnas.search_space import InputError

from .augmentation import Augment

_SMALLEST_HALVED = 32  # below, a network's last maps would shrink to a pixel or two

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum under a one-cycle learning rate, at first on small images.

    `learning_rate` is the peak, reached after the share `warmup` of all steps, linearly from 0;
    then it falls linearly to 0. Norms and biases get no weight decay. The first epochs, the
    share `half_resolution` of all, see images of half the side (2x2 means), which costs a
    quarter; images with a side below 32 are not halved, nor those with an odd one. With
    `time_limit_s`, a training that takes longer fails. `precision` 'auto' takes bfloat16 where
    it pays.
    """

    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 0.03
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup: float = 0.2
    half_resolution: float = 0.75
    augment: Augment = "auto"
    time_limit_s: float | None = None
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Raises InputError for the first setting out of range, with its key."""
        for setting in fields(self):
            value = getattr(self, setting.name)
            fits, needed = _RULES[setting.name]
            if not fits(value):
                raise InputError(
                    f"cannot be {value!r}; it must be {needed}.", key=f"training.{setting.name}"
                )


def half_epochs(recipe: Recipe, epochs: int, height: int, width: int) -> int:
    """How many of the epochs, from the first, see images of half the side."""
    if min(height, width) < _SMALLEST_HALVED or height % 2 or width % 2:
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


def _number(fits: Callable[[float], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return real and math.isfinite(value) and fits(value)

    return check


def _count(least: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least


def _one_of(kind: Any) -> tuple[Callable[[Any], bool], str]:
    names = get_args(kind)
    return lambda v: v in names, "one of " + ", ".join(names)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (_count(1), "a whole number from 1"),
    "batch_size": (_count(2), "a whole number from 2"),
    "learning_rate": (_number(lambda v: v > 0), "above 0"),
    "momentum": (_number(lambda v: 0 < v < 1), "between 0 and 1"),
    "weight_decay": (_number(lambda v: v >= 0), "0 or more"),
    "label_smoothing": (_number(lambda v: 0 <= v < 1), "from 0 to below 1"),
    "warmup": (_number(lambda v: 0 <= v < 1), "from 0 to below 1"),
    "half_resolution": (_number(lambda v: 0 <= v <= 1), "from 0 to 1"),
    "augment": _one_of(Augment),
    "time_limit_s": (lambda v: v is None or _number(lambda s: s > 0)(v), "above 0, or none"),
    "precision": _one_of(Precision),
}
