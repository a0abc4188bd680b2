"""Attention blocks, registered by name; every module of this folder is imported."""

import importlib
import pkgutil

from .registry import Block, block, blocks, hidden_width, register_block

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Block", "block", "blocks", "hidden_width", "register_block"]
