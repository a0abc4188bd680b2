"""The choices of one stage: which can stand there, and which of them are one network."""

from collections.abc import Iterable
from itertools import product

from .backbone import Backbone, Site
from .blocks import Block, block
from .choice import NONE, Choice
from .errors import InputError

PLACEMENTS = ("residual", "pre", "post", "identity", "expanded")
"""In order of preference where two placements are the same site."""

Realisation = tuple[tuple[str, str, str, tuple[int, ...]] | None, ...]
"""What a choice puts into each unit: mode and path of the site, function, widths."""


def placements_in(backbone: Backbone, stages: Iterable[str]) -> tuple[str, ...]:
    """The placements that any unit of these stages has, in order of preference."""
    names = {name for stage in stages for unit in backbone.sites(stage) for name in unit}
    return tuple(sorted(names, key=_placement_rank))


def stage_options(
    backbone: Backbone,
    stage: str,
    blocks: Iterable[str],
    ratios: Iterable[int],
    placements: Iterable[str],
) -> tuple[Choice, ...]:
    """The distinct choices of a stage, `none` first, whatever the order of the lists.

    Of several spellings of one network the first by `_preference` stands for all.
    Choices that cannot stand in the stage are left out.
    """
    ratios, placements = tuple(ratios), tuple(placements)
    spellings = {
        choice
        for name in blocks
        for choice in _spellings(name, ratios, placements)
        if can_stand(backbone, stage, choice)
    }
    distinct: dict[Realisation, Choice] = {}
    for choice in sorted(spellings, key=_preference):
        distinct.setdefault(realisation(backbone, stage, choice), choice)
    return tuple(distinct.values())


def checked(choice: Choice) -> Choice:
    """The choice without a ratio that changes nothing.

    Raises:
        InputError: the block is unknown, or the ratio is missing or unknown to it.
    """
    if choice.block == NONE.block:
        return NONE
    known = block(choice.block).ratios
    if not known:
        return Choice(choice.block, None, choice.placement)
    if choice.ratio is None:
        example = Choice(choice.block, known[len(known) // 2], choice.placement)
        raise InputError(f"the choice '{choice}' lacks a ratio. Write '{example}'.")
    if choice.ratio not in known:
        raise unknown_ratio(block(choice.block), choice.ratio)
    return choice


def unknown_ratio(of: Block, ratio: int) -> InputError:
    """The error for a ratio that the block does not know."""
    known = ", ".join(map(str, of.ratios))
    return InputError(f"the block '{of.name}' does not know the ratio {ratio}. It knows {known}.")


def can_stand(backbone: Backbone, stage: str, choice: Choice) -> bool:
    """Whether some unit has the site, and the block runs at each such site of the stage."""
    if choice == NONE:
        return True
    chosen = block(choice.block)
    sites = [site for site in _sites(backbone, stage, choice) if site is not None]
    return (
        bool(sites)
        and _kind_may_stand(chosen, str(choice.placement))
        and all(chosen.legal(s.channels, s.height, s.width, choice.ratio) for s in sites)
    )


def realisation(backbone: Backbone, stage: str, choice: Choice) -> Realisation:
    """What the choice puts where: equal for two choices that are one network."""
    if choice == NONE:
        return (None,) * len(backbone.sites(stage))
    chosen = block(choice.block)
    return tuple(
        None
        if site is None
        else (site.mode, site.path, chosen.function, chosen.widths(site.channels, choice.ratio))
        for site in _sites(backbone, stage, choice)
    )


def _spellings(name: str, ratios: tuple[int, ...], placements: tuple[str, ...]) -> Iterable[Choice]:
    if name == NONE.block:
        return (NONE,)
    allowed = ratios if block(name).ratios else (None,)
    return (Choice(name, ratio, placement) for ratio, placement in product(allowed, placements))


def _sites(backbone: Backbone, stage: str, choice: Choice) -> tuple[Site | None, ...]:
    return tuple(unit.get(str(choice.placement)) for unit in backbone.sites(stage))


def _kind_may_stand(of: Block, placement: str) -> bool:
    """A mixer stands for the convolution that it replaces, a unit behind another unit."""
    own = {"mixer": "replace", "unit": "block"}
    return placement == own[of.kind] if of.kind in own else placement not in own.values()


def _preference(choice: Choice) -> tuple[bool, bool, str, int, tuple[int, str]]:
    """`none`, then blocks named as their function; the least ratio, the first placement."""
    if choice == NONE:
        return (False, False, "", 0, (0, ""))
    renamed = block(choice.block).function != choice.block
    return (True, renamed, choice.block, choice.ratio or 0, _placement_rank(str(choice.placement)))


def _placement_rank(placement: str) -> tuple[int, str]:
    known = placement in PLACEMENTS
    return (PLACEMENTS.index(placement) if known else len(PLACEMENTS), placement)
