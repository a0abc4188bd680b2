"""Backbones, one file each; registered by name."""

from .configured import make_backbone
from .registry import BACKBONES, construct, register_backbone

__all__ = ["BACKBONES", "construct", "make_backbone", "register_backbone"]
