"""An argument of the backbone's factory as a decision: width, depth, kernel, resolution."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import yaml

from attnas.core import InputError

from .decision import Decision, Part, register_decision

if TYPE_CHECKING:
    from ..backbone import Backbone


@register_decision("argument")
@dataclass(frozen=True)
class Argument(Decision):
    """What the factory is called with for one of its arguments.

    An option is the value as YAML writes it: `24`, `0.5`, `relu`, `[3, 5]`. The plain one is the
    argument that the backbone has.
    """

    argument: str

    structural: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return self.argument

    @property
    def key(self) -> str:
        return f"arguments.{self.argument}"

    def plain(self, backbone: "Backbone") -> str:
        for name, value in backbone.arguments:
            if name == self.argument:
                return text_of(value)
        raise InputError(
            f"the plain backbone gives no '{self.argument}', to which the others are compared. "
            f"Write one under search_space.backbone.",
            key=self.key,
        )

    def read(self, text: str) -> str:
        return text_of(value_of(text))

    def arguments(self, option: str) -> Mapping[str, Any]:
        return {self.argument: value_of(option)}

    def parts(self, option: str, backbone: "Backbone") -> Mapping[Part, float]:
        """Numbers share what grows with them."""
        value, plain = value_of(option), value_of(self.plain(backbone))
        if value == plain:
            return {}
        own: dict[Part, float] = {("own", self.name, option): 1.0}
        if isinstance(value, bool) or not isinstance(value, int | float) or not plain:
            return own
        return {("argument", self.name): value / plain - 1, **own}


def text_of(value: Any) -> str:
    """A value as text on one line."""
    # Not cached: a cache would take 1, 1.0 and true for one.
    written = yaml.safe_dump(_thawed(value), default_flow_style=True, width=10_000)
    return written.strip().removesuffix("...").strip()


@cache
def value_of(text: str) -> Any:
    """The value that `text_of` wrote, or that was written by hand; lists as tuples.

    Raises:
        InputError: it is not YAML.
    """
    try:
        return _frozen(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InputError(f"cannot read the value '{text}'.") from error


def _thawed(value: Any) -> Any:
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
