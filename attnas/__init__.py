"""Searches for the attention that a network should have, under measured hardware constraints.

>>> import attnas
>>> run = attnas.search("cpu.yaml")                # doctest: +SKIP
>>> run.best(max={"latency_ms": 5})                # doctest: +SKIP
>>> network = attnas.build("runs/cpu/best.yaml")   # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnas.results import Run
    from attnas.search_space import (
        Architecture,
        AttnasError,
        InputError,
        SearchSpace,
        register_block,
    )

    from .api import build, load_run
    from .observer import Observer
    from .search_loop import search

_HOMES = {
    "Architecture": "attnas.search_space",
    "AttnasError": "attnas.search_space",
    "InputError": "attnas.search_space",
    "Observer": "attnas.observer",
    "Run": "attnas.results",
    "SearchSpace": "attnas.search_space",
    "build": "attnas.api",
    "load_run": "attnas.api",
    "register_block": "attnas.search_space",
    "search": "attnas.search_loop",
}

__all__ = [
    "Architecture",
    "AttnasError",
    "InputError",
    "Observer",
    "Run",
    "SearchSpace",
    "build",
    "load_run",
    "register_block",
    "search",
]


def __getattr__(name: str) -> Any:
    """Loads torch and the rest only when they are first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attnas' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
