"""The register of attention blocks and what each declares about itself."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from attnas.core import Registry

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["gate", "mixer", "unit"]

_Module = TypeVar("_Module", bound="type[nn.Module]")

BLOCKS: "Registry[Block]" = Registry(
    "block",
    package="attnas.search_space.blocks",
    registrars=("register_block",),
    listing="attnas blocks",
)


@dataclass(frozen=True)
class Block:
    """An attention module, (N, C, H, W) -> (N, C, H, W), with what a search must know of it.

    `ratios` are those that the block knows, () if it has none. `function` is the block's name,
    or the name of the block that computes the same under another one: both are one block to
    a canonical form. The module class is built by `make` and declares as static methods
    `params(channels, height, width, ratio) -> int` and, where they differ from the defaults
    here, `widths(channels, ratio)` and `legal(channels, height, width, ratio)`; an identity
    start that needs parameters of its own declares their number as `start_parameters`.
    With `sliceable = True` the class says that the first h of a wider module's hidden units are
    a module of width h (W1[:h], b1[:h], W2[:, :h]), which is how a supernet shares them over
    ratios; not for parameters that hold several parts one behind the other, such as a joint
    projection to queries, keys and values, nor for groups, whose shapes change otherwise.
    """

    name: str
    kind: Kind
    ratios: tuple[int, ...]
    module: "type[nn.Module]"
    function: str

    def widths(self, channels: int, ratio: int | None) -> tuple[int, ...]:
        """What the ratio realises; equal widths are the same module. () without ratio."""
        own = getattr(self.module, "widths", None)
        if own is not None:
            return own(channels, ratio)
        return () if ratio is None else (hidden_width(channels, ratio),)

    def legal(self, channels: int, height: int, width: int, ratio: int | None) -> bool:
        """Whether it can be built and run at a site of this size, in eval for any N >= 1."""
        own = getattr(self.module, "legal", None)
        return True if own is None else own(channels, height, width, ratio)

    def params(
        self,
        channels: int,
        height: int,
        width: int,
        ratio: int | None,
        *,
        identity_start: bool = False,
    ) -> int:
        """Number of parameters, in closed form."""
        own = self.module.params(channels, height, width, ratio)  # type: ignore[attr-defined]
        return own + (getattr(self.module, "start_parameters", 0) if identity_start else 0)

    def make(self, channels: int, ratio: int | None, *, identity_start: bool) -> "nn.Module":
        arguments = {} if ratio is None else {"ratio": ratio}
        return self.module(channels, **arguments, identity_start=identity_start)


def hidden_width(channels: int, ratio: int) -> int:
    """Realised bottleneck width, max(4, round half up of channels / ratio).

    At least 4: layer norm over one channel returns its bias whatever the input.
    """
    return max(4, math.floor(channels / ratio + 0.5))


def register_block(
    name: str, *, kind: Kind = "gate", ratios: tuple[int, ...] = (), function: str | None = None
) -> Callable[[_Module], _Module]:
    """Class decorator that makes a module searchable under a name.

    `function` names the block that this one equals at every ratio, if there is one.

    Raises:
        ValueError: the name is taken by another class, or the class lacks `params`.
    """

    def register(module: _Module) -> _Module:
        if not callable(getattr(module, "params", None)):
            raise ValueError(
                f"block {name!r}: {module.__module__}.{module.__qualname__} needs a static "
                "method `params`"
            )
        made = Block(name, kind, tuple(sorted(ratios)), module, function or name)
        BLOCKS.add(name, made, defined=module)
        return module

    return register


def block(name: str) -> Block:
    """The block of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    return BLOCKS[name]
