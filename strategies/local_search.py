"""Local search: what differs in one decision from the best so far."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, Objective, Proposal, generator

from .fresh import fresh, used
from .ranking import rank
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace


@register_strategy("local")
@dataclass(frozen=True)
class Local:
    """Local search: tries the neighbours of the best, or of the front, then of the next best.

    Source: White et al. 2021, "Exploring the loss landscape in neural architecture search",
    UAI, arXiv:2005.02960, algorithm 1; with several objectives Pareto local search, Paquete
    et al. 2004, "Pareto local optimum sets in the biobjective traveling salesman problem: an
    experimental study". Departure: where all neighbours of the front are tried, the search
    goes on from the next rank instead of a restart, which is a function of the history.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    initial: int = setting(5, "trials drawn uniformly before the search climbs", low=1)

    def __post_init__(self) -> None:
        check_settings(self)

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        begun = len(history.finished) + len(history.running)
        climbing = self._untried_neighbours(history, rng) if begun >= self.initial else ()
        return fresh(self.space, history, self.epochs, rng, climbing)

    def _untried_neighbours(
        self, history: History, rng: np.random.Generator
    ) -> "Iterator[Architecture]":
        """A random untried neighbour of each trial, from the best rank to the worst."""
        begun = used(history, self.epochs)
        ranked = rank(history.finished, self.objectives)
        shuffled = rng.permutation(len(history.finished))
        tried = Tried(self.space, begun)
        for position in shuffled[np.argsort(ranked[shuffled], kind="stable")]:
            architecture = history.finished[position].architecture
            if tried.surround(architecture):
                continue
            around = [a for a in self.space.neighbours(architecture) if a not in begun]
            if around:
                yield around[rng.integers(len(around))]


class Tried:
    """Architectures of the space as numbers, to count those around one in a single step."""

    def __init__(self, space: "SearchSpace", architectures: "Iterable[Architecture]") -> None:
        self.space, self._decisions = space, len(space.decisions)
        ours = (a for a in architectures if a.identity_start == space.identity_start)
        rows = [p for p in map(space.positions, ours) if None not in p]
        self._positions = np.array(rows, dtype=np.int64).reshape(len(rows), self._decisions)

    def surround(self, architecture: "Architecture") -> bool:
        """Whether every neighbour of an architecture of the space is among them."""
        position = self.space.positions(architecture)
        if None in position:
            return False  # its neighbours are others
        alike = (self._positions == np.array(position)).sum(axis=1)
        neighbours = self.space.encoded_size - self._decisions
        return int(np.count_nonzero(alike == self._decisions - 1)) == neighbours
