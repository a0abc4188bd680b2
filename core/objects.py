"""Objects that a program hands over in place of names, known by what they are."""

import hashlib
import inspect
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from .errors import InputError

PREFIX = "object:"
_HELD: dict[str, Any] = {}


def hand_over(thing: Any, digest: str, label: str) -> str:
    """Keeps an object and returns its name, `object:label@digest`, for a config.

    The name says what the object is, so that a run that is gone on with notices another one.
    """
    name = f"{PREFIX}{label}@{digest[:16]}"
    _HELD[name] = thing
    return name


def is_object(name: str) -> bool:
    """Whether a name in a config stands for an object that was handed over."""
    return name.startswith(PREFIX)


def held(name: str, *, key: str) -> Any:
    """The object of that name.

    Raises:
        InputError: this process was not handed it.
    """
    if name not in _HELD:
        label = name.removeprefix(PREFIX).partition("@")[0]
        other = any(known.startswith(f"{PREFIX}{label}@") for known in _HELD)
        raise InputError(
            f"'{name}' was handed over as an object by a Python program. "
            + (
                "The one handed over now is another: restore it."
                if other
                else "Hand it over again: attnas.hand_over(backbone=..., data=..., train=...)."
            ),
            key=key,
        )
    return _HELD[name]


def held_objects() -> Mapping[str, Any]:
    """All that were handed over, by name, for a process that works for this one."""
    return dict(_HELD)


def hold(objects: Mapping[str, Any]) -> None:
    """Takes over the objects of another process."""
    _HELD.update(objects)


def importable_name(thing: Any) -> str | None:
    """`package.module:name`, if another process can import the object under it."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not module or not name or module == "__main__" or "." in name:
        return None
    found = getattr(sys.modules.get(module), name, None)
    # what a notebook or an interactive session defines lies in no file
    return f"{module}:{name}" if found is thing and _lies_in_a_file(module) else None


def _lies_in_a_file(module: str) -> bool:
    return bool(getattr(sys.modules[module], "__file__", None))


def code_digest(function: Any) -> str:
    """SHA-256 of a function's or class's source, with the plain values that it closes over."""
    digest = hashlib.sha256()
    while isinstance(function, partial):
        digest.update(repr((function.args, sorted(function.keywords.items()))).encode())
        function = function.func
    digest.update(_source(function).encode())
    if inspect.isfunction(function):
        closed = inspect.getclosurevars(function).nonlocals
        values = {n: v for n, v in closed.items() if isinstance(v, bool | int | float | str | None)}
        digest.update(repr((sorted(values.items()), function.__defaults__)).encode())
    return digest.hexdigest()


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # typed into an interpreter, or an object that is called
        code = getattr(function, "__code__", None)
        if code is not None:
            return f"{code.co_code!r} {code.co_names} {_constants(code.co_consts)}"
        return f"{type(function).__module__}.{type(function).__qualname__}"


def _constants(constants: tuple[Any, ...]) -> str:
    """Constants of a code object, without the addresses of the code objects among them."""
    return repr([c.co_code if hasattr(c, "co_code") else c for c in constants])
