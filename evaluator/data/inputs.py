"""Inputs: a tensor, or what is read from a file when it is indexed."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

_CHUNK_BYTES = 2**26


class StoredInputs(Protocol):
    """Inputs (N, ...) that are read when they are indexed."""

    @property
    def shape(self) -> torch.Size: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Any, /) -> Tensor:
        """Those of a slice or of a tensor of indices."""
        ...

    def take_items(self, indices: Tensor, /) -> "StoredInputs":
        """These items, none of which is read."""
        ...


Inputs = Tensor | StoredInputs


def chunks(inputs: Inputs) -> Iterator[Tensor]:
    """All items in their order, as many at a time as take a small part of memory."""
    size = int(np.prod(inputs.shape[1:])) * inputs.dtype.itemsize
    count = max(1, _CHUNK_BYTES // max(1, size))
    for start in range(0, len(inputs), count):
        yield inputs[start : start + count]
