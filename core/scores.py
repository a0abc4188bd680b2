"""One score an item: what paired comparisons of two trainings are made of."""

import base64
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ItemScores:
    """A figure for each item of a split, in the split's order; their mean is `metric`.

    `bits`: right or wrong, one bit an item, most significant first (numpy.packbits), for
    scores that are 0 or 1. `float32`: little-endian numbers. `source` is that content, or what
    reads it where it is kept elsewhere: of thousands of trials few are looked at.
    """

    metric: str
    items: int
    kind: Literal["bits", "float32"]
    source: bytes | Callable[[], bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("bits", "float32"):
            raise ValueError(f"the kind of scores is bits or float32, not {self.kind!r}")
        if isinstance(self.source, bytes):
            self._checked(self.source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ItemScores):
            return NotImplemented
        return self._kept_as() == other._kept_as() and self.content == other.content

    def __hash__(self) -> int:
        return hash(self._kept_as())

    def _kept_as(self) -> tuple[str, int, str]:
        return self.metric, self.items, self.kind

    @property
    def content(self) -> bytes:
        """One bit or float32 for each item.

        Raises:
            AttnasError: it is kept elsewhere and cannot be read.
            ValueError: what is kept there is of another size.
        """
        return self.source if isinstance(self.source, bytes) else self._checked(self.source())

    def _checked(self, content: bytes) -> bytes:
        size = (self.items + 7) // 8 if self.kind == "bits" else 4 * self.items
        if self.items < 1 or len(content) != size:
            raise ValueError(
                f"{len(content)} bytes cannot hold one score for each of {self.items} items"
            )
        return content

    @classmethod
    def of(cls, metric: str, values: NDArray[Any]) -> "ItemScores":
        """The scores (items,): truth values as bits, numbers as float32."""
        if values.dtype == np.bool_:
            return cls(metric, len(values), "bits", np.packbits(values).tobytes())
        return cls(metric, len(values), "float32", values.astype("<f4").tobytes())

    @property
    def values(self) -> NDArray[np.float64]:
        """Shape (items,)."""
        if self.kind == "bits":
            bits = np.frombuffer(self.content, dtype=np.uint8)
            return np.unpackbits(bits, count=self.items).astype(np.float64)
        return np.frombuffer(self.content, dtype="<f4").astype(np.float64)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON, from which `from_dict` makes equal scores."""
        return {**self.header(), "content": self.text()}

    def header(self) -> dict[str, Any]:
        """`to_dict` without the content."""
        return {"metric": self.metric, "items": self.items, "kind": self.kind}

    def text(self) -> str:
        """The content for JSON: base64, numbers compressed by zlib before."""
        content = self.content if self.kind == "bits" else zlib.compress(self.content, 6)
        return base64.b64encode(content).decode("ascii")

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ItemScores":
        """What `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        content = content_of(plain["content"], plain["kind"])
        return cls(str(plain["metric"]), int(plain["items"]), plain["kind"], content)


def content_of(text: str, kind: str) -> bytes:
    """The content that `ItemScores.text` wrote.

    Raises:
        TypeError, ValueError: it is damaged.
    """
    content = base64.b64decode(text, validate=True)
    if kind == "bits":
        return content
    try:
        return zlib.decompress(content)
    except zlib.error as error:
        raise ValueError(f"the scores are damaged: {error}") from error
