"""Attention blocks, one file a block or close family; registered by name."""

from .registry import BLOCKS, Block, Kind, block, hidden_width, register_block

__all__ = ["BLOCKS", "Block", "Kind", "block", "hidden_width", "register_block"]
