"""NSGA-II in its steady state: the best of all trials are the parents of the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, Objective, Proposal, Trial, generator

from .fresh import fresh
from .ranking import Ranking, ranking
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

CHILDREN = 20  # children looked at before a uniform draw takes over


@register_strategy("nsga2")
@dataclass(frozen=True)
class NSGA2:
    """NSGA-II, steady-state: crosses and mutates two winners of tournaments among the best.

    Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II",
    IEEE Transactions on Evolutionary Computation 6(2), with constraint domination (section
    VI). Departure: there are no generations. Each child competes at once, as in Durillo et
    al. 2009, "On the effect of the steady-state selection scheme in multi-objective genetic
    algorithms", EMO. Departure from that: no population is carried along; the parents are the
    best `population` of the whole history by rank and crowding, with any number of trials in
    flight. The first `population` trials are drawn uniformly.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    population: int = setting(10, "trials that may be parents, the best", low=2)
    crossover: float = setting(0.9, "probability of two parents instead of one", low=0, high=1)
    mutation: float = setting(
        0.5, "probability that a child of two parents is mutated as well", low=0, high=1
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        begun = len(history.finished) + len(history.running)
        grown = begun >= self.population and history.finished
        children = self._children(history.finished, rng) if grown else ()
        return fresh(self.space, history, self.epochs, rng, children)

    def _children(
        self, trials: Sequence[Trial], rng: np.random.Generator
    ) -> "Iterator[Architecture]":
        ranked = ranking(trials, self.objectives)
        parents = ranked.order[: self.population]
        for _ in range(CHILDREN):
            mother = trials[tournament(parents, ranked, rng)].architecture
            if rng.random() >= self.crossover:
                yield self.space.mutate(mother, rng)
                continue
            father = trials[tournament(parents, ranked, rng)].architecture
            child = self.space.crossover(mother, father, rng)
            mutated = rng.random() < self.mutation or child in (mother, father)
            yield self.space.mutate(child, rng) if mutated else child


def tournament(parents: np.ndarray, ranked: Ranking, rng: np.random.Generator) -> int:
    """The better of two parents drawn; the first if they tie."""
    a, b = rng.choice(parents, 2, replace=len(parents) < 2)
    return int(b if ranked.better(b, a) else a)
