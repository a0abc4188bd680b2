"""Devices that latency is measured on; every module of this folder is imported."""

import importlib
import pkgutil

from .registry import Device, device, devices, register_device

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Device", "device", "devices", "register_device"]
