"""Patterns of dotted paths, of modules and parameters: a name, an ending, a glob, an expression."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from attnas.core import InputError

_EXPRESSION = "re:"
_GLOB = frozenset("*?[")
_LONGEST = 100  # characters of a pattern that the nearest names are looked for
_SHOWN = 3


def matching(pattern: str, paths: Iterable[str]) -> list[str]:
    """The paths that a pattern names, in their order; none if it names nothing.

    - A path that is there stands for itself alone.
    - `se` is every path that ends in `.se`, as in PEFT's `target_modules`; so is `se.fc1`.
    - `*`, `?` and `[ab]` stand for parts of one component: `layer?.*` has two of them.
    - `re:` is followed by a regular expression of whole paths: `re:layer[12]\\..*`.

    Raises:
        InputError: the regular expression is none.
    """
    paths = [path for path in paths if path]
    if pattern.startswith(_EXPRESSION):
        expression = _expression(pattern)
        return [path for path in paths if expression.fullmatch(path)]
    if pattern in paths:
        return [pattern]
    if _GLOB & set(pattern):
        return [path for path in paths if _globbed(path, pattern)]
    return [path for path in paths if path.endswith(f".{pattern}")]


def matched(pattern: str, paths: Sequence[str], *, what: str, key: str) -> list[str]:
    """As `matching`; `what` says where the paths are from: "the network has no module".

    Raises:
        InputError: the pattern names nothing, or is no regular expression; with the key.
    """
    try:
        found = matching(pattern, paths)
    except InputError as error:
        raise error.inside(key=key) from error
    if not found:
        raise InputError(f"{what} '{pattern}'. {nearest_paths(pattern, paths)}", key=key)
    return found


def nearest_paths(pattern: str, paths: Iterable[str]) -> str:
    """The sentence that names the paths most like a pattern, or the first components of all."""
    known = list(dict.fromkeys(path for path in paths if path))
    if not known:
        return "It has no submodules."
    near: list[str] = []
    if len(pattern) <= _LONGEST:
        near = get_close_matches(pattern.removeprefix(_EXPRESSION), known, n=_SHOWN)
        near = near or _with_near_ending(pattern, known)
    if near:
        *first, last = (f"'{path}'" for path in near)
        return f"Did you mean {', '.join(first)} or {last}?" if first else f"Did you mean {last}?"
    return f"It has {', '.join(dict.fromkeys(path.partition('.')[0] for path in known))}."


def _with_near_ending(pattern: str, paths: Sequence[str]) -> list[str]:
    """The nearest last component, which as a pattern stands for all paths that end in it."""
    endings = list(dict.fromkeys(path.rpartition(".")[2] for path in paths))
    return get_close_matches(pattern.rpartition(".")[2], endings, n=1)


def _globbed(path: str, glob: str) -> bool:
    parts, globs = path.split("."), glob.split(".")
    return len(parts) == len(globs) and all(map(fnmatchcase, parts, globs))


def _expression(pattern: str) -> re.Pattern[str]:
    text = pattern.removeprefix(_EXPRESSION)
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"'{text}' is no regular expression: {error}.") from error
