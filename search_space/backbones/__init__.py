"""Backbones, registered by name; every module of this folder is imported."""

import importlib
import pkgutil

from .configured import make_backbone
from .registry import backbones, register_backbone

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["backbones", "make_backbone", "register_backbone"]
