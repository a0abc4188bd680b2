"""Data sources, registered by name; every module of this folder is imported."""

import importlib
import pkgutil

from .loading import load_data
from .pool import Data, Pool, Pools
from .registry import Source, register_source, source, sources

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = [
    "Data",
    "Pool",
    "Pools",
    "Source",
    "load_data",
    "register_source",
    "source",
    "sources",
]
