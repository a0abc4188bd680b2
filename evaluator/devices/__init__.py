"""Devices that latency is measured on, one file each; registered by name."""

from .registry import DEVICES, Device, device, device_class, register_device

__all__ = ["DEVICES", "Device", "device", "device_class", "register_device"]
