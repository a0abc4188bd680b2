"""Local search: what differs in one stage from the best so far."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnas.results import Objective
from attnas.search_space import Architecture, SearchSpace

from .fresh import fresh, spent
from .protocol import History, Proposal, generator
from .ranking import ranking
from .registry import check_settings, register_strategy, setting


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

    space: SearchSpace
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
    ) -> Iterator[Architecture]:
        """A random untried neighbour of each trial, from the best rank to the worst."""
        used = spent(history, self.epochs)
        ranked = ranking(history.finished, self.objectives)
        shuffled = rng.permutation(len(history.finished))
        for position in shuffled[np.argsort(ranked.rank[shuffled], kind="stable")]:
            trial = history.finished[position]
            around = [a for a in self.space.neighbours(trial.architecture) if a not in used]
            if around:
                yield around[rng.integers(len(around))]
