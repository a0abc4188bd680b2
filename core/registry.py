"""Named things that a config may ask for: one class behind blocks, strategies and so on."""

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from .errors import InputError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """What is registered under names, and what the modules of a package would register.

    A module of `package` is imported when a name that it registers is first asked for: its
    names are found by reading it (a call or decorator of one of `registrars` with the name as
    a literal first argument), so that looking for one thing does not load all of them.

    Iterating gives the names in order; `registry[name]` the thing.
    """

    def __init__(
        self, kind: str, *, package: str, registrars: tuple[str, ...], listing: str = ""
    ) -> None:
        """`kind` is the word for messages, `listing` the command that lists all of it."""
        self.kind, self.listing = kind, listing
        self._package, self._registrars = package, registrars
        self._found: dict[str, T] = {}
        self._defined: dict[str, Any] = {}
        self._provided: dict[str, T] = {}

    def add(self, name: str, thing: T, *, defined: Any = None) -> None:
        """Registers a thing under a name; `defined` is the class or function that it stands for.

        Raises:
            ValueError: another thing has the name. One that was defined at the same place, as
                when its module is imported once more, replaces itself.
        """
        self._load(name)  # what the package registers under it comes first
        defined = thing if defined is None else defined
        if name in self._defined and not _same(self._defined[name], defined):
            raise ValueError(f"{self.kind} {name!r} is {_taken(self._defined[name], defined)}")
        self._found[name], self._defined[name] = thing, defined

    def provide(self, name: str, thing: T) -> None:
        """What to take for a name as long as nothing is registered under it; loads nothing."""
        self._provided[name] = thing

    def __getitem__(self, name: str) -> T:
        """The thing of that name.

        Raises:
            InputError: there is none; the message names the nearest.
        """
        if name not in self._found and name in self._provided:
            return self._provided[name]
        self._load(name)
        if name not in self._found:
            raise self.unknown(name)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._found or name in self._provided or name in self._declared

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._found, *self._provided, *self._declared}))

    def __len__(self) -> int:
        return len(set(self))

    def loaded(self) -> list[T]:
        """The things that are known without loading any more, by name."""
        return [thing for _, thing in sorted({**self._provided, **self._found}.items())]

    def items(self) -> list[tuple[str, T]]:
        """Names and things, by name; loads all of them."""
        return [(name, self[name]) for name in self]

    def unknown(self, name: str) -> InputError:
        """The error for a name that is not registered."""
        return unknown(self.kind, name, self, listing=self.listing)

    def summary(self, name: str) -> str:
        """The first line of its documentation, "" of a value; loads nothing of the package.

        Raises:
            InputError: there is none; the message names the nearest.
        """
        if name not in self:
            raise self.unknown(name)
        if name not in self._defined and name in self._declared:
            return self._declared[name][1]
        defined = self._defined.get(name, self._provided.get(name))
        return (inspect.getdoc(defined) or "").partition("\n")[0] if _place(defined) else ""

    def _load(self, name: str) -> None:
        """Imports the module of the package that registers the name, if it was not yet."""
        if name not in self._found and name in self._declared:
            importlib.import_module(self._declared[name][0])

    @cached_property
    def _declared(self) -> dict[str, tuple[str, str]]:
        """The names in the package's files, each with its module and first line."""
        found: dict[str, tuple[str, str]] = {}
        for file in sorted(_folder(self._package).glob("*.py")):
            for name, line in declarations(file.read_text("utf-8"), self._registrars):
                found[name] = f"{self._package}.{file.stem}", line
        return found


def _folder(package: str) -> Path:
    """Where a package within a room lies; neither is imported."""
    top, room, *inner = package.split(".")
    spec = importlib.util.find_spec(f"{top}.{room}")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0], *inner)


def declarations(source: str, registrars: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Names that a module registers at its top level, each with its first line of documentation."""
    if not any(registrar in source for registrar in registrars):
        return
    for node in ast.parse(source).body:
        calls: list[ast.expr] = []
        line = ""
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            calls, line = node.decorator_list, (ast.get_docstring(node) or "").partition("\n")[0]
        elif isinstance(node, ast.Expr | ast.Assign):
            calls = [node.value]
        for call in calls:
            if (name := _registered_name(call, registrars)) is not None:
                yield name, line


def _registered_name(call: ast.expr, registrars: tuple[str, ...]) -> str | None:
    if not isinstance(call, ast.Call) or not call.args:
        return None
    function, first = call.func, call.args[0]
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if called not in registrars or not isinstance(first, ast.Constant):
        return None
    return str(first.value)


def _same(one: Any, other: Any) -> bool:
    """Whether both were defined at the same place, or are equal values."""
    return _place(one) == _place(other) if _place(one) or _place(other) else one == other


def _taken(by: Any, other: Any) -> str:
    if not _place(by) or not _place(other):
        return "registered already; take another name"
    return f"{_place(by)} already; register {_place(other)} under another name"


def _place(defined: Any) -> str:
    """Where a class or function was defined, the same when its module is imported anew; else ""."""
    if not hasattr(defined, "__qualname__"):
        return ""
    return f"{defined.__module__}.{defined.__qualname__}"
