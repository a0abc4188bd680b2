"""The register of search strategies, and how one is made from the settings of a config."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from attnas.core import InputError, Objective, Registry, import_own, unknown

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace

    from .protocol import Strategy

Class = TypeVar("Class", bound=type)

STRATEGIES: Registry[type] = Registry(
    "strategy",
    package="attnas.strategies",
    registrars=("register_strategy",),
    listing="attnas strategies",
)
FAMILIES: "Registry[Family]" = Registry(
    "family of strategies", package="attnas.strategies", registrars=("register_family",)
)
"""Strategies of other libraries, by the prefix of their names."""

_GIVEN = ("space", "objectives", "epochs", "seed")


def register_strategy(name: str) -> Callable[[Class], Class]:
    """Class decorator that makes a strategy selectable under a name.

    Raises:
        ValueError: the name is taken by another class, or the class has no `propose`.
    """

    def register(strategy: Class) -> Class:
        if not callable(getattr(strategy, "propose", None)):
            raise ValueError(f"strategy {name!r}: {strategy.__qualname__} needs a method `propose`")
        STRATEGIES.add(name, strategy)
        return strategy

    return register


@dataclass(frozen=True)
class Family:
    """Strategies of another library, each by its name there: `family:name`.

    `make` gets the name, what every strategy is given, and `settings`, the user's; in the
    keys of its InputErrors `name` is the name, anything else a setting. `listing` has a line
    on each by name, and imports nothing big. `adopt` is asked about a user's own class that
    is no strategy: it returns what makes one of it, as `make` without the name, or None.
    """

    make: Callable[..., Any]
    listing: Callable[[], Mapping[str, str]]
    adopt: Callable[[type], Callable[..., Any] | None] = lambda _: None


def register_family(prefix: str, family: Family) -> None:
    """Makes the strategies of a library selectable as `prefix:name`."""
    FAMILIES.add(prefix, family, defined=family.make)


def setting(default: int | float, meaning: str, *, low: float, high: float = math.inf) -> Any:
    """A numeric field of a strategy, with its bounds (inclusive) and what it means.

    The default's type is the setting's: an int setting takes no fractions.
    """
    return field(default=default, metadata={"meaning": meaning, "low": low, "high": high})


def check_settings(strategy: Any) -> None:
    """Checks the fields made by `setting` against their bounds; called from `__post_init__`.

    Raises:
        InputError: a value is not a number of the default's type within the bounds; the key
            is the setting's name.
    """
    for entry in fields(strategy):
        if "low" not in entry.metadata:
            continue
        value, low, high = getattr(strategy, entry.name), *_bounds(entry.metadata)
        whole = isinstance(entry.default, int)
        kinds = int if whole else (int, float)
        right = isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high
        if not right:
            span = f"of {low:g} or more" if high == math.inf else f"from {low:g} to {high:g}"
            kind = "a whole number" if whole else "a number"
            raise InputError(
                f"cannot be {value!r}. Write {kind} {span}; the default is {entry.default}.",
                key=entry.name,
            )


def preparing_strategies() -> tuple[str, ...]:
    """The names of those that train something of their own first, which a table cannot replay."""
    return tuple(name for name, strategy in STRATEGIES.items() if hasattr(strategy, "prepare"))


def borrowed_strategies() -> Mapping[str, str]:
    """The strategies of other libraries as `family:name`, with a line on each."""
    return {
        f"{prefix}:{name}": what
        for prefix, family in FAMILIES.items()
        for name, what in sorted(family.listing().items())
    }


def make_strategy(
    name: str,
    *,
    space: "SearchSpace",
    objectives: Sequence[Objective],
    epochs: int,
    seed: int,
    **settings: Any,
) -> "Strategy":
    """The strategy of that name, of a family (`nni:TPE`), or the class `package.module:Class`.

    Raises:
        InputError: the name or a setting is unknown (the message names the nearest), a value
            is wrong, or the class cannot be imported; the key starts with `strategy`.
        AttnasError: the library of the family is not installed.
    """
    given: dict[str, Any] = {
        "space": space,
        "objectives": tuple(objectives),
        "epochs": epochs,
        "seed": seed,
    }
    try:
        make = _borrowed(name)
        if make is not None:
            return make(**given, settings=settings)
        strategy = _imported(name) if ":" in name else _registered(name)
        known = [p for p in inspect.signature(strategy).parameters if p not in _GIVEN]
        for key in settings:
            if key not in known:
                raise unknown_setting(name, key, known)
        return strategy(**given, **settings)
    except InputError as error:
        raise error.inside(key="strategy") from error


def _borrowed(name: str) -> Callable[..., Any] | None:
    """What makes the strategy, if it is of another library."""
    prefix, _, inner = name.partition(":")
    if prefix in FAMILIES and inner:
        return partial(FAMILIES[prefix].make, inner)
    if not inner:
        return None
    found = import_own(name, key="name", kind="Class")
    if not isinstance(found, type):
        return None
    made = (family.adopt(found) for _, family in FAMILIES.items())
    return next((make for make in made if make is not None), None)


def _registered(name: str) -> type:
    if name not in STRATEGIES:
        raise STRATEGIES.unknown(name).inside(key="name")
    return STRATEGIES[name]


def _imported(name: str) -> type:
    found = import_own(name, key="name", kind="Class")
    if not isinstance(found, type) or not callable(getattr(found, "propose", None)):
        raise InputError(
            f"'{name}' is no strategy: it must be a class with a method `propose(history)`.",
            key="name",
        )
    lacking = [given for given in _GIVEN if given not in inspect.signature(found).parameters]
    if lacking:
        raise InputError(
            f"'{name}' does not take {', '.join(lacking)}. A strategy takes {', '.join(_GIVEN)} "
            "and its own settings.",
            key="name",
        )
    return found


def unknown_setting(strategy: str, key: str, known: Sequence[str]) -> InputError:
    """The error for a setting that the strategy does not have, naming the nearest."""
    if not known:
        return InputError(f"unknown setting '{key}': '{strategy}' has none.", key=key)
    return unknown("setting", key, known).inside(key=key)


def _bounds(metadata: Mapping[str, Any]) -> tuple[float, float]:
    return metadata["low"], metadata["high"]
