"""Reads what a user allows: checked lists become decisions with their options."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from attnas.core import InputError, unknown

from .attention_option import KEEP, NONE
from .backbone import Backbone
from .blocks import BLOCKS, block
from .decisions.argument import Argument, text_of, value_of
from .decisions.attention import Attention
from .decisions.decision import DECISIONS, Decision
from .decisions.depth import Depth
from .placing import placements_in, spellings, unknown_ratio
from .presets import PRESETS, expanded

Found = tuple[Decision, tuple[str, ...]]

MOST_VARIANTS = 1_000
"""Combinations of arguments."""

_LISTS = ("blocks", "ratios", "placements")
_KEYS = (*_LISTS, "per", "depth", "choice")
_PER = ("stage", "unit")
_BARE = (NONE.block, KEEP.block)


@dataclass(frozen=True)
class Lists:
    """What is allowed in a stage; `prefix` is that of the keys of those that are its own."""

    blocks: Sequence[str]
    ratios: Sequence[int]
    placements: Sequence[str]
    per: str = "stage"
    depth: Sequence[int] = ()
    prefix: Mapping[str, str] = field(default_factory=dict)

    def key(self, name: str, position: int | None = None) -> str:
        place = "" if position is None else f"[{position}]"
        return f"{self.prefix.get(name, '')}{name}{place}"


def read_decisions(
    backbone: Backbone,
    everywhere: Lists,
    stages: Mapping[str, Mapping[str, Any]],
    arguments: Mapping[str, Sequence[Any]],
    decisions: Mapping[str, Mapping[str, Any]],
) -> list[Found]:
    """The decisions with their distinct options: arguments, the stages' depth and attention.

    Raises:
        InputError: as `SearchSpace.create`.
    """
    varied = [_argument(backbone, name, values) for name, values in arguments.items()]
    for name in stages:
        if name not in backbone.stage_names:
            raise unknown("stage", name, backbone.stage_names).inside(key=f"stages.{name}")
    everywhere = replace(
        everywhere,
        blocks=_listed(everywhere.blocks, "blocks"),
        ratios=_listed(everywhere.ratios, "ratios", empty=True),
        placements=_listed(everywhere.placements, "placements"),
        depth=_listed(everywhere.depth or (), "depth", empty=True),
    )
    _check_per(everywhere)
    _check_blocks(everywhere)
    _check_ratios(everywhere)
    there = placements_in(backbone, backbone.stage_names)
    _check_placements(everywhere, there, backbone.name)
    variants = variants_of(backbone, varied)
    found = list(varied)
    for stage in backbone.stage_names:
        given = {k: v for k, v in (stages.get(stage) or {}).items() if v is not None}
        found += _stage_decisions(backbone, variants, stage, everywhere, given)
    found += [_other(backbone, name, entry) for name, entry in decisions.items()]
    _refuse_doubles(found)
    return found


def _argument(backbone: Backbone, name: str, values: Any) -> Found:
    """An argument of the factory with its values, each of which makes a network that runs."""
    decision = Argument(name)
    texts = [text_of(value) for value in _listed(values, decision.key)]
    for i, text in enumerate(texts):
        try:
            backbone.with_arguments(decision.arguments(text)).units("")
        except InputError as error:
            raise InputError(error.problem, key=f"{decision.key}[{i}]") from error
    first: dict[Any, str] = {}  # by value: of 1 and 1.0 the plain backbone's stands for both
    for text in (decision.plain(backbone), *texts):
        value = value_of(text)
        first.setdefault((isinstance(value, bool), value), text)
    values = map(value_of, texts)
    return decision, tuple(dict.fromkeys(first[isinstance(v, bool), v] for v in values))


def variants_of(backbone: Backbone, varied: Sequence[Found]) -> list[Backbone]:
    """The backbone with its own arguments, and with each combination of the others.

    Raises:
        InputError: there are too many combinations, or one makes no network that runs.
    """
    count = math.prod(len(options) for _, options in varied)
    if count > MOST_VARIANTS:
        raise InputError(
            f"have {count:,} combinations; a search space takes at most {MOST_VARIANTS:,}, as "
            "each is built and run once. Give fewer values.",
            key="arguments",
        )
    found = [backbone]
    for combination in product(*(options for _, options in varied)):
        arguments: dict[str, Any] = {}
        for (decision, _), option in zip(varied, combination, strict=True):
            arguments |= decision.arguments(option)
        if not arguments:
            continue
        found.append(backbone.with_arguments(arguments))
        try:
            found[-1].units("")
        except InputError as error:
            names = (decision.name for decision, _ in varied)
            chosen = ", ".join(map("=".join, zip(names, combination, strict=True)))
            raise InputError(f"with {chosen}: {error.problem}", key="arguments") from error
    return list(dict.fromkeys(found))


def _stage_decisions(
    backbone: Backbone,
    variants: Sequence[Backbone],
    stage: str,
    everywhere: Lists,
    given: Mapping[str, Any],
) -> list[Found]:
    """The decisions of one stage, with what is given for it alone."""
    key = f"stages.{stage}"
    for name in given:
        if name not in _KEYS:
            raise unknown("key", name, _KEYS).inside(key=f"{key}.{name}")
    own = {name: given[name] for name in given if name != "choice"}
    changed: dict[str, Any] = {n: own[n] for n in ("per",) if n in own}
    for name in (*_LISTS, "depth"):
        if name in own:
            changed[name] = _listed(own[name], f"{key}.{name}", empty=name == "ratios")
    lists = replace(everywhere, **changed, prefix=dict.fromkeys(own, f"{key}."))
    _check_per(lists)
    found = _depth(backbone, variants, stage, lists)
    if "choice" in given:
        if others := [name for name in own if name != "depth"]:
            named = ", ".join(f"'{name}'" for name in others)
            raise InputError(f"'choice' freezes the stage. Leave out {named}.", key=key)
        return [*found, (Attention(stage), (_frozen(backbone, stage, given["choice"]),))]
    _check_blocks(lists)
    _check_ratios(lists)
    if "placements" in own:
        _check_placements(lists, placements_in(backbone, (stage,)), stage)
    names = expanded(lists.blocks, backbone, lists.ratios, lists.placements)
    lists = replace(lists, blocks=names)
    units: list[int | None] = [None]
    if lists.per == "unit":
        units = list(range(max(len(variant.units(stage)) for variant in variants)))
    for unit in units:
        decision = Attention(stage, unit)
        options = _attention_options(decision, variants, lists)
        if not options:
            there = ", ".join(placements_in(backbone, (stage,))) or "no placements"
            raise InputError(
                f"none of {', '.join(lists.blocks)} can be placed at "
                f"{', '.join(lists.placements)} in {decision.name}; {stage} has {there}. Allow "
                "'none' or another placement there.",
                key=key,
            )
        found.append((decision, options))
    return found


def _attention_options(
    decision: Attention, variants: Sequence[Backbone], lists: Lists
) -> tuple[str, ...]:
    """The distinct options, `none` first, whatever the order of the lists.

    Of several spellings of one network the first by preference stands for all. Options that can
    be placed on none of the variants are left out. `keep` is `none` where there is nothing.
    """
    distinct: dict[Any, str] = {}
    plain = decision.plain(variants[0])
    for option in map(str, spellings(lists.blocks, lists.ratios, lists.placements)):
        if option == str(KEEP):
            option = plain
        edits = tuple(decision.edits(option, variant) for variant in variants)
        if any(edits) or option == plain:
            distinct.setdefault(edits, option)
    return tuple(distinct.values())


def _depth(
    backbone: Backbone, variants: Sequence[Backbone], stage: str, lists: Lists
) -> list[Found]:
    """The decision how many units are kept, if the stage has one to make."""
    if not lists.depth:
        return []
    decision, most = Depth(stage), max(len(variant.units(stage)) for variant in variants)
    for i, units in enumerate(lists.depth):
        key = lists.key("depth", i)
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise InputError(f"must be a number of units from 1 up, not {units!r}.", key=key)
        own = "depth" in lists.prefix
        if units > most and own:
            raise InputError(f"{stage} has {most} units, not {units}.", key=key)
        possible = decision.possible(backbone)
        if min(units, most) < possible[0] and (own or possible[0] < most):
            raise InputError(
                f"{stage} cannot be cut to {units} units: those behind change the shape of what "
                f"passes. Write {possible[0]} or more.",
                key=key,
            )
    kept = sorted({max(min(units, most), decision.possible(backbone)[0]) for units in lists.depth})
    return [(decision, tuple(map(str, kept)))]


def _frozen(backbone: Backbone, stage: str, given: str) -> str:
    """The one option of a frozen stage, as the user spelled it; see `SearchSpace`."""
    from .attention_option import AttentionOption

    decision = Attention(stage)
    try:
        option = decision.read(str(given))
        there = placements_in(backbone, (stage,))
        chosen = AttentionOption.parse(option)
        if chosen == KEEP:
            return decision.plain(backbone)
        if chosen != NONE and chosen.placement not in there:
            raise _no_placement(str(chosen.placement), there, stage)
        if chosen != NONE and not decision.placed(option, backbone):
            raise InputError(f"the block '{chosen.block}' cannot be placed at the maps of {stage}.")
    except InputError as error:
        raise error.inside(key=f"stages.{stage}.choice") from error
    return option


def _other(backbone: Backbone, name: str, entry: Any) -> Found:
    """A decision of a kind that has no key of its own."""
    key = f"decisions.{name}"
    if not isinstance(entry, Mapping) or "kind" not in entry:
        raise InputError("must be a mapping with 'kind' and 'options'.", key=key)
    settings = {k: v for k, v in entry.items() if k != "kind"}
    try:
        kind = DECISIONS[str(entry["kind"])]
    except InputError as error:
        raise error.inside(key=f"{key}.kind") from error
    try:
        return kind.create(name, settings, backbone)
    except InputError as error:
        raise error.inside(key=key) from error


def _refuse_doubles(found: Sequence[Found]) -> None:
    seen: set[str] = set()
    for decision, _ in found:
        if decision.name in seen:
            raise InputError(
                f"'{decision.name}' is the name of another decision already. Rename one.",
                key=decision.key,
            )
        seen.add(decision.name)


def _listed(given: Any, key: str, *, empty: bool = False) -> tuple[Any, ...]:
    """The entries of a list, which may be given as any sequence but a string."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InputError(f"must be a list, not {given!r}. Write [{given}].", key=key)
    if not given and not empty:
        raise InputError("is an empty list: nothing would be allowed.", key=key)
    return tuple(given)


def _check_per(allowed: Lists) -> None:
    if allowed.per not in _PER:
        raise unknown("value", str(allowed.per), _PER).inside(key=allowed.key("per"))


def _check_blocks(allowed: Lists) -> None:
    for i, name in enumerate(allowed.blocks):
        known = {*_BARE, *BLOCKS, *PRESETS}
        if name not in known:
            error = unknown("block", name, known, listing="attnas blocks")
            raise error.inside(key=allowed.key("blocks", i))


def _check_ratios(allowed: Lists) -> None:
    """Every block with ratios must know one of the list, and every ratio be known to a block."""
    for i, ratio in enumerate(allowed.ratios):
        if not isinstance(ratio, int) or isinstance(ratio, bool):
            raise InputError(
                f"a ratio is a whole number, not {ratio!r}.", key=allowed.key("ratios", i)
            )
    with_ratio = [
        (i, block(name))
        for i, name in enumerate(allowed.blocks)
        if name not in (*_BARE, *PRESETS) and block(name).ratios
    ]
    ratios_are_wrong = "ratios" in allowed.prefix or "blocks" not in allowed.prefix
    for i, chosen in with_ratio:
        if not allowed.ratios:
            known = ", ".join(map(str, chosen.ratios))
            raise InputError(
                f"is an empty list, but the block '{chosen.name}' needs a ratio. It knows {known}.",
                key=allowed.key("ratios"),
            )
        if not any(ratio in chosen.ratios for ratio in allowed.ratios):
            key = allowed.key("ratios", 0) if ratios_are_wrong else allowed.key("blocks", i)
            raise unknown_ratio(chosen, allowed.ratios[0]).inside(key=key)
    if with_ratio and not any(name in PRESETS for name in allowed.blocks):
        for j, ratio in enumerate(allowed.ratios):
            if not any(ratio in chosen.ratios for _, chosen in with_ratio):
                raise unknown_ratio(with_ratio[0][1], ratio).inside(key=allowed.key("ratios", j))


def _check_placements(allowed: Lists, there: tuple[str, ...], where: str) -> None:
    for i, placement in enumerate(allowed.placements):
        if placement not in there:
            raise _no_placement(placement, there, where).inside(key=allowed.key("placements", i))


def _no_placement(placement: str, there: tuple[str, ...], where: str) -> InputError:
    return InputError(
        f"no unit of {where} has the placement '{placement}'. "
        f"It has {', '.join(there) or 'no placements'}."
    )
