"""A kind of decision: which activation follows the convolutions of the backbone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from attnas.search_space import Backbone, Decision, register_decision


@register_decision("own_activation")
@dataclass(frozen=True)
class Activation(Decision):
    name: str
    argument: str

    structural: ClassVar[bool] = True

    def plain(self, backbone: Backbone) -> str:
        return str(dict(backbone.arguments)[self.argument])

    def arguments(self, option: str) -> Mapping[str, Any]:
        return {self.argument: option}
