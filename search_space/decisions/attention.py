"""The attention of a stage, or of one unit of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from ..attention_option import KEEP, NONE, AttentionOption
from ..construction import Constructed, Construction
from ..edits import Edit
from ..placing import can_be_placed, checked, construction_at, params_at
from .decision import Decision, Part, register_decision

if TYPE_CHECKING:
    from ..backbone import Backbone
    from ..tracing import Site, TracedUnit


@register_decision("attention")
@dataclass(frozen=True)
class Attention(Decision):
    """The block, its ratio and its placement at every unit of a stage, or at one.

    An option is `se:r8@residual`, `eca@post` or `none`. A block is placed at every unit (or at
    the one that is meant, numbered from 0) that has the placement, and nowhere if it cannot run
    at one of these. Where the network has attention already, at sites that replace it, `keep` is
    the plain option and `none` takes all of that away.
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
        return str(KEEP if self.present(backbone) else NONE)

    def read(self, text: str) -> str:
        return str(checked(AttentionOption.parse(text)))

    def present(self, backbone: "Backbone") -> "tuple[Site, ...]":
        """The sites of the attention that the network has already."""
        return _present(self, backbone)

    def shares(self, options: Sequence[str], backbone: "Backbone") -> bool:
        """Not where attention that is there is taken away: a supernet's paths have it."""
        return str(NONE) not in options or not self.present(backbone)

    def placed(self, option: str, backbone: "Backbone") -> "tuple[tuple[str, Site], ...]":
        """The sites that the option's blocks get, each with the name of its unit."""
        return _placed(self, option, backbone)

    def edits(self, option: str, backbone: "Backbone") -> tuple[Edit, ...]:
        from ..blocks import block

        chosen = AttentionOption.parse(option)
        if chosen == NONE:
            return tuple(
                Edit("replace", site.path, ("nothing",), Constructed(_nothing))
                for site in self.present(backbone)
            )
        if chosen == KEEP:
            return ()
        made = block(chosen.block)
        return tuple(
            Edit(
                site.mode,
                site.path,
                (made.function, *made.widths(site.channels, chosen.ratio)),
                Constructed(partial(_block, chosen, site)),
            )
            for _, site in self.placed(option, backbone)
        )

    def parts(self, option: str, backbone: "Backbone") -> Mapping[Part, float]:
        """The block by its sites and their elements, by stage, ratio and placement."""
        if option == str(NONE) and (there := self.present(backbone)):
            return {("taken away", self.name): float(len(there))}
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
        paths, also of what is taken away) and `params` (of the blocks)."""
        from ..blocks import block

        chosen = AttentionOption.parse(option)
        sites = [site for _, site in self.placed(option, backbone)]
        gone = self.present(backbone) if chosen == NONE else ()
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
            "sites": [site.path for site in (*sites, *gone)],
            "params": params,
        }


def _meant(decision: Attention, backbone: "Backbone") -> "list[tuple[int, TracedUnit]]":
    """The units that are decided on, with their numbers."""
    units = list(enumerate(backbone.units(decision.stage)))
    return units if decision.unit is None else units[decision.unit : decision.unit + 1]


@lru_cache(maxsize=4096)
def _present(decision: Attention, backbone: "Backbone") -> "tuple[Site, ...]":
    if not backbone.replaces(decision.stage):
        return ()  # which is known without the network
    sites = (site for _, unit in _meant(decision, backbone) for site in unit.sites.values())
    by_path = {site.path: site for site in sites if site.attention}
    return tuple(by_path.values())


@lru_cache(maxsize=4096)
def _placed(
    decision: Attention, option: str, backbone: "Backbone"
) -> "tuple[tuple[str, Site], ...]":
    from ..blocks import block

    chosen = AttentionOption.parse(option)
    if chosen in (NONE, KEEP):
        return ()
    placement, made = str(chosen.placement), block(chosen.block)
    found = tuple(
        (f"{decision.stage}.{number}", unit.sites[placement])
        for number, unit in _meant(decision, backbone)
        if placement in unit.sites
    )
    legal = all(
        can_be_placed(made, s) and made.legal(s.channels, s.height, s.width, chosen.ratio)
        for _, s in found
    )
    return found if legal else ()


def _block(chosen: AttentionOption, site: "Site", identity_start: bool) -> Construction:
    return construction_at(chosen, site, identity_start=identity_start)


def _nothing(identity_start: bool) -> Construction:
    from ..insertion import Skipped

    return Construction(Skipped)
