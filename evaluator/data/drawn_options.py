"""Checks of the options that the sources drawn by code share."""

from typing import Any

from attnas.core import InputError

_MOST_NOISE = 10


def check_whole_number(name: str, value: Any, least: int, most: int | None = None) -> None:
    """Refuses a value of `data.NAME` that is no whole number from `least` to `most`.

    Raises:
        InputError: it is none.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        upper = "up" if most is None else f"to {most}"
        raise InputError(
            f"cannot be {value!r}. Write a whole number from {least} {upper}.", key=f"data.{name}"
        )


def check_noise(value: Any) -> None:
    """Refuses a value of `data.noise` that is no number from 0 to 10.

    Raises:
        InputError: it is none.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= _MOST_NOISE
    ):
        raise InputError(
            f"cannot be {value!r}. Write a number from 0 to {_MOST_NOISE}.", key="data.noise"
        )
