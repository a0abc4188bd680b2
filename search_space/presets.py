"""Names that stand for many blocks in a list: gates, mixers, units, light."""

from collections.abc import Iterable, Sequence

from .attention_option import AttentionOption
from .backbone import Backbone
from .blocks import BLOCKS, Block
from .decisions.attention import Attention
from .placing import params_at

PRESETS = ("gates", "mixers", "units", "light")
LIGHT = 0.01
"""The share of the backbone's parameters that a light block stays below."""


def expanded(
    names: Iterable[str],
    backbone: Backbone,
    ratios: Sequence[int],
    placements: Sequence[str],
) -> tuple[str, ...]:
    """The names with each preset replaced by those of its blocks, each once.

    `gates`, `mixers` and `units` are the blocks of that kind. `light` are those that add less than
    1 % to the backbone's parameters if they are placed in every unit of every stage, at whatever
    of the ratios and placements adds most. Blocks are left out that know none of the ratios,
    that can be placed nowhere, and that are others under a second name.
    """
    found: dict[str, None] = {}
    for name in names:
        if name in PRESETS:
            found.update(dict.fromkeys(_blocks_of(name, backbone, ratios, placements)))
        else:
            found[name] = None
    return tuple(found)


def _blocks_of(
    preset: str, backbone: Backbone, ratios: Sequence[int], placements: Sequence[str]
) -> list[str]:
    usable = [
        entry
        for _, entry in BLOCKS.items()
        if entry.function == entry.name and any(_placeable(entry, backbone, ratios, placements))
    ]
    if preset != "light":
        return [entry.name for entry in usable if f"{entry.kind}s" == preset]
    most = LIGHT * sum(parameter.numel() for parameter in backbone.network().parameters())
    return [e.name for e in usable if _added(e, backbone, ratios, placements) < most]


def _placeable(
    entry: Block, backbone: Backbone, ratios: Sequence[int], placements: Sequence[str]
) -> Iterable[tuple[str, int]]:
    """Stages with the parameters of each option of the block that can be placed there."""
    known: list[int | None] = [r for r in ratios if r in entry.ratios] if entry.ratios else [None]
    for stage in backbone.stage_names:
        for ratio in known:
            for placement in placements:
                option = AttentionOption(entry.name, ratio, placement)
                if sites := Attention(stage).placed(str(option), backbone):
                    yield stage, sum(params_at(option, s, identity_start=True) for _, s in sites)


def _added(
    entry: Block, backbone: Backbone, ratios: Sequence[int], placements: Sequence[str]
) -> int:
    """The most parameters that the block adds to all stages together."""
    most: dict[str, int] = {}
    for stage, params in _placeable(entry, backbone, ratios, placements):
        most[stage] = max(most.get(stage, 0), params)
    return sum(most.values())
