"""Modules as the calls that make them: to be made, or to be written as source."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Construction:
    """The call of a module's class; arguments are plain values or constructions themselves."""

    of: "Callable[..., nn.Module]"
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)

    def make(self) -> "nn.Module":
        """The module, its inner ones made first."""
        arguments = [_made(argument) for argument in self.arguments]
        return self.of(*arguments, **{name: _made(v) for name, v in self.keywords.items()})


@dataclass(frozen=True)
class Constructed:
    """What an edit makes, where it is known as a construction: `construction(identity_start)`."""

    construction: Callable[[bool], Construction]

    def __call__(self, identity_start: bool) -> "nn.Module":
        return self.construction(identity_start).make()


def _made(argument: Any) -> Any:
    return argument.make() if isinstance(argument, Construction) else argument
