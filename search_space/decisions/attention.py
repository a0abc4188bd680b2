"""The attention of a stage, or of one unit of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..attention_option import NONE, AttentionOption
from ..edits import Edit
from ..placing import block_at, can_be_placed, checked, params_at
from .decision import Decision, Part, register_decision

if TYPE_CHECKING:
    from torch import nn

    from ..backbone import Backbone
    from ..tracing import Site


@register_decision("attention")
@dataclass(frozen=True)
class Attention(Decision):
    """The block, its ratio and its placement at every unit of a stage, or at one.

    An option is `se:r8@residual`, `eca@post` or `none`. A block is placed at every unit (or at
    the one that is meant, numbered from 0) that has the placement, and nowhere if it cannot run
    at one of these.
    """

    stage: str
    unit: int | None = None

    shared: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.stage if self.unit is None else f"{self.stage}.{self.unit}"

    @property
    def key(self) -> str:
        return f"stages.{self.stage}"

    def plain(self, backbone: "Backbone") -> str:
        return str(NONE)

    def read(self, text: str) -> str:
        return str(checked(AttentionOption.parse(text)))

    def placed(self, option: str, backbone: "Backbone") -> "tuple[tuple[str, Site], ...]":
        """The sites that the option's blocks get, each with the name of its unit."""
        return _placed(self, option, backbone)

    def edits(self, option: str, backbone: "Backbone") -> tuple[Edit, ...]:
        from ..blocks import block

        chosen = AttentionOption.parse(option)
        if chosen == NONE:
            return ()
        made = block(chosen.block)
        return tuple(
            Edit(
                site.mode,
                site.path,
                (made.function, *made.widths(site.channels, chosen.ratio)),
                partial(_block, chosen, site),
            )
            for _, site in self.placed(option, backbone)
        )

    def parts(self, option: str, backbone: "Backbone") -> Mapping[Part, float]:
        """The block by its sites and their elements, by stage, ratio and placement."""
        if not (placed := self.placed(option, backbone)):
            return {}
        chosen = AttentionOption.parse(option)
        elements = sum(site.channels * site.height * site.width for _, site in placed)
        return {
            ("units", chosen.block): float(len(placed)),
            ("elements", chosen.block): float(elements),
            ("stage", self.name, chosen.block): 1.0,
            ("ratio", self.name, chosen.block, str(chosen.ratio)): 1.0,
            ("placement", self.name, chosen.block, str(chosen.placement)): 1.0,
            ("own", self.name, option): 1.0,
        }

    def details(
        self, option: str, backbone: "Backbone", *, identity_start: bool
    ) -> Mapping[str, Any]:
        """`block`, `ratio`, `placement`, `widths` (what the ratio realises), `sites` (module
        paths) and `params` (of the blocks)."""
        from ..blocks import block

        chosen = AttentionOption.parse(option)
        sites = [site for _, site in self.placed(option, backbone)]
        widths: list[list[int]] = []
        params = 0
        for site in sites:
            params += params_at(chosen, site, identity_start=identity_start)
            realised = list(block(chosen.block).widths(site.channels, chosen.ratio))
            if realised and realised not in widths:
                widths.append(realised)
        return {
            "block": chosen.block,
            "ratio": chosen.ratio,
            "placement": chosen.placement,
            "widths": widths,
            "sites": [site.path for site in sites],
            "params": params,
        }


@lru_cache(maxsize=4096)
def _placed(
    decision: Attention, option: str, backbone: "Backbone"
) -> "tuple[tuple[str, Site], ...]":
    from ..blocks import block

    chosen = AttentionOption.parse(option)
    if chosen == NONE:
        return ()
    placement, made = str(chosen.placement), block(chosen.block)
    units = list(enumerate(backbone.units(decision.stage)))
    meant = units if decision.unit is None else units[decision.unit : decision.unit + 1]
    found = tuple(
        (f"{decision.stage}.{number}", unit.sites[placement])
        for number, unit in meant
        if placement in unit.sites
    )
    legal = all(
        can_be_placed(made, s) and made.legal(s.channels, s.height, s.width, chosen.ratio)
        for _, s in found
    )
    return found if legal else ()


def _block(chosen: AttentionOption, site: "Site", identity_start: bool) -> "nn.Module":
    return block_at(chosen, site, identity_start=identity_start)
