"""OptunaHub's samplers as strategies: `optunahub:auto_sampler`, by the name of their package."""

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import optuna
from optuna.samplers import BaseSampler

from attnas.core import AttnasError, InputError, unknown

from .optuna_sampler import OptunaSampler
from .registry import Family, register_family

_PLACES = ("registry_root", "ref")  # settings that say which code, not how it samples


def _make(name: str, *, settings: Mapping[str, Any], **given: Any) -> OptunaSampler:
    """The sampler of `package`, or of `package:Class` where the package has several.

    Its code comes from the registry on GitHub, as of `ref` (a branch, tag or commit), and is
    kept by OptunaHub; or from `registry_root`, a folder that holds `samplers/package`.

    Raises:
        InputError: the package has no such sampler, or several and none is named.
        AttnasError: OptunaHub or what the package needs is not installed, or it cannot be had.
    """
    package, _, wanted = name.partition(":")
    places = {key: str(settings[key]) for key in _PLACES if key in settings}
    if len(places) > 1:
        raise InputError("is of the registry on GitHub, not of a registry_root.", key="ref")
    sampler = _sampler(_load(f"samplers/{package}", **places), package, wanted)
    own = {key: value for key, value in settings.items() if key not in _PLACES}
    return OptunaSampler(sampler=sampler, settings=own, **given)


def _load(path: str, **places: str) -> ModuleType:
    """The package's module; runs its code."""
    try:
        hub = import_module("optunahub")
    except ImportError as error:  # GitPython raises one too where there is no git
        absent = isinstance(error, ModuleNotFoundError)
        found = "is not installed" if absent else f"cannot be imported ({_last_line(error)})"
        raise AttnasError(
            f"{path} needs OptunaHub, which {found}: pip install 'attnas[optunahub]'."
        ) from None
    load = hub.load_local_module if "registry_root" in places else hub.load_module
    try:
        return load(path, **places)
    except ImportError as error:
        raise AttnasError(
            f"cannot import OptunaHub's {path}: {_last_line(error)}. It needs a package that is "
            f"not installed, or another version of Optuna than {optuna.__version__}."
        ) from error
    except Exception as error:  # git's, GitHub's, or whatever the package raises
        raise AttnasError(
            f"cannot load OptunaHub's {path}: {type(error).__name__}: {_last_line(error)}. It is "
            "fetched from GitHub when it is used first (https://hub.optuna.org lists all); "
            "`registry_root` names a folder to take it from instead."
        ) from error


def _sampler(module: ModuleType, package: str, wanted: str) -> type[BaseSampler]:
    """The class of that name among the module's public ones, or the only one."""
    everything = vars(module)
    own = [n for n, x in everything.items() if getattr(x, "__module__", "") == module.__name__]
    kinds = {
        name: kind
        for name in everything.get("__all__", own)
        if isinstance(kind := everything.get(name), type) and issubclass(kind, BaseSampler)
    }
    if wanted:
        if wanted not in kinds:
            raise unknown(f"sampler of {package}", wanted, kinds).inside(key="name")
        return kinds[wanted]
    if len(kinds) != 1:
        named = ", ".join(f"'optunahub:{package}:{name}'" for name in kinds)
        raise InputError(
            f"'{package}' has several samplers. Write one of {named}."
            if kinds
            else f"'{package}' has no sampler.",
            key="name",
        )
    return next(iter(kinds.values()))


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return lines[-1].strip().rstrip(".")


_WHAT = "OptunaHub: the sampler of that package, such as `optunahub:auto_sampler`."
register_family("optunahub", Family(_make, lambda: {"PACKAGE": _WHAT}))
