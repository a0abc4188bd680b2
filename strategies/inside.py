"""The strategy inside another one: its name or a mapping with its settings, and what is wrong."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attnas.core import InputError, Objective

from .protocol import Preparing, Strategy
from .registry import make_strategy

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace

Around = str | Mapping[str, object]
"""A strategy's name, or a mapping with `name` and its settings."""

_GIVEN = ("space", "objectives", "epochs", "seed")


def make_inside(
    outer: str,
    around: Around,
    *,
    space: "SearchSpace",
    objectives: Sequence[Objective],
    epochs: int,
    seed: int,
    without: Sequence[str] = (),
) -> Strategy:
    """The strategy that `outer` is put around.

    `without` are names of strategies that `outer` cannot be put around, besides itself and
    those that train a network of their own.

    Raises:
        InputError: what `around` says is wrong; its key begins with `around`.
    """
    name, settings = _named(outer, around, without)
    try:
        inner = make_strategy(
            name, space=space, objectives=objectives, epochs=epochs, seed=seed, **settings
        )
    except InputError as error:
        place = error.key.removeprefix("strategy").lstrip(".")
        if isinstance(around, str) and place == "name":
            place = ""
        raise InputError(error.problem, key=f"around.{place}".rstrip(".")) from error
    if isinstance(inner, Preparing):
        raise InputError(
            f"'{name}' trains a network of its own and proposes what that recommends: "
            f"{outer} cannot be put around it.",
            key="around",
        )
    return inner


def _named(outer: str, around: Around, without: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Name and settings of the strategy inside."""
    settings = dict(around) if isinstance(around, Mapping) else {}
    name = around if isinstance(around, str) else settings.pop("name", None)
    if not isinstance(name, str):
        raise InputError(
            f"cannot be {around!r}. Write a strategy's name, such as 'local', or a mapping with "
            "'name' and its settings.",
            key="around",
        )
    if name == outer:
        raise InputError(f"'{outer}' cannot be put around itself. Write another.", key="around")
    if name in without:
        raise InputError(f"'{outer}' cannot be put around '{name}'. Write another.", key="around")
    for key in _GIVEN:
        if key in settings:
            raise InputError("is not the strategy's to set: leave it out.", key=f"around.{key}")
    return name, settings
