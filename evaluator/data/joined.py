"""Two sets of inputs as one."""

from typing import Any

import torch
from torch import Tensor

from .inputs import Inputs
from .pool import Pool


def joined(first: Pool, second: Pool) -> Pool:
    """The items of one pool and then those of the other; what is read from files stays there."""
    targets = torch.cat([first.targets, second.targets])
    if isinstance(first.inputs, Tensor) and isinstance(second.inputs, Tensor):
        return Pool(torch.cat([first.inputs, second.inputs]), targets)
    return Pool(JoinedInputs(first.inputs, second.inputs), targets)


class JoinedInputs:
    """Inputs (N, ...) and then others of the same shape and type, read when they are indexed.

    Args:
        items: which of both together these are (`take_items`), (n,) int64; all if None.
    """

    def __init__(self, first: Inputs, second: Inputs, items: Tensor | None = None) -> None:
        self._first, self._second, self._items = first, second, items
        count = len(first) + len(second) if items is None else len(items)
        self.shape, self.dtype = torch.Size((count, *first.shape[1:])), first.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: Any, /) -> Tensor:
        """The items of a slice or of a tensor of indices."""
        wanted = torch.arange(len(self))[indices.cpu() if isinstance(indices, Tensor) else indices]
        if self._items is not None:
            wanted = self._items[wanted]
        border = len(self._first)
        chosen = torch.empty((len(wanted), *self.shape[1:]), dtype=self.dtype)
        inside = wanted < border
        for part, where, start in (
            (self._first, inside, 0),
            (self._second, ~inside, border),
        ):
            if where.any():
                chosen[where] = part[wanted[where] - start]
        return chosen

    def take_items(self, indices: Tensor) -> "JoinedInputs":
        """These items, none of which is read."""
        items = indices if self._items is None else self._items[indices]
        return JoinedInputs(self._first, self._second, items)
