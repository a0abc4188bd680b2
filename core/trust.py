"""Which code a file that was received may have imported.

A run and an export name code: plugins, and functions and classes as `package.module:name`. The
user's own are marked with a key that only this user has; what others made may name installed
plugins and networks of well-known libraries, and all else only where the user trusts it.
"""

import hashlib
import hmac
import importlib
import importlib.metadata
import json
import os
import re
import secrets
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from .errors import InputError, shortened
from .objects import PREFIX

MARK = "maker"
"""The key of a run or an export under which the mark of its maker stands."""

LIBRARIES = ("timm", "torchvision")
"""Packages whose functions a received file may name; others could do anything with arguments."""

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_KEYS = ("name", "factory", "source", "function", "task")
_SITE = ("site-packages", "dist-packages")

Trust = bool | Collection[str]
"""Whether the user trusts a file, or the names of the code that may be imported for it."""


def named_code(*contents: Mapping[str, Any]) -> tuple[str, ...]:
    """The code that the contents of a run, an export or a config name: plugins come first."""
    plugins = [p for content in contents for p in content.get("plugins") or () if p]
    found = [r for content in contents for r in _references(content, "")]
    return tuple(dict.fromkeys([*map(str, plugins), *found]))


def _references(content: Any, key: str) -> Iterator[str]:
    if isinstance(content, Mapping):
        for inner, value in content.items():
            if inner != "strategy":  # which has names such as nni:TPE
                yield from _references(value, str(inner))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _references(value, key)
    elif isinstance(content, str) and key in _KEYS and _is_reference(content):
        yield content


def _is_reference(text: str) -> bool:
    return not text.startswith(PREFIX) and _REFERENCE.fullmatch(text) is not None


def mark_of(*contents: Mapping[str, Any]) -> str | None:
    """The mark by which this user knows the code that is named; None if none is."""
    names = named_code(*contents)
    if not names:
        return None
    backbone = [content.get("backbone") for content in contents]
    text = json.dumps([sorted(names), backbone], sort_keys=True, default=str)
    return hmac.new(_key(), text.encode(), hashlib.sha256).hexdigest()


def check_trust(mark: Any, *contents: Mapping[str, Any], trust: Trust, file: str) -> None:
    """Sees whether the code that the contents name may be imported; imports what is installed.

    `mark` is what the file has under `MARK`.

    Raises:
        InputError: it names code that is neither the user's nor a library's, and `trust` does
            not hold for it.
    """
    names = named_code(*contents)
    if not names or trust is True:
        return
    own = mark_of(*contents)
    if own is not None and hmac.compare_digest(str(mark).encode(), own.encode()):
        return
    trusted = () if trust is False else trust
    unknown = [name for name in names if name not in trusted]
    refused = [name for name in unknown if not _harmless(name)]
    if refused:
        raise InputError(
            f"was not made by you and names code that would run here: "
            f"{shortened(', '.join(refused), 300)}. Look at it, and if you trust it add --trust "
            "(Python: trust=True).",
            file=file,
        )
    for name in unknown:  # now, when the working directory is not yet looked in
        with suppress(ImportError):
            importlib.import_module(name.partition(":")[0])


def _harmless(name: str) -> bool:
    """Whether a received file may name it: an installed plugin, or a library's network."""
    module, _, function = name.partition(":")
    top = module.partition(".")[0]
    if function:
        return top in LIBRARIES and _installed(top)
    return module in sys.modules or _installed(top)


def _installed(top: str) -> bool:
    """Whether an import finds a package that was installed, not a file of a working directory."""
    site = [entry for entry in sys.path if Path(entry).name in _SITE]
    spec = PathFinder.find_spec(top, [os.getcwd(), *sys.path])
    if spec is not None:
        places = [spec.origin or "", *(spec.submodule_search_locations or ())]
        return any(place.startswith(f"{entry}{os.sep}") for place in places for entry in site)
    found = importlib.metadata.distributions(path=site)  # editable: by a finder of its own
    return any(top in (d.read_text("top_level.txt") or "").split() for d in found)


def state_folder() -> Path:
    """Where what belongs to this user, and is no cache, is kept."""
    given = os.environ.get("ATTNAS_STATE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "attnas"


@cache
def _kept_key(folder: Path) -> bytes:
    """The user's key, made at first use; one for this process where none can be kept."""
    file = folder / "key"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            temporary = folder / f".key.{os.getpid()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as opened:
                opened.write(secrets.token_bytes(32))
            try:
                os.link(temporary, file)  # fails where there is one: it stays
            finally:
                temporary.unlink()
        if len(kept := file.read_bytes()) == 32:
            return kept
    return secrets.token_bytes(32)


def _key() -> bytes:
    return _kept_key(state_folder())
