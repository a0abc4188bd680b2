"""Arrays in a file, read item by item: what is larger than memory."""

import mmap
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_KEPT = 2**27  # bytes that are read before the pages are given back to the system


class StoredArray:
    """Items (N, ...) in a raw file, which are read when they are indexed.

    The file is mapped, and its pages are given back every 128 MB, so that they are not the
    process's own memory but the system's to keep or to drop. It can be sent to another process
    on the same machine.

    Args:
        file: the items one after another, in C order.
        shape: (N, ...).
        dtype: torch.uint8 or torch.float32.
        items: which items of the file these are (`take_items`), (n,) int64; all if None.
    """

    def __init__(
        self,
        file: Path,
        shape: tuple[int, ...],
        dtype: torch.dtype = torch.uint8,
        items: Tensor | None = None,
    ) -> None:
        self.file, self.dtype = file, dtype
        self.shape = torch.Size(shape if items is None else (len(items), *shape[1:]))
        self._items, self._in_file = items, tuple(shape)
        self._mapped: tuple[mmap.mmap, Tensor] | None = None
        self._read = 0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Any, /) -> Tensor:
        """The items of a slice or of a tensor of indices, as a tensor in memory."""
        pages, values = self._map()
        if self._items is not None:
            indices = self._items[indices.cpu() if isinstance(indices, Tensor) else indices]
        if isinstance(indices, slice):
            chosen = values[indices].clone()
        else:
            chosen = values.index_select(0, torch.as_tensor(indices).cpu())
        self._read += chosen.nbytes
        if self._read > _KEPT:
            pages.madvise(mmap.MADV_DONTNEED)
            self._read = 0
        return chosen

    def take_items(self, indices: Tensor) -> "StoredArray":
        """These items of the same file, none of which is read."""
        items = indices if self._items is None else self._items[indices]
        return StoredArray(self.file, self._in_file, self.dtype, items)

    def _map(self) -> tuple[mmap.mmap, Tensor]:
        if self._mapped is None:
            with open(self.file, "rb") as file:
                pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The given buffer is not writable")
                values = torch.frombuffer(pages, dtype=self.dtype)  # which is never written to
            self._mapped = pages, values.reshape(self._in_file)
        return self._mapped

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None}
