"""How many units of a stage are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from attnas.core import InputError

from ..construction import Constructed, Construction
from ..edits import Edit
from .decision import Decision, Part, register_decision

if TYPE_CHECKING:
    from ..backbone import Backbone


@register_decision("depth")
@dataclass(frozen=True)
class Depth(Decision):
    """The first units of a stage that are kept; the others are skipped.

    Units can be skipped whose output has the shape of their input. An option is a number of
    units; the plain one is all of them.
    Source: Huang et al. 2016, "Deep networks with stochastic depth", arXiv:1603.09382 (whole
    residual units left out); Cai et al. 2020, arXiv:1908.09791 (the last ones of a stage).
    """

    stage: str

    structural: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"{self.stage}.depth"

    @property
    def key(self) -> str:
        return f"stages.{self.stage}.depth"

    def plain(self, backbone: "Backbone") -> str:
        return str(len(backbone.units(self.stage)))

    def read(self, text: str) -> str:
        if not text.strip().isdecimal() or int(text) < 1:
            raise InputError(f"'{text}' is no number of units. Write a whole number from 1 up.")
        return str(int(text))

    def edits(self, option: str, backbone: "Backbone") -> tuple[Edit, ...]:
        units = backbone.units(self.stage)
        skipped = units[int(option) :]
        if not all(unit.keeps_shape for unit in skipped):
            return ()
        return tuple(
            Edit("remove", unit.path, ("skipped",), Constructed(_skipped)) for unit in skipped
        )

    def parts(self, option: str, backbone: "Backbone") -> Mapping[Part, float]:
        skipped = len(backbone.units(self.stage)) - int(option)
        return {("skipped", self.name): float(skipped)} if skipped > 0 else {}

    def details(
        self, option: str, backbone: "Backbone", *, identity_start: bool
    ) -> Mapping[str, Any]:
        return {"skipped": [edit.path for edit in self.edits(option, backbone)]}

    def possible(self, backbone: "Backbone") -> tuple[int, ...]:
        """The numbers of units that can be kept, ascending."""
        units = backbone.units(self.stage)
        least = len(units)
        while least > 1 and units[least - 1].keeps_shape:
            least -= 1
        return tuple(range(least, len(units) + 1))


def _skipped(identity_start: bool) -> Construction:
    from ..insertion import Skipped

    return Construction(Skipped)
