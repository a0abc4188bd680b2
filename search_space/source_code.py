"""The source of functions and classes, with all of ours that they use, as one module's text."""

import ast
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from keyword import iskeyword
from types import ModuleType
from typing import Any

from attnas.core import InputError

_OURS = "attnas"
_REGISTRARS = ("register_block", "register_backbone", "register_decision")
_FOR_SEARCHES = (
    *("params", "added", "widths", "legal", "stages", "_units", "sites"),
    *("sliceable", "sized", "needs_batch", "blends", "start_parameters"),
)
"""What classes say for a search: members that the network itself does not use."""

_INSTEAD = {
    "InputError": '''\
class InputError(ValueError):
    """An argument is wrong."""

    def __init__(self, problem, *, key=""):
        super().__init__(f"{key}: {problem}" if key else problem)
'''
}
"""What is written in place of our own, which would bring much along."""


@dataclass(frozen=True)
class _Import:
    """A name that a module imports; an empty `attribute` is the module itself."""

    module: str
    attribute: str


@dataclass(frozen=True)
class _File:
    """A module's text, the statements that bind its names, and what it imports."""

    lines: list[str]
    statements: dict[str, ast.stmt]
    imports: dict[str, _Import]


@dataclass
class SourceCode:
    """Collects definitions; each stands behind those that it uses.

    What is asked for and all that it uses of its own module and of this package are copied;
    whatever else it uses is imported. Decorators that register, and members of classes that only
    a search asks for, are left out. What has a name that another thing has, or that is `reserved`,
    is renamed.
    """

    reserved: Sequence[str] = ()
    _imports: dict[str, _Import] = field(default_factory=dict)
    _definitions: list[str] = field(default_factory=list)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    _copied: list[ast.stmt] = field(default_factory=list)
    _inlined: set[str] = field(default_factory=set)

    def name_of(self, thing: Any) -> str:
        """The name of a function or class in the collected source, which has it from now on.

        Raises:
            InputError: its source cannot be found.
        """
        module, name = _place(thing)
        self._inlined.add(module)
        return self._add(module, name)

    def imported(self, module: str, attribute: str = "", name: str = "") -> str:
        """The name under which the source imports a module, or what a module has.

        It is the `name` that is asked for, or the thing's own, unless another thing has it.
        """
        name = name or attribute or module.partition(".")[0]
        wanted = _Import(module, attribute)
        if self._imports.get(name) != wanted:
            name = self._free(name, module)
            self._imports[name] = wanted
        return name

    def text(self) -> str:
        """Imports and definitions."""
        parts = ["\n".join(lines) for lines in self._import_lines() if lines]
        return "\n\n".join(parts) + "\n\n\n" + "\n\n".join(self._definitions)

    def _import_lines(self) -> tuple[list[str], list[str]]:
        """Those of the standard library, and others."""
        lines: tuple[list[str], list[str]] = [], []
        origins: dict[str, list[str]] = {}
        for name, found in sorted(self._imports.items()):
            if found.attribute:
                renamed = "" if name == found.attribute else f" as {name}"
                origins.setdefault(found.module, []).append(f"{found.attribute}{renamed}")
                continue
            plain = name == found.module.partition(".")[0]
            line = f"import {found.module}" + ("" if plain else f" as {name}")
            lines[not _is_standard(found.module)].append(line)
        for module, names in sorted(origins.items()):
            lines[not _is_standard(module)].append(f"from {module} import {', '.join(names)}")
        return lines

    def _free(self, name: str, module: str) -> str:
        """A name that nothing has yet."""
        taken = {*self.reserved, *self._names.values(), *self._imports}
        while name in taken:
            name = f"{name}_{module.rpartition('.')[2]}"
        return name

    def _add(self, module: str, name: str) -> str:
        """Copies a definition, what it uses before it; its name in the source."""
        if name in _INSTEAD and module.partition(".")[0] == _OURS:
            module = _OURS
        if (module, name) in self._names:
            return self._names[module, name]
        free = self._names[module, name] = self._free(name, module)
        if module == _OURS:
            self._definitions.append(_INSTEAD[name])
            return free
        file = _read(module)
        if name not in file.statements:
            raise InputError(f"{module} defines no '{name}' whose source could be copied.")
        statement = file.statements[name]
        if statement not in self._copied:  # a, b = 1, 2 has two names
            self._copied.append(statement)
            self._definitions.append(self._text(module, file, statement))
        return free

    def _text(self, module: str, file: _File, statement: ast.stmt) -> str:
        """The definition with what it uses under the names that this has in the source."""
        kept = _Kept(statement)
        known = {name: self._used(module, name, file) for name in kept.names(file)}
        known |= {n: self._add(module, n) for n in _bound(statement)}
        return kept.text(file.lines, {a: b for a, b in known.items() if a != b})

    def _used(self, module: str, name: str, file: _File) -> str:
        """The name in the collected source of what a module knows as `name`."""
        if name in file.statements:
            return self._add(module, name)
        found = file.imports[name]
        if not self._is_inlined(found.module):
            return self.imported(found.module, found.attribute, name)
        if found.attribute in _read(found.module).statements:
            return self._add(found.module, found.attribute)
        return self.name_of(getattr(importlib.import_module(found.module), found.attribute))

    def _is_inlined(self, module: str) -> bool:
        return module.partition(".")[0] == _OURS or module in self._inlined


class _Kept:
    """The part of a statement that is copied."""

    def __init__(self, statement: ast.stmt) -> None:
        self.statement = statement
        self.members: tuple[ast.stmt, ...] = ()
        if isinstance(statement, ast.ClassDef):
            droppable = [m for m in statement.body if set(_bound(m)) & set(_FOR_SEARCHES)]
            rest = [m for m in statement.body if m not in droppable]
            asked = {n.attr for m in rest for n in ast.walk(m) if isinstance(n, ast.Attribute)}
            self.members = tuple(m for m in droppable if not set(_bound(m)) & asked)

    def names(self, file: _File) -> list[str]:
        """The names used that the module binds, in the order of use."""
        found = (node.id for node in self._nodes() if isinstance(node, ast.Name))
        known = (n for n in found if n in file.statements or n in file.imports)
        return list(dict.fromkeys(known))

    def text(self, lines: Sequence[str], renamed: dict[str, str]) -> str:
        """The source with other names for some."""
        changed = list(lines)
        for line, column, old in sorted(self._places(lines, renamed), reverse=True):
            before = changed[line].encode()
            after = before[:column] + renamed[old].encode() + before[column + len(old) :]
            changed[line] = after.decode()
        gone = {n for m in self.members for n in range(_first_line(m) - 1, m.end_lineno or 0)}
        first, last = self.statement.lineno - 1, self.statement.end_lineno or 0
        kept = [changed[n] for n in range(first, last) if n not in gone]
        decorators = [f"@{ast.unparse(d)}" for d in _decorators(self.statement)]
        return "\n".join([*decorators, *_without_gaps(kept)]) + "\n"

    def _nodes(self) -> Iterator[ast.AST]:
        """All that is evaluated when the copy is imported or run, and annotations."""
        pending: list[ast.AST] = [self.statement]
        while pending:
            node = pending.pop(0)
            if node in self.members:
                continue
            yield node
            registering = _registering(node)
            pending += [n for n in ast.iter_child_nodes(node) if n not in registering]

    def _places(
        self, lines: Sequence[str], renamed: dict[str, str]
    ) -> Iterator[tuple[int, int, str]]:
        """Where the names stand: line, byte, name."""
        for node in self._nodes():
            if isinstance(node, ast.Name) and node.id in renamed:
                found = lines[node.lineno - 1].encode()[node.col_offset :]
                if not found.startswith(node.id.encode()):  # in an f-string, before Python 3.12
                    raise InputError(f"'{node.id}' in an f-string cannot be renamed as source.")
                yield node.lineno - 1, node.col_offset, node.id
        named = getattr(self.statement, "name", None)
        if named in renamed:
            line = self.statement.lineno - 1
            yield line, lines[line].encode().index(f" {named}".encode()) + 1, named


def called(function: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> str:
    """The text of a call with plain values; names that are no identifiers come as a mapping."""
    odd = {n: v for n, v in keywords.items() if not n.isidentifier() or iskeyword(n)}
    parts = [repr(argument) for argument in arguments]
    parts += [f"{name}={value!r}" for name, value in keywords.items() if name not in odd]
    parts += [f"**{odd!r}"] if odd else []
    return f"{function}({', '.join(parts)})"


def _place(thing: Any) -> tuple[str, str]:
    """Module and name of a function or class at the top of a module.

    Raises:
        InputError: it is not there.
    """
    module, name = (
        str(getattr(thing, "__module__", "")),
        getattr(thing, "__qualname__", repr(thing)),
    )
    if getattr(sys.modules.get(module), name, None) is not thing:
        raise InputError(
            f"'{module}.{name}' cannot be copied as source: define it at the top of a module."
        )
    return module, name


@cache
def _read(name: str) -> _File:
    module = importlib.import_module(name)
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise InputError(f"the source of the module '{name}' cannot be read.") from error
    file = _File(text.splitlines(), {}, {})
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            file.imports.update(_imported(statement, module))
        else:
            file.statements.update(dict.fromkeys(_bound(statement), statement))
    return file


def _imported(
    statement: ast.Import | ast.ImportFrom, module: ModuleType
) -> Iterator[tuple[str, _Import]]:
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0], _Import(alias.name, "")
        return
    origin = "." * statement.level + (statement.module or "")
    absolute = importlib.util.resolve_name(origin, module.__package__)
    for alias in statement.names:
        yield alias.asname or alias.name, _Import(absolute, alias.name)


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    """The names that a definition or an assignment binds; () of anything else."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return (statement.name,)
    targets: Iterable[ast.expr] = ()
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = (statement.target,)
    return tuple(n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))


def _decorators(node: ast.AST) -> list[ast.expr]:
    """The decorators that are kept."""
    registering = _registering(node)
    return [d for d in getattr(node, "decorator_list", []) if d not in registering]


def _registering(node: ast.AST) -> list[ast.expr]:
    """The decorators that register."""
    return [
        decorator
        for decorator in getattr(node, "decorator_list", [])
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in _REGISTRARS
    ]


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _without_gaps(lines: Iterable[str]) -> list[str]:
    """The lines without doubled empty ones, and none at the end."""
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
