"""The register of data sources, and a user's own function as one."""

import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from attnas.core import InputError, Registry, import_own, unknown

from .pool import Pools

Source = Callable[..., Pools]

SOURCES: Registry[Source] = Registry(
    "data source", package="attnas.evaluator.data", registrars=("register_source",)
)


def register_source(name: str) -> Callable[[Source], Source]:
    """Decorator that makes a function a data source under a name.

    Its parameters are the options that a config may give, `path` among them if it reads one.

    Raises:
        ValueError: the name is taken by another function.
    """

    def register(source: Source) -> Source:
        SOURCES.add(name, source)
        return source

    return register


def source(name: str) -> Source:
    """The source of that name, or the function that `package.module:function` names.

    Raises:
        InputError: there is none.
    """
    if ":" in name:
        return import_own(name, key="data.source")
    if name not in SOURCES:
        own = " Your own is written 'package.module:function'."
        raise InputError(SOURCES.unknown(name).problem + own, key="data.source")
    return SOURCES[name]


def call(name: str, path: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> Pools:
    """What the named source yields, after its options were checked against its signature.

    Raises:
        InputError: as `check_source`, or the source ends the program.
    """
    function, given = check_source(name, path, options)
    try:
        return function(**given)
    except SystemExit as error:
        raise InputError(
            f"'{name}' ended the program (SystemExit) instead of returning Pools.",
            key="data.source",
        ) from error


def check_source(
    name: str, path: str | os.PathLike[str] | None, options: Mapping[str, Any]
) -> tuple[Source, dict[str, Any]]:
    """The named source, and what it is to be called with; nothing is read.

    Raises:
        InputError: there is none, an option it does not know, a path too many or too few.
    """
    function = source(name)
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:  # written in C
        raise InputError(f"'{name}' is no function of Python.", key="data.source") from error
    given = dict(options) if path is None else {"path": os.fspath(path), **options}
    if "path" in given and "path" not in parameters:
        raise InputError(f"the source '{name}' reads no path. Leave it out.", key="data.path")
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for option in given:
        if option not in parameters and not open_ended:
            known = [p for p in parameters if p != "path"]
            if known:
                raise unknown(f"option of source {name}", option, known).inside(
                    key=f"data.{option}"
                )
            raise InputError(f"the source '{name}' has no option '{option}'.", key=f"data.{option}")
    for parameter in parameters.values():
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        )
        if required and parameter.name not in given:
            raise InputError(f"the source '{name}' needs it.", key=f"data.{parameter.name}")
    return function, given
