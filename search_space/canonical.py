"""Which architectures of a space are one network, and how many distinct ones there are.

Attention alone makes a product: each option of a decision is another network, whatever the
others are. An argument of the factory or a skipped unit changes where blocks can be: then
options that do the same coincide. Decisions of that kind are structural; for each combination of
their options the others form a product again, of the options that are distinct there.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import InputError

from .edits import Edit, kept

if TYPE_CHECKING:
    from .backbone import Backbone
    from .decisions.decision import Decision

MOST_STRUCTURES = 10_000
"""Combinations of structural options; each argument's is built and run once."""

Positions = tuple[int, ...]


class CanonicalForms:
    """The canonical form of every combination of options, by their numbers.

    Of options that do the same, the first stands for all.
    """

    def __init__(
        self,
        backbone: "Backbone",
        decisions: Sequence["Decision"],
        options: Sequence[Sequence[str]],
    ) -> None:
        """Raises InputError: as `structural`."""
        self._backbone, self._decisions, self._options = backbone, decisions, options
        self._structural = structural(decisions, options)
        self._known: dict[tuple[Positions, int], tuple[int, ...]] = {}
        self._frozen = [
            (i, decision, texts[0])
            for i, (decision, texts) in enumerate(zip(decisions, options, strict=True))
            if decision.structural and len(texts) == 1
        ]
        self._others = [i for i in range(len(decisions)) if i not in self._structural]

    @property
    def is_product(self) -> bool:
        """Whether each combination of options is a network of its own."""
        return not self._structural and not self._frozen

    def of(self, positions: Sequence[int]) -> Positions:
        """The canonical form of a combination."""
        if self.is_product:
            return tuple(positions)
        structure = self._settled(tuple(positions[i] for i in self._structural))
        found = list(positions)
        for place, position in zip(self._structural, structure, strict=True):
            found[place] = position
        for i in self._others:
            found[i] = self._first(structure, i)[positions[i]]
        return tuple(found)

    @cached_property
    def size(self) -> int:
        """The number of distinct networks, exact."""
        return self._ends[-1]

    def at(self, index: int) -> Positions:
        """The canonical form of that number, from 0; the last decision varies fastest."""
        which = bisect_right(self._ends, index)
        structure = self.structures[which]
        index -= self._ends[which - 1] if which else 0
        found: dict[int, int] = dict(zip(self._structural, structure, strict=True))
        for i in reversed(self._others):
            distinct = self.distinct(structure, i)
            index, place = divmod(index, len(distinct))
            found[i] = distinct[place]
        return tuple(found[i] for i in range(len(self._decisions)))

    def index(self, canonical: Sequence[int]) -> int:
        """The number of a canonical form."""
        structure = tuple(canonical[i] for i in self._structural)
        which = self._number[structure]
        number = 0
        for i in self._others:
            distinct = self.distinct(structure, i)
            number = number * len(distinct) + distinct.index(canonical[i])
        return number + (self._ends[which - 1] if which else 0)

    def sample(self, rng: np.random.Generator) -> Positions:
        """Each canonical form with the same probability."""
        sizes = [end - start for start, end in pairwise((0, *self._ends))]
        shares = np.cumsum([size / self.size for size in sizes])  # sizes may be beyond int64
        which = min(int(np.searchsorted(shares, rng.random(), side="right")), len(sizes) - 1)
        structure = self.structures[which]
        found: dict[int, int] = dict(zip(self._structural, structure, strict=True))
        for i in self._others:
            distinct = self.distinct(structure, i)
            found[i] = distinct[int(rng.integers(len(distinct)))]
        return tuple(found[i] for i in range(len(self._decisions)))

    @cached_property
    def structures(self) -> list[Positions]:
        """The distinct combinations of structural options."""
        every = product(*(range(len(self._options[i])) for i in self._structural))
        return [found for found in every if self._settled(found) == found]

    @cached_property
    def _number(self) -> dict[Positions, int]:
        return {structure: number for number, structure in enumerate(self.structures)}

    @cached_property
    def _ends(self) -> list[int]:
        """Up to which number the networks of each structure go."""
        sizes = (
            math.prod(len(self.distinct(structure, i)) for i in self._others)
            for structure in self.structures
        )
        return list(accumulate(sizes))

    def distinct(self, structure: Positions, decision: int) -> tuple[int, ...]:
        """The options of a decision that differ in a structure, by number."""
        return tuple(sorted(set(self._first(structure, decision))))

    def _settled(self, structure: Positions) -> Positions:
        """Structural options of which each is the first that does the same beside the others."""
        found = list(structure)
        for place, i in enumerate(self._structural):
            found[place] = self._first(tuple(found), i)[found[place]]
        # What one of them does may have changed with another behind it.
        return structure if tuple(found) == structure else self._settled(tuple(found))

    def _first(self, structure: Positions, decision: int) -> tuple[int, ...]:
        """For each option of a decision the first one that does the same in a structure."""
        key = structure, decision
        if key not in self._known:
            self._known[key] = self._coinciding(structure, decision)
        return self._known[key]

    def _coinciding(self, structure: Positions, decision: int) -> tuple[int, ...]:
        chosen, texts = self._decisions[decision], tuple(self._options[decision])
        if self.is_product:  # spares to run the network
            return tuple(range(len(texts)))
        if any(chosen.arguments(text) for text in texts):
            return tuple(range(len(texts)))  # each value of an argument is another network
        beside = [
            (self._decisions[i], self._options[i][position])
            for i, position in zip(self._structural, structure, strict=True)
            if i != decision
        ]
        beside += [(d, text) for i, d, text in self._frozen if i != decision]
        arguments: dict[str, Any] = {}
        for other, option in beside:
            arguments |= other.arguments(option)
        variant = self._backbone.with_arguments(arguments) if arguments else self._backbone
        removed = [
            edit
            for other, option in beside
            for edit in other.edits(option, variant)
            if edit.mode == "remove"
        ]
        return _coinciding(chosen, texts, variant, tuple(removed))


def structural(decisions: Sequence["Decision"], options: Sequence[Sequence[str]]) -> list[int]:
    """The numbers of the structural decisions that have a choice.

    Raises:
        InputError: their options have too many combinations.
    """
    found = [
        i
        for i, (decision, texts) in enumerate(zip(decisions, options, strict=True))
        if decision.structural and len(texts) > 1
    ]
    count = math.prod(len(options[i]) for i in found)
    if count > MOST_STRUCTURES:
        names = ", ".join(decisions[i].name for i in found)
        raise InputError(
            f"{names} have {count:,} combinations; a search space takes at most "
            f"{MOST_STRUCTURES:,}, as each is built and run once. Give fewer values.",
            key=decisions[found[-1]].key,
        )
    return found


@lru_cache(maxsize=65_536)
def _coinciding(
    decision: "Decision", options: tuple[str, ...], variant: "Backbone", removed: tuple[Edit, ...]
) -> tuple[int, ...]:
    first: dict[tuple[Edit, ...], int] = {}
    found = []
    for number, option in enumerate(options):
        edits = decision.edits(option, variant)
        left = kept(e for e in edits if not any(e.inside(gone.path) for gone in removed))
        found.append(first.setdefault(left, number))
    return tuple(found)
