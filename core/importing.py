"""Modules and objects of a user's own, found from the working directory too."""

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from .errors import InputError
from .objects import PREFIX, held


def import_own(reference: str, *, key: str, kind: str = "function") -> Any:
    """The object that `package.module:name` names, or that was handed over; it can be called.

    Raises:
        InputError: the text has another form, the module cannot be imported, or it has no
            such object; the message names the nearest.
    """
    if reference.startswith(PREFIX):
        return held(reference, key=key)
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise InputError(f"cannot read '{reference}'. Write 'package.module:{kind}'.", key=key)
    module = import_module(module_name, of=reference, key=key)
    found = getattr(module, name, None)
    if not callable(found):
        public = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        near = get_close_matches(name, public, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(f"'{module_name}' has no {kind.lower()} '{name}'.{hint}", key=key)
    return found


def import_plugins(names: Sequence[str]) -> None:
    """Imports modules that register blocks, backbones and the like.

    Raises:
        InputError: one cannot be imported.
    """
    for i, name in enumerate(names):
        import_module(name, key=f"plugins[{i}]")


def import_module(name: str, *, key: str, of: str = "") -> ModuleType:
    """The module of that name.

    Raises:
        InputError: it cannot be imported; `of` is the text that named it.
    """
    if os.getcwd() not in sys.path:  # a command's own path is that of the command
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        named = f"'{name}' of '{of}'" if of else f"'{name}'"
        raise InputError(
            f"cannot import {named}: {type(error).__name__}: {error}. It must be installed or "
            "lie in the working directory.",
            key=key,
        ) from error
