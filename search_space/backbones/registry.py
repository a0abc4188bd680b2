"""The register of backbones, and networks from their names and arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attnas.core import InputError, Registry, import_own, unknown

if TYPE_CHECKING:
    from torch import nn

from .libraries import KEY, library_network

FROM_DATA = ("classes", "in_channels")
WANTED: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a string",
}

Factory = Callable[..., "nn.Module"]

BACKBONES: Registry[Factory] = Registry(
    "backbone",
    package="attnas.search_space.backbones",
    registrars=("register_backbone",),
)


def register_backbone(name: str) -> Callable[[Factory], Factory]:
    """Decorator that makes a backbone searchable under a name.

    The function takes keyword arguments: `classes`, `in_channels`, and those with defaults
    that the config may set, whose values are checked against their annotation. It returns a
    network that has a method `stages() -> tuple[Stage, ...]`, and raises InputError with the
    argument's name as key.

    Raises:
        ValueError: the name is taken by another function, or the arguments are others.
    """

    def register(factory: Factory) -> Factory:
        parameters = inspect.signature(factory).parameters
        lacking = [n for n in FROM_DATA if n not in parameters]
        bare = [n for n, p in parameters.items() if n not in FROM_DATA and p.default is p.empty]
        if lacking or bare:
            raise ValueError(
                f"backbone {name!r} needs the arguments {', '.join(FROM_DATA)}, and a default "
                f"for each other: {', '.join(lacking + bare)}"
            )
        BACKBONES.add(name, factory)
        return factory

    return register


def default_arguments(name: str) -> dict[str, Any]:
    """What the config may set for a registered backbone, with the defaults; {} for a factory.

    Raises:
        InputError: there is no such backbone; the message names the nearest.
    """
    if ":" in name or "/" in name:
        return {}
    if name not in BACKBONES:
        raise BACKBONES.unknown(name).inside(key=f"{KEY}.name")
    parameters = inspect.signature(BACKBONES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in FROM_DATA}


def construct(
    name: str,
    arguments: Mapping[str, Any],
    *,
    classes: int | None,
    input_shape: tuple[int, ...],
) -> "nn.Module":
    """The plain network of a registered backbone, of a factory `package.module:function`, or of
    a library.

    A factory gets `classes` (unless that is None) and `in_channels` if it has arguments of these
    names.

    Raises:
        InputError: there is no such network, or the arguments do not fit it; with the key.
    """
    in_channels = input_shape[0]
    if "/" in name:
        return library_network(name, arguments, classes=classes, input_shape=input_shape)
    if ":" in name:
        return _from_factory(name, arguments, from_data(classes, in_channels))
    known = default_arguments(name)
    factory = BACKBONES[name]
    annotations = inspect.signature(factory, eval_str=True).parameters
    for argument, value in arguments.items():
        _check_argument(name, argument, value, known, annotations)
    try:
        return factory(classes=classes, in_channels=in_channels, **arguments)
    except InputError as error:
        raise error.inside(key=KEY) from error
    except (RuntimeError, MemoryError, OverflowError) as error:  # weights too large for memory
        raise InputError(f"{name} cannot be made with {arguments}: {error}", key=KEY) from error


def from_data(classes: int | None, in_channels: int) -> dict[str, int]:
    """What a factory may take beside its arguments."""
    sizes = {"classes": classes, "in_channels": in_channels}
    return {name: size for name, size in sizes.items() if size is not None}


def _check_argument(
    name: str,
    argument: str,
    value: Any,
    known: Mapping[str, Any],
    annotations: Mapping[str, inspect.Parameter],
) -> None:
    key = f"{KEY}.{argument}"
    if argument in FROM_DATA:
        raise InputError(f"'{argument}' comes from the data. Leave it out.", key=key)
    if argument not in known:
        raise unknown(f"option of {name}", argument, known).inside(key=key)
    wanted = annotations[argument].annotation
    # A whole number is a number; truth values are neither, though Python counts with them.
    accepted = (int, float) if wanted is float else (wanted,)
    if wanted in WANTED and type(value) not in accepted:
        raise InputError(f"must be {WANTED[wanted]}, not {value!r}.", key=key)


def _from_factory(name: str, arguments: Mapping[str, Any], sizes: Mapping[str, int]) -> "nn.Module":
    from torch import nn

    factory: Factory = import_own(name, key=f"{KEY}.factory")
    keywords = factory_arguments(name, factory, arguments, sizes)
    try:
        network = factory(**keywords)
    except Exception as error:
        raise InputError(
            f"'{name}' raised {type(error).__name__}: {error}", key=f"{KEY}.factory"
        ) from error
    if not isinstance(network, nn.Module):
        raise InputError(
            f"'{name}' must return a torch.nn.Module, not a {type(network).__name__}.",
            key=f"{KEY}.factory",
        )
    return network


def factory_arguments(
    name: str, factory: Factory, arguments: Mapping[str, Any], sizes: Mapping[str, int]
) -> dict[str, Any]:
    """What a factory is called with: the arguments, and what it takes of the data's.

    Raises:
        InputError: it does not take an argument, or needs more.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # written in C: it says itself what it does not take
        return dict(arguments)
    taken = {n: v for n, v in sizes.items() if n in signature.parameters}
    _check_call(name, signature, {**taken, **arguments})
    return {**taken, **arguments}


def _check_call(name: str, signature: inspect.Signature, arguments: Mapping[str, Any]) -> None:
    parameters = signature.parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for argument in arguments:
            if argument not in names:
                key = f"{KEY}.arguments.{argument}"
                raise unknown(f"argument of '{name}'", argument, names).inside(key=key)
    missing = [p.name for p in named if p.default is p.empty and p.name not in arguments]
    if missing:
        raise InputError(
            f"'{name}' needs {', '.join(missing)}. Give it under 'arguments'.",
            key=f"{KEY}.arguments",
        )
