"""The register of attention blocks and what each declares about itself."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import nn

from ..errors import unknown

Kind = Literal["gate", "mixer", "unit"]

_Module = TypeVar("_Module", bound=nn.Module)

_BLOCKS: dict[str, "Block"] = {}


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
    module: type[nn.Module]
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

    def make(self, channels: int, ratio: int | None, *, identity_start: bool) -> nn.Module:
        arguments = {} if ratio is None else {"ratio": ratio}
        return self.module(channels, **arguments, identity_start=identity_start)


def hidden_width(channels: int, ratio: int) -> int:
    """Realised bottleneck width, max(4, round half up of channels / ratio).

    At least 4: layer norm over one channel returns its bias whatever the input.
    """
    return max(4, math.floor(channels / ratio + 0.5))


def register_block(
    name: str, *, kind: Kind = "gate", ratios: tuple[int, ...] = (), function: str | None = None
) -> Callable[[type[_Module]], type[_Module]]:
    """Class decorator that makes a module searchable under a name.

    `function` names the block that this one equals at every ratio, if there is one. A class
    registered again from the same place, as when its module is reloaded, replaces itself.

    Raises:
        ValueError: the name is taken by another class, or the class lacks `params`.
    """

    def register(module: type[_Module]) -> type[_Module]:
        taken = _BLOCKS.get(name)
        if taken is not None and _place(taken.module) != _place(module):
            raise ValueError(
                f"block {name!r} is already {_place(taken.module)}; "
                f"register {_place(module)} under another name"
            )
        if not callable(getattr(module, "params", None)):
            raise ValueError(f"block {name!r}: {_place(module)} needs a static method `params`")
        _BLOCKS[name] = Block(name, kind, tuple(sorted(ratios)), module, function or name)
        return module

    return register


def _place(module: type[nn.Module]) -> str:
    return f"{module.__module__}.{module.__qualname__}"


def blocks() -> Mapping[str, Block]:
    """All registered blocks by name."""
    return dict(sorted(_BLOCKS.items()))


def block(name: str) -> Block:
    """The block of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if name not in _BLOCKS:
        raise unknown("block", name, _BLOCKS, listing="attnas blocks")
    return _BLOCKS[name]
