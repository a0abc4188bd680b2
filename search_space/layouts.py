"""Layouts of the tensors that networks pass on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from attnas.core import InputError

Kind = Literal["nchw", "nhwc", "tokens", "signal"]
KINDS: dict[Kind, str] = {
    "nchw": "(N, C, H, W)",
    "nhwc": "(N, H, W, C)",
    "tokens": "(N, L, C), L = H W",
    "signal": "(N, C, T)",
}
_TEXT = re.compile(r"(?P<kind>[a-z]+)(?:\+(?P<prefix>[0-9]+))?")


@dataclass(frozen=True)
class Layout:
    """What the axes of a tensor are; `prefix` class or register tokens come before the map's.

    Written `nchw`, `nhwc`, `tokens`, `tokens+1` or `signal`.
    """

    kind: Kind
    prefix: int = 0

    def __str__(self) -> str:
        return f"{self.kind}+{self.prefix}" if self.prefix else self.kind

    @classmethod
    def parse(cls, text: str) -> "Layout":
        """Reads what `str` writes.

        Raises:
            InputError: it is no layout.
        """
        found = _TEXT.fullmatch(str(text))
        kind = found and found["kind"]
        if not found or kind not in KINDS or (found["prefix"] and kind != "tokens"):
            raise InputError(
                f"'{text}' is no layout. Write nchw, nhwc, signal, tokens, or tokens+1 with one "
                "class token before those of the map."
            )
        return cls(kind, int(found["prefix"] or 0))

    @property
    def axes(self) -> int:
        """How many axes a tensor of it has."""
        return 4 if self.kind in ("nchw", "nhwc") else 3

    def sizes(
        self, shape: Sequence[int], input_shape: Sequence[int]
    ) -> tuple[int, int, int] | None:
        """(C, H, W) of the map in a tensor of that shape; None if it is not of this layout.

        Signals are maps of height 1, as are tokens of signals. The map of tokens has the sides
        of the network's input, (C, H, W) or (C, T), divided by a stride.
        """
        if len(shape) != self.axes:
            return None
        if self.kind == "nchw":
            return shape[1], shape[2], shape[3]
        if self.kind == "nhwc":
            return shape[3], shape[1], shape[2]
        if self.kind == "signal":
            return shape[1], 1, shape[2]
        sides = sides_of(shape[1] - self.prefix, input_shape)
        return sides and (shape[2], *sides)

    def shape(self, channels: int, height: int, width: int) -> tuple[int, ...]:
        """That of one input's tensor with such a map, without N: what `sizes` reads."""
        if self.kind == "nchw":
            return channels, height, width
        if self.kind == "nhwc":
            return height, width, channels
        if self.kind == "signal":
            return channels, width
        return self.prefix + height * width, channels


NCHW = Layout("nchw")


def sides_of(tokens: int, input_shape: Sequence[int]) -> tuple[int, int] | None:
    """Height and width of so many tokens of an input (C, H, W) or (C, T); None if no map fits."""
    if tokens < 1:
        return None
    if len(input_shape) != 3:
        return 1, tokens
    height, width = input_shape[1:]
    rows = max(1, round((tokens * height / width) ** 0.5))
    columns = tokens // rows
    fits = rows * columns == tokens and columns == max(1, round(rows * width / height))
    return (rows, columns) if fits else None
