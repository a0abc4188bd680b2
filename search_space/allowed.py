"""Reads what a user allows in each stage: checked lists of names become options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .backbone import Backbone
from .blocks import block, blocks
from .choice import NONE, Choice
from .errors import InputError, unknown
from .options import can_stand, checked, placements_in, stage_options, unknown_ratio

_LISTS = ("blocks", "ratios", "placements")


@dataclass(frozen=True)
class _Allowed:
    """The lists of one stage; `prefix` is that of the keys of those that are its own."""

    blocks: tuple[str, ...]
    ratios: tuple[int, ...]
    placements: tuple[str, ...]
    prefix: Mapping[str, str] = field(default_factory=dict)

    def key(self, name: str, position: int | None = None) -> str:
        place = "" if position is None else f"[{position}]"
        return f"{self.prefix.get(name, '')}{name}{place}"


def read_options(
    backbone: Backbone,
    *,
    blocks: Sequence[str],
    ratios: Sequence[int],
    placements: Sequence[str],
    stages: Mapping[str, Mapping[str, Any]],
) -> tuple[tuple[Choice, ...], ...]:
    """The distinct choices of every stage of the backbone, in its order.

    Raises:
        InputError: as `SearchSpace.create`.
    """
    for name in stages:
        if name not in backbone.stage_names:
            raise unknown("stage", name, backbone.stage_names).inside(key=f"stages.{name}")
    everywhere = _Allowed(
        _listed(blocks, "blocks"), _listed(ratios, "ratios"), _listed(placements, "placements")
    )
    _check_blocks_and_ratios(everywhere)
    there = placements_in(backbone, backbone.stage_names)
    _check_placements(everywhere, there, backbone.name)
    return tuple(
        _options_of(backbone, stage, everywhere, stages.get(stage) or {})
        for stage in backbone.stage_names
    )


def _options_of(
    backbone: Backbone, stage: str, everywhere: _Allowed, given: Mapping[str, Any]
) -> tuple[Choice, ...]:
    """The options of one stage, with what is given for it alone."""
    key = f"stages.{stage}"
    own = {name: value for name, value in given.items() if value is not None}
    for name in own:
        if name not in (*_LISTS, "choice"):
            raise unknown("key", name, (*_LISTS, "choice")).inside(key=f"{key}.{name}")
    if "choice" in own:
        if len(own) > 1:
            others = ", ".join(f"'{name}'" for name in own if name != "choice")
            raise InputError(f"'choice' freezes the stage. Leave out {others}.", key=key)
        return (_frozen(backbone, stage, own["choice"]),)
    lists = {name: _listed(own[name], f"{key}.{name}") for name in _LISTS if name in own}
    allowed = _Allowed(
        lists.get("blocks", everywhere.blocks),
        lists.get("ratios", everywhere.ratios),
        lists.get("placements", everywhere.placements),
        dict.fromkeys(lists, f"{key}."),
    )
    _check_blocks_and_ratios(allowed)
    if "placements" in own:
        _check_placements(allowed, placements_in(backbone, (stage,)), stage)
    options = stage_options(backbone, stage, allowed.blocks, allowed.ratios, allowed.placements)
    if not options:
        there = ", ".join(placements_in(backbone, (stage,))) or "no placements"
        raise InputError(
            f"none of {', '.join(allowed.blocks)} can stand at {', '.join(allowed.placements)} "
            f"in {stage}, which has {there}. Allow 'none' or another placement there.",
            key=key,
        )
    return options


def _frozen(backbone: Backbone, stage: str, given: str | Choice) -> Choice:
    """The one choice of a frozen stage, as the user spelled it; see `SearchSpace`."""
    try:
        choice = checked(given if isinstance(given, Choice) else Choice.parse(given))
        there = placements_in(backbone, (stage,))
        if choice != NONE and choice.placement not in there:
            raise _no_placement(str(choice.placement), there, stage)
        if not can_stand(backbone, stage, choice):
            raise InputError(f"the block '{choice.block}' cannot stand at the maps of {stage}.")
    except InputError as error:
        raise error.inside(key=f"stages.{stage}.choice") from error
    return choice


def _listed(given: Sequence[Any], key: str) -> tuple[Any, ...]:
    """The entries of a list, which may be given as any sequence but a string."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"must be a list, not {given!r}. Write [{given}].", key=key)
    if not given and not key.endswith("ratios"):
        raise InputError("is an empty list: nothing would be allowed.", key=key)
    return tuple(given)


def _check_blocks_and_ratios(allowed: _Allowed) -> None:
    """Every block must exist and know every ratio, where it knows any."""
    for i, name in enumerate(allowed.blocks):
        if name != NONE.block and name not in blocks():
            names = {NONE.block, *blocks()}
            error = unknown("block", name, names, listing="attnas blocks")
            raise error.inside(key=allowed.key("blocks", i))
    for i, ratio in enumerate(allowed.ratios):
        if not isinstance(ratio, int) or isinstance(ratio, bool):
            raise InputError(
                f"a ratio is a whole number, not {ratio!r}.", key=allowed.key("ratios", i)
            )
    with_ratio = [
        (i, block(name))
        for i, name in enumerate(allowed.blocks)
        if name != NONE.block and block(name).ratios
    ]
    ratios_are_to_blame = "ratios" in allowed.prefix or "blocks" not in allowed.prefix
    for i, chosen in with_ratio:
        if not allowed.ratios:
            known = ", ".join(map(str, chosen.ratios))
            raise InputError(
                f"is an empty list, but the block '{chosen.name}' needs a ratio. It knows {known}.",
                key=allowed.key("ratios"),
            )
        for j, ratio in enumerate(allowed.ratios):
            if ratio not in chosen.ratios:
                key = allowed.key("ratios", j) if ratios_are_to_blame else allowed.key("blocks", i)
                raise unknown_ratio(chosen, ratio).inside(key=key)


def _check_placements(allowed: _Allowed, there: tuple[str, ...], where: str) -> None:
    for i, placement in enumerate(allowed.placements):
        if placement not in there:
            raise _no_placement(placement, there, where).inside(key=allowed.key("placements", i))


def _no_placement(placement: str, there: tuple[str, ...], where: str) -> InputError:
    return InputError(
        f"no unit of {where} has the placement '{placement}'. "
        f"It has {', '.join(there) or 'no placements'}."
    )
