"""Database URLs: what stands for a password in them, and what is shown or kept of them."""

import os
import re
from functools import partial
from pathlib import Path
from urllib.parse import quote

from attnas.core import InputError, without_passwords

PASSWORD = "ATTNAS_STORAGE_PASSWORD"
"""The environment variable that a run keeps in place of a password that stood in its URL."""

_TAKEN_OUT: dict[str, dict[str, str]] = {}  # of this process: URL -> variable -> password
_IN_ADDRESS = re.compile(r"(?P<before>\w[\w+.-]*://[^\s:@/]*:)(?P<password>(?!\$)\S+)(?=@)")
_IN_QUERY = re.compile(
    r"(?P<before>[?&][\w-]*pass[\w-]*=)(?P<password>(?!\$)[^&\s]+)", re.IGNORECASE
)


def without_literals(url: str) -> str:
    """The URL with an environment variable in place of each password that stands in it.

    This process remembers them; another needs the variable.
    """
    taken: dict[str, str] = {}

    def variable(match: re.Match[str]) -> str:
        name = PASSWORD if not taken else f"{PASSWORD}_{len(taken) + 1}"
        taken[name] = match["password"]
        return f"{match['before']}${{{name}}}"

    kept = _IN_QUERY.sub(variable, _IN_ADDRESS.sub(variable, url))
    if taken:
        _TAKEN_OUT[kept] = taken
    return kept


def from_environment(url: str) -> str:
    """A database URL with its environment variables ($NAME, ${NAME}) filled in.

    What stands for the password is quoted: the variable holds the password as it is. One that
    `without_literals` took out of the same URL in this process comes back as it was.

    Raises:
        InputError: a variable is not set.
    """

    def value(match: re.Match[str], *, quoted: bool = False) -> str:
        name = match[1] or match[2]
        if name in _TAKEN_OUT.get(url, ()):
            return _TAKEN_OUT[url][name]
        if name not in os.environ:
            raise InputError(
                f"the environment variable {name} in the database URL is not set. "
                "Set it, or write %24 for a dollar sign.",
                key="storage",
            )
        return quote(os.environ[name], safe="") if quoted else os.environ[name]

    name = r"\$(?:(\w+)|\{(\w+)\})"
    quoting = partial(value, quoted=True)
    parts = re.split(r"(?<=:)(" + r"\$\w+|\$\{\w+\}" + r")(?=@)", url, maxsplit=1)
    parts[1:2] = [re.sub(name, quoting, part) for part in parts[1:2]]
    parts[::2] = [re.sub(name, value, part) for part in parts[::2]]
    return "".join(parts)


def shown(place: Path | str) -> str:
    """The database for messages: a file by its path, a URL without the password."""
    if isinstance(place, Path):
        return str(place)
    if "://" not in place:  # all of it may be a variable
        return "the database"
    return without_passwords(place)
