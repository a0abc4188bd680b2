"""Attention blocks, one file a block or close family; registered by name."""

from .registry import BLOCKS, Block, Family, Kind, block, hidden_width, register_block

__all__ = ["BLOCKS", "Block", "Family", "Kind", "block", "hidden_width", "register_block"]
