"""Settings that several tasks have."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attnas.core import InputError

BALANCED = "balanced"


def check_share(value: Any, name: str) -> None:
    """Refuses what is no share from 0 to below 1.

    Raises:
        InputError: it is none; the key is the setting's name.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < 1:
        raise InputError(f"cannot be {value!r}. Write a number from 0 to below 1.", key=name)


def read_weights(given: Any) -> None:
    """Refuses what are no weights of classes.

    Raises:
        InputError: they are none; the key is `class_weights`.
    """
    if given is None or given == BALANCED:
        return
    numbers = (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and all(
            isinstance(w, int | float) and not isinstance(w, bool) and 0 < w < math.inf
            for w in given
        )
    )
    if not numbers or not given:
        raise InputError(
            f"cannot be {given!r}. Write 'balanced', or a list of numbers above 0, one a class.",
            key="class_weights",
        )


def check_weights(given: str | Sequence[float] | None, classes: Sequence[str]) -> None:
    """Refuses another number of weights than there are classes in the data.

    Raises:
        InputError: there is not one weight a class.
    """
    if given is not None and given != BALANCED and len(given) != len(classes):
        raise InputError(
            f"has {len(given)} weights for the {len(classes)} classes of the data.",
            key="task.class_weights",
        )


def class_weights(given: str | Sequence[float] | None, counts: Tensor) -> Tensor | None:
    """The weight of each class, (classes,), None for equal ones.

    `counts` (classes,) are the training items (or pixels) of each; `balanced` weighs a class by
    n / (classes * n_c), so that the mean weight of an item is 1.
    """
    if given is None:
        return None
    if given == BALANCED:
        return counts.sum() / (len(counts) * counts.clamp(min=1).float())
    return torch.tensor([float(w) for w in given])  # type: ignore[arg-type]
