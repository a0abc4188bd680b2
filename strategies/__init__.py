"""Search strategies: what to evaluate next. Every module of this folder is imported."""

import importlib
import pkgutil

from .protocol import History, Preparing, Proposal, Resources, Strategy, generator
from .recommended import Recommended
from .registry import (
    borrowed_strategies,
    make_strategy,
    preparing_strategies,
    register_strategy,
    strategies,
)

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "History",
    "Preparing",
    "Proposal",
    "Recommended",
    "Resources",
    "Strategy",
    "borrowed_strategies",
    "generator",
    "make_strategy",
    "preparing_strategies",
    "register_strategy",
    "strategies",
]
