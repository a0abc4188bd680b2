"""What may still be proposed: nothing tried, in flight or rejected."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, Proposal

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

NEIGHBOURS = 20


def used(history: History, epochs: int) -> "frozenset[Architecture]":
    """Architectures that must not be proposed at this fidelity."""
    ended = (t.architecture for t in history.finished if t.epochs == epochs)
    running = (p.architecture for p in history.running if p.epochs == epochs)
    return history.rejected.union(ended, running)


def fresh(
    space: "SearchSpace",
    history: History,
    epochs: int,
    rng: np.random.Generator,
    candidates: "Iterable[Architecture]" = (),
) -> Proposal | None:
    """The first candidate that may be proposed, else a uniform draw of what is left.

    None when nothing is left. `candidates` is read lazily and must end. The draw takes
    O(size of the history): by rejection while more than half of the space is left, by
    listing what is left afterwards.
    """
    begun = used(history, epochs)
    for candidate in candidates:
        if candidate not in begun and candidate in space:
            return Proposal(candidate, epochs)
    if space.size > 2 * len(begun):
        while (drawn := space.sample(rng)) in begun:
            pass
        return Proposal(drawn, epochs)
    left = [a for a in space.enumerate() if a not in begun]
    return Proposal(left[rng.integers(len(left))], epochs) if left else None


def with_neighbours(
    space: "SearchSpace", proposed: "Architecture", rng: np.random.Generator
) -> "Iterator[Architecture]":
    """A model's proposal and, in case it was tried, neighbours of it: candidates for `fresh`."""
    yield proposed
    for _ in range(NEIGHBOURS):
        yield space.mutate(proposed, rng)
