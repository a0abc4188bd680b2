"""The register of attention blocks and what each declares about itself."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from attnas.core import Registry

from ..construction import Construction

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["gate", "mixer", "unit"]
Family = Literal["channel", "spatial", "both", "self-attention", "mixer"]

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

    `kind` decides where it may be placed: a gate scales what it gets, a mixer computes anew what
    it gets and has no shortcut, a unit is a residual unit of its own.
    `ratios` are those that the block knows, () if it has none. `function` is the block's name,
    or the name of the block that computes the same under another one: both are one block to
    a canonical form. `settings` are further arguments of the class, which make one class several
    blocks (another kernel, another extent); its static methods get them too.

    The module class is built by `make` and declares as static methods
    `params(channels, height, width, ratio) -> int` and, where they differ from the defaults
    here, `widths(channels, ratio)` and `legal(channels, height, width, ratio)`; an identity
    start that needs parameters of its own declares their number as `start_parameters`.
    With `sliceable = True` the class says that the first h of a wider module's hidden units are
    a module of width h (W1[:h], b1[:h], W2[:, :h]), which is how a supernet shares them over
    ratios; not for parameters that hold several parts one behind the other, such as a joint
    projection to queries, keys and values, nor for groups, whose shapes change otherwise.
    With `sized = True` its parameters depend on the map: it takes `size`, the height and width
    of its place, and must run on smaller maps too, as training on half the resolution shows it.
    With `needs_batch = True` it normalises pooled vectors over the batch, so a batch of one
    image cannot train it.

    `family`, `ratio_means`, `paper` and `year` are for listings.
    """

    name: str
    kind: Kind
    ratios: tuple[int, ...]
    module: "type[nn.Module]"
    function: str
    settings: tuple[tuple[str, Any], ...] = ()
    family: Family | None = None
    ratio_means: str = ""
    paper: str = ""
    year: int | None = None

    @property
    def sized(self) -> bool:
        """Whether parameters depend on the height and width of the map."""
        return bool(getattr(self.module, "sized", False))

    @property
    def sliceable(self) -> bool:
        """Whether a narrower module is the leading part of a wider one."""
        return bool(getattr(self.module, "sliceable", False))

    @property
    def needs_batch(self) -> bool:
        """Whether a batch of one image cannot train it."""
        return bool(getattr(self.module, "needs_batch", False))

    def widths(self, channels: int, ratio: int | None) -> tuple[int, ...]:
        """What the ratio realises; equal widths are the same module. () without ratio."""
        own = getattr(self.module, "widths", None)
        if own is not None:
            return own(channels, ratio, **dict(self.settings))
        return () if ratio is None else (hidden_width(channels, ratio),)

    def legal(self, channels: int, height: int, width: int, ratio: int | None) -> bool:
        """Whether it can be built and run at a site of this size, in eval for any N >= 1."""
        own = getattr(self.module, "legal", None)
        return True if own is None else own(channels, height, width, ratio, **dict(self.settings))

    def params(
        self,
        channels: int,
        height: int,
        width: int,
        ratio: int | None,
        *,
        identity_start: bool = False,
        wrapped: bool = False,
    ) -> int:
        """Number of parameters, in closed form."""
        own: int = self.module.params(  # type: ignore[attr-defined]
            channels, height, width, ratio, **dict(self.settings)
        )
        if wrapped:
            from .wrapped import Wrapped

            own += Wrapped.added(channels, blends=self._blends)
        return own + (getattr(self.module, "start_parameters", 0) if identity_start else 0)

    def make(
        self,
        channels: int,
        ratio: int | None,
        *,
        identity_start: bool,
        size: tuple[int, int] | None = None,
        wrapped: bool = False,
    ) -> "nn.Module":
        """The module; with `wrapped` as the residual branch that a mixer is beside a shortcut.

        Raises:
            ValueError: its parameters depend on the map, and no size is given.
        """
        return self.construction(
            channels, ratio, identity_start=identity_start, size=size, wrapped=wrapped
        ).make()

    def construction(
        self,
        channels: int,
        ratio: int | None,
        *,
        identity_start: bool,
        size: tuple[int, int] | None = None,
        wrapped: bool = False,
    ) -> Construction:
        """The call that makes the module; arguments and errors are those of `make`."""
        arguments = dict(self.settings)
        if ratio is not None:
            arguments["ratio"] = ratio
        if self.sized:
            if size is None:
                raise ValueError(f"the block {self.name!r} needs the size of its map")
            arguments["size"] = size
        arguments["identity_start"] = identity_start
        made = Construction(self.module, (channels,), arguments)
        if not wrapped:
            return made
        from .wrapped import Wrapped

        start = {"blends": self._blends, "identity_start": identity_start}
        return Construction(Wrapped, (made, channels), start)

    @property
    def _blends(self) -> bool:
        return bool(getattr(self.module, "blends", False))


def hidden_width(channels: int, ratio: int) -> int:
    """Realised bottleneck width, max(4, round half up of channels / ratio).

    At least 4: layer norm over one channel returns its bias whatever the input.
    """
    return max(4, math.floor(channels / ratio + 0.5))


def register_block(
    name: str,
    *,
    kind: Kind = "gate",
    ratios: tuple[int, ...] = (),
    function: str | None = None,
    settings: Mapping[str, Any] | None = None,
    family: Family | None = None,
    ratio_means: str = "",
    paper: str = "",
    year: int | None = None,
) -> Callable[[_Module], _Module]:
    """Class decorator that makes a module searchable under a name.

    `function` names the block that this one equals at every ratio, if there is one. The other
    arguments are those of `Block`.

    Raises:
        ValueError: the name is taken by another class, or the class lacks `params`.
    """

    def register(module: _Module) -> _Module:
        if not callable(getattr(module, "params", None)):
            raise ValueError(
                f"block {name!r}: {module.__module__}.{module.__qualname__} needs a static "
                "method `params`"
            )
        made = Block(
            name,
            kind,
            tuple(sorted(ratios)),
            module,
            function or name,
            tuple(sorted((settings or {}).items())),
            family,
            ratio_means,
            paper,
            year,
        )
        BLOCKS.add(name, made, defined=module)
        return module

    return register


def block(name: str) -> Block:
    """The block of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    return BLOCKS[name]
