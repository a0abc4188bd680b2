"""Where blocks can be placed, and which options of a decision are one network."""

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING

from attnas.core import InputError

from .attention_option import NONE, AttentionOption

if TYPE_CHECKING:
    from .backbone import Backbone
    from .blocks import Block

PLACEMENTS = ("residual", "pre", "post", "identity", "expanded")
"""In order of preference where two placements are the same site."""


def placements_in(backbone: "Backbone", stages: Iterable[str]) -> tuple[str, ...]:
    """The placements that any unit of these stages has, in order of preference."""
    units = (unit for stage in stages for unit in backbone.units(stage))
    names = {name for unit in units for name in unit.sites}
    return tuple(sorted(names, key=_placement_rank))


def spellings(
    blocks: Iterable[str], ratios: Iterable[int], placements: Iterable[str]
) -> tuple[AttentionOption, ...]:
    """Every option that the lists allow, in the order of preference: `none`, then blocks named
    as their function, by name; the least ratio, the first placement."""
    ratios, placements = tuple(ratios), tuple(placements)
    found = {option for name in blocks for option in _spelled(name, ratios, placements)}
    return tuple(sorted(found, key=_preference))


def checked(option: AttentionOption) -> AttentionOption:
    """The option without a ratio that changes nothing.

    Raises:
        InputError: the block is unknown, or the ratio is missing or unknown to it.
    """
    from .blocks import block

    if option.block == NONE.block:
        return NONE
    known = block(option.block).ratios
    if not known:
        return AttentionOption(option.block, None, option.placement)
    if option.ratio is None:
        example = AttentionOption(option.block, known[len(known) // 2], option.placement)
        raise InputError(f"the option '{option}' lacks a ratio. Write '{example}'.")
    if option.ratio not in known:
        raise unknown_ratio(block(option.block), option.ratio)
    return option


def unknown_ratio(of: "Block", ratio: int) -> InputError:
    """The error for a ratio that the block does not know."""
    known = ", ".join(map(str, of.ratios))
    return InputError(f"the block '{of.name}' does not know the ratio {ratio}. It knows {known}.")


def block_kind_fits(of: "Block", placement: str) -> bool:
    """A mixer takes the place of the convolution that it replaces, a unit goes behind a unit."""
    own = {"mixer": "replace", "unit": "block"}
    return placement == own[of.kind] if of.kind in own else placement not in own.values()


def _spelled(
    name: str, ratios: tuple[int, ...], placements: tuple[str, ...]
) -> Iterable[AttentionOption]:
    from .blocks import block

    if name == NONE.block:
        return (NONE,)
    allowed = ratios if block(name).ratios else (None,)
    return (AttentionOption(name, ratio, at) for ratio, at in product(allowed, placements))


def _preference(option: AttentionOption) -> tuple[bool, bool, str, int, tuple[int, str]]:
    from .blocks import block

    if option == NONE:
        return (False, False, "", 0, (0, ""))
    renamed = block(option.block).function != option.block
    return (True, renamed, option.block, option.ratio or 0, _placement_rank(str(option.placement)))


def _placement_rank(placement: str) -> tuple[int, str]:
    known = placement in PLACEMENTS
    return (PLACEMENTS.index(placement) if known else len(PLACEMENTS), placement)
