"""Data sources, one file each; registered by name."""

from .loading import load_data
from .pool import Data, Inputs, Pool, Pools
from .registry import SOURCES, Source, register_source, source

__all__ = [
    "SOURCES",
    "Data",
    "Inputs",
    "Pool",
    "Pools",
    "Source",
    "load_data",
    "register_source",
    "source",
]
