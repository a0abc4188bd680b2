"""What a config allows and the network has no place for, so that no search shrinks in silence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from attnas.core import InputError
from attnas.search_space import BLOCKS, Attention, Backbone, Site

from .config import SearchSpaceConfig, StageConfig


@dataclass(frozen=True)
class _Allowed:
    """A block with the ratios of the config that it knows (None if it has none), in one stage."""

    block: str
    stage: str
    ratios: tuple[int | None, ...]
    placements: tuple[str, ...]
    per: str

    def units(self, backbone: Backbone, ratio: int | None) -> int:
        """In how many units of the stage it can be placed; one decision is for all or none."""
        written = self.block if ratio is None else f"{self.block}:r{ratio}"
        decisions = [Attention(self.stage)]
        if self.per == "unit":
            count = len(backbone.units(self.stage))
            decisions = [Attention(self.stage, unit) for unit in range(count)]
        found: set[str] = set()
        for decision, placement in product(decisions, self.placements):
            try:
                found |= {unit for unit, _ in decision.placed(f"{written}@{placement}", backbone)}
            except InputError:  # no unit has the placement
                continue
        return len(found)

    def sites(self, backbone: Backbone) -> list[list[Site]]:
        """The sites of each unit that has any of the placements."""
        units = backbone.units(self.stage)
        having = [[s for p, s in unit.sites.items() if p in self.placements] for unit in units]
        return [sites for sites in having if sites]


def left_out(space: SearchSpaceConfig, backbone: Backbone) -> list[str]:
    """A sentence for each block that fits nowhere, in some stages or units only, or not at a ratio.

    Names that stand for many blocks (`gates`) are those that fit, and are not looked at.
    """
    names = [name for stage in backbone.stage_names for name in _blocks(space, stage)]
    notes: list[str] = []
    for name in dict.fromkeys(names):
        if name in BLOCKS:
            notes += _notes(name, list(_allowed(name, space, backbone)), backbone)
    return notes


def _notes(name: str, allowed: Sequence[_Allowed], backbone: Backbone) -> Iterator[str]:
    counts = {a.stage: [a.units(backbone, ratio) for ratio in a.ratios] for a in allowed}
    lacking = [a for a in allowed if not any(counts[a.stage])]
    if lacking:
        placements = ", ".join(dict.fromkeys(p for a in lacking for p in a.placements))
        yield f"{name} cannot be placed at {placements} in {_stages(lacking, backbone)}"
    fitting = [a for a in allowed if any(counts[a.stage])]
    for ratio in dict.fromkeys(ratio for a in fitting for ratio in a.ratios):
        without = [
            a for a in fitting if ratio in a.ratios and not counts[a.stage][a.ratios.index(ratio)]
        ]
        if without:
            yield f"{name} cannot be placed at ratio {ratio} in {_stages(without, backbone)}"
    for a in fitting:
        most, having = max(counts[a.stage]), len(a.sites(backbone))
        if most < having:
            yield f"{name} can be placed in {most} of {having} units of {_stage(a, backbone)}"


def _stages(allowed: Sequence[_Allowed], backbone: Backbone) -> str:
    if len(allowed) == len(backbone.stage_names):
        seen = _maps([site for a in allowed for sites in a.sites(backbone) for site in sites])
        return f"any stage{seen}"
    return ", ".join(_stage(a, backbone) for a in allowed)


def _stage(allowed: _Allowed, backbone: Backbone) -> str:
    sites = [site for sites in allowed.sites(backbone) for site in sites]
    return f"{allowed.stage}{_maps(sites) if sites else ' (no such site)'}"


def _maps(sites: Sequence[Site]) -> str:
    """What a block sees there: channels x height x width, the first and the last."""
    seen = [f"{site.channels} x {site.height} x {site.width}" for site in sites]
    shown = dict.fromkeys(seen[:1] + seen[-1:])
    return f" ({' ... '.join(shown)})" if seen else ""


def _allowed(name: str, space: SearchSpaceConfig, backbone: Backbone) -> Iterator[_Allowed]:
    """The block in each stage whose lists have it."""
    known = BLOCKS[name].ratios
    for stage in backbone.stage_names:
        if name not in _blocks(space, stage):
            continue
        own = space.stages.get(stage) or StageConfig()
        ratios = space.ratios if own.ratios is None else own.ratios
        written = tuple(ratio for ratio in ratios if ratio in known) if known else (None,)
        placements = tuple(own.placements or space.placements)
        yield _Allowed(name, stage, written, placements, own.per or space.per)


def _blocks(space: SearchSpaceConfig, stage: str) -> list[str]:
    own = space.stages.get(stage)
    if own is not None and own.choice is not None:
        return []
    return space.blocks if own is None or own.blocks is None else own.blocks
