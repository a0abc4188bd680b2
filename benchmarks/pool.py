"""A space of which only some architectures were ever evaluated: the search space is those."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from attnas.search_space import Architecture, SearchSpace


@dataclass(frozen=True, eq=False)
class Pool(SearchSpace):
    """The members of a pool, with the nearest of them as neighbours.

    Two random architectures of many decisions differ in most of them, so hardly any member
    has another that differs in one. What a strategy does in steps of one decision it does here
    in steps to one of the nearest members: as many as an architecture of the whole space has
    neighbours, by the number of decisions that differ, then by the order of the pool. Where
    a strategy proposes what is no member, one next to it takes its place: `fresh` passes over
    the proposal, and `mutate` gives the nearest member half of the time, the second a quarter,
    and so on. So each strategy gets members alone and may use what it learned of all decisions.
    """

    members: NDArray[np.int8] = field(kw_only=True, repr=False)  # (size, decisions): option numbers

    @classmethod
    def of(cls, whole: SearchSpace, members: NDArray[np.int64]) -> "Pool":
        """These members of a space, given by the number of each decision's option."""
        narrow = members.astype(np.int8)
        return cls(
            whole.backbone, whole.decisions, whole.options, whole.identity_start, members=narrow
        )

    @cached_property
    def _every(self) -> tuple[Architecture, ...]:
        return tuple(map(self._of, self.members.tolist()))

    @cached_property
    def _number(self) -> dict[Architecture, int]:
        return {architecture: number for number, architecture in enumerate(self._every)}

    @cached_property
    def _around(self) -> dict[Architecture, list[Architecture]]:
        """The neighbours asked for so far: simulated searches ask for the same ones."""
        return {}

    @property
    def size(self) -> int:  # type: ignore[override]
        return len(self.members)

    @cached_property
    def plain(self) -> Architecture:
        return self._nearest(super().plain, 1)[0]

    def __contains__(self, architecture: object) -> bool:
        return architecture in self._number

    def sample(self, rng: np.random.Generator) -> Architecture:
        return self._every[int(rng.integers(self.size))]

    def enumerate(self) -> Iterator[Architecture]:
        return iter(self._every)

    def index(self, architecture: Architecture) -> int:
        return self._number[architecture]

    def at(self, index: int) -> Architecture:
        return self._every[index]

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        if architecture not in self._around:
            count = self.encoded_size - len(self.options)
            nearest = self._nearest(architecture, count + 1)
            around = [member for member in nearest if member != architecture][:count]
            self._around[architecture] = around
        return self._around[architecture]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        if architecture not in self:
            return self._nearest(architecture, min(int(rng.geometric(0.5)), self.size))[-1]
        around = self.neighbours(architecture)
        return around[int(rng.integers(len(around)))]

    def crossover(
        self, mother: Architecture, father: Architecture, rng: np.random.Generator
    ) -> Architecture:
        return self._nearest(super().crossover(mother, father, rng), 1)[0]

    def _nearest(self, architecture: Architecture, count: int) -> list[Architecture]:
        positions = self.positions(architecture)
        given = np.array([-1 if p is None else p for p in positions], dtype=np.int8)
        differing = (self.members != given).sum(axis=1)
        return [self._every[i] for i in np.argsort(differing, kind="stable")[:count].tolist()]
