"""One score an item: what paired comparisons of two trainings are made of."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ItemScores:
    """A figure for each item of a split, in the split's order; their mean is `metric`.

    `bits`: right or wrong, one bit an item, most significant first (numpy.packbits), for
    scores that are 0 or 1. `float32`: little-endian numbers.
    """

    metric: str
    items: int
    kind: Literal["bits", "float32"]
    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if self.kind not in ("bits", "float32"):
            raise ValueError(f"the kind of scores is bits or float32, not {self.kind!r}")
        size = (self.items + 7) // 8 if self.kind == "bits" else 4 * self.items
        if self.items < 1 or len(self.content) != size:
            raise ValueError(
                f"{len(self.content)} bytes cannot hold one score for each of {self.items} items"
            )

    @classmethod
    def of(cls, metric: str, values: NDArray[Any]) -> "ItemScores":
        """The scores (items,): truth values as bits, numbers as float32."""
        if values.dtype == np.bool_:
            return cls(metric, len(values), "bits", np.packbits(values).tobytes())
        return cls(metric, len(values), "float32", values.astype("<f4").tobytes())

    @cached_property
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
        content = self.content if self.kind == "bits" else zlib.compress(self.content, 6)
        return {
            "metric": self.metric,
            "items": self.items,
            "kind": self.kind,
            "content": base64.b64encode(content).decode("ascii"),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "ItemScores":
        """What `to_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        content = base64.b64decode(plain["content"], validate=True)
        if plain["kind"] != "bits":
            try:
                content = zlib.decompress(content)
            except zlib.error as error:
                raise ValueError(f"the scores are damaged: {error}") from error
        return cls(str(plain["metric"]), int(plain["items"]), plain["kind"], content)
