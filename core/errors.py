"""Errors that a user can act on; shown as one line, without a traceback."""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any


class AttnasError(Exception):
    """Something went wrong; the message says what to do about it. Exit code 1."""

    exit_code = 1


class InputError(AttnasError):
    """What the user wrote is wrong. Exit code 2.

    `key` is the dotted path of the offending entry ("search_space.blocks[1]");
    the loader that knows the file puts it in front of the message.
    """

    exit_code = 2

    def __init__(self, problem: str, *, key: str = "", file: str = "") -> None:
        self.problem, self.key, self.file = problem, key, file
        super().__init__(": ".join(part for part in (file, key, problem) if part))

    def inside(self, *, key: str = "", file: str = "") -> "InputError":
        """The same error with its place known better: `key` is put before the key."""
        dot = "." if key and self.key and not self.key.startswith("[") else ""
        return InputError(self.problem, key=f"{key}{dot}{self.key}", file=file or self.file)


def unknown(kind: str, name: str, known: Iterable[str], *, listing: str = "") -> InputError:
    """The error for a name that is not among the known ones, naming the nearest."""
    names = sorted(known)
    near = nearest(str(name), names)
    hint = f"Did you mean '{near}'?" if near else f"Known: {', '.join(names)}."
    more = f" `{listing}` lists all." if listing else ""
    return InputError(f"unknown {kind} '{shortened(str(name))}'. {hint}{more}")


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The name most like it, if one is near; an ending that all have (`Sampler`) tells nothing."""
    if len(name) > _LONGEST_NAME:
        return None
    endings = (name[i:] for i in range(len(name) if len(names) > 1 else 0))
    ending = next((e for e in endings if all(n.endswith(e) for n in names)), "")
    bare = {n.removesuffix(ending): n for n in names}
    near = get_close_matches(name.removesuffix(ending), bare, n=1)
    return bare[near[0]] if near else None


def first_line(error: BaseException) -> str:
    """The first line of somebody else's error, its class if it says nothing."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def brief(value: Any) -> str:
    """A value of a config for a message, in one short line.

    What is in a mapping or a long list is not said: it may be a password, or a million values.
    """
    if value is None:
        return "empty"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        plain = len(value) <= 5 and all(
            isinstance(v, str | float | bool | None)
            or (isinstance(v, int) and v.bit_length() <= _LONGEST_NUMBER)
            for v in value
        )
        shown = repr(value) if plain else ""
        return shown if 0 < len(shown) <= _LONGEST_NAME and "://" not in shown else "a list"
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        return f"a number of {int(value.bit_length() * 0.30103) + 1} digits"
    return without_passwords(shortened(repr(value)))


_LONGEST_NUMBER = 256  # bits
_LONGEST_NAME = 100  # characters


def shortened(text: str, most: int = _LONGEST_NAME) -> str:
    """The text, its middle left out if it is longer than so many characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


_PASSWORD = re.compile(r"(?P<scheme>\w[\w+.-]*://)(?P<user>[^\s:@/]*):(?!password@|\$\w+@)\S*@")
_SECRET = re.compile(
    r"(?P<key>[\w-]*(?:pass|secret|token|pwd)[\w-]*=)[^\s&;'\"]*?(?=[:.,]?(?:[\s&;'\"]|$))",
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """The text with *** for each password of a database URL, in the address or the query.

    A password with an '@' that should have been quoted ends at the last '@'.
    """
    text = _PASSWORD.sub(r"\g<scheme>\g<user>:***@", text)
    return _SECRET.sub(r"\g<key>***", text)
