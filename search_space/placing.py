"""Where blocks can be placed, how they enter there, and how their options are spelled."""

from collections.abc import Iterable
from itertools import product
from typing import TYPE_CHECKING

from attnas.core import InputError

from .attention_option import KEEP, NONE, AttentionOption
from .construction import Construction
from .layouts import NCHW

if TYPE_CHECKING:
    from torch import nn

    from .backbone import Backbone
    from .blocks import Block
    from .tracing import Site

PLACEMENTS = (
    *("residual", "pre", "post", "identity", "expanded", "replace", "attention", "block"),
)
"""In order of preference where two placements are the same site."""

_BRANCHES = ("residual", "post", "block")
"""Where a residual branch can be, in our own networks and others that name their sites alike."""


def placements_in(backbone: "Backbone", stages: Iterable[str]) -> tuple[str, ...]:
    """The placements that any unit of these stages has, in order of preference."""
    units = (unit for stage in stages for unit in backbone.units(stage))
    names = {name for unit in units for name in unit.sites}
    return tuple(sorted(names, key=_placement_rank))


def spellings(
    blocks: Iterable[str], ratios: Iterable[int], placements: Iterable[str]
) -> tuple[AttentionOption, ...]:
    """Every option that the lists allow, in the order of preference: `none`, `keep`, blocks named
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

    if option.placement is None:
        return option
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


def can_be_placed(of: "Block", site: "Site") -> bool:
    """Whether the block's kind fits the site.

    A mixer replaces a module, or is wrapped where a residual branch can be; a unit comes behind
    another one; a gate is placed anywhere else, and replaces attention that is there already.
    """
    if site.attention:
        return of.kind == "gate"
    if of.kind == "unit":
        return site.placement == "block" and site.mode != "replace"
    if of.kind == "mixer":
        return site.mode == "replace" or site.placement in _BRANCHES
    return site.mode != "replace" and site.placement not in ("replace", "block")


def is_wrapped(of: "Block", site: "Site") -> bool:
    """Whether the block is placed as a residual branch: a mixer that replaces nothing."""
    return of.kind == "mixer" and site.mode != "replace"


def params_at(option: AttentionOption, site: "Site", *, identity_start: bool) -> int:
    """The parameters of the option's block as it enters a site."""
    from .blocks import block

    of = block(option.block)
    return of.params(
        site.channels,
        site.height,
        site.width,
        option.ratio,
        identity_start=identity_start,
        wrapped=is_wrapped(of, site),
    )


def block_at(option: AttentionOption, site: "Site", *, identity_start: bool) -> "nn.Module":
    """The option's block as it enters a site; see `construction_at`."""
    return construction_at(option, site, identity_start=identity_start).make()


def construction_at(option: AttentionOption, site: "Site", *, identity_start: bool) -> Construction:
    """How the option's block is made as it enters a site.

    A mixer computes anew what it gets: it replaces a module bare, on pooled pixels where that
    has a stride, and is wrapped as a residual branch everywhere else. Tensors that are not
    (N, C, H, W) are shown to it as such.
    """
    from .blocks import block
    from .insertion import Pooled

    of = block(option.block)
    made = of.construction(
        site.channels,
        option.ratio,
        identity_start=identity_start,
        size=(site.height, site.width),
        wrapped=is_wrapped(of, site),
    )
    pooled = made if site.stride == 1 else Construction(Pooled, (site.stride, made))
    if site.layout == NCHW:
        return pooled
    from .layout_adapters import adapter

    adapt, sizes = adapter(site.layout, site.height, site.width)
    return Construction(adapt, (pooled, *sizes))


def _spelled(
    name: str, ratios: tuple[int, ...], placements: tuple[str, ...]
) -> Iterable[AttentionOption]:
    from .blocks import block

    for bare in (NONE, KEEP):
        if name == bare.block:
            return (bare,)
    known = block(name).ratios
    allowed = [ratio for ratio in ratios if ratio in known] if known else [None]
    return (AttentionOption(name, ratio, at) for ratio, at in product(allowed, placements))


def _preference(option: AttentionOption) -> tuple[bool, bool, str, int, tuple[int, str]]:
    from .blocks import block

    if option.placement is None:
        return (option == KEEP, False, "", 0, (0, ""))
    renamed = block(option.block).function != option.block
    return (
        True,
        renamed,
        option.block,
        option.ratio or 0,
        _placement_rank(str(option.placement)),
    )


def _placement_rank(placement: str) -> tuple[int, str]:
    known = placement in PLACEMENTS
    return (PLACEMENTS.index(placement) if known else len(PLACEMENTS), placement)
