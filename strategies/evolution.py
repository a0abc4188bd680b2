"""Regularised evolution: the oldest die, whatever their fitness."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, InputError, Objective, Proposal, Trial, generator

from .fresh import fresh
from .ranking import ranking
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

CHILDREN = 20  # mutants looked at before a uniform draw takes over


@register_strategy("evolution")
@dataclass(frozen=True)
class Evolution:
    """Regularised (aging) evolution: mutates the winner of a tournament among recent trials.

    Source: Real et al. 2019, "Regularized evolution for image classifier architecture
    search", AAAI, arXiv:1802.01548, algorithm 1. A noisy score is forgotten when its trial
    grows old, unless its offspring confirm it. Departures: a tournament is won by constraint
    domination, non-dominated rank and crowding (`ranking`); the `population` is the last
    so many trained trials of the history, and while there are fewer, what broke a constraint
    or failed fills it up, so that evolution can find its way to the feasible; a mutation
    changes one decision, and never gives what was tried.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    population: int = setting(10, "trials that may be parents, the latest", low=2)
    tournament: int = setting(5, "trials drawn of which the best is the parent", low=1)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.tournament > self.population:
            raise InputError(
                f"cannot be {self.tournament}, more than the population. "
                f"Write at most {self.population}.",
                key="tournament",
            )

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        alive = living(history, self.population)
        begun = len(history.finished) + len(history.running)
        children = self._children(alive, rng) if begun >= self.population and alive else ()
        return fresh(self.space, history, self.epochs, rng, children)

    def _children(
        self, alive: tuple[Trial, ...], rng: np.random.Generator
    ) -> "Iterator[Architecture]":
        ranked = ranking(alive, self.objectives)
        size = min(self.tournament, len(alive))
        for _ in range(CHILDREN):
            rivals = rng.choice(len(alive), size, replace=False)
            parent = min(rivals, key=lambda i: (ranked.rank[i], -ranked.crowding[i]))
            yield self.space.mutate(alive[parent].architecture, rng)


def living(history: History, population: int) -> tuple[Trial, ...]:
    """The last `population` trained trials; if there are fewer, the last others as well."""
    trained = history.complete[-population:]
    others = [t for t in history.finished if t.state != "complete"]
    room = population - len(trained)
    return (*trained, *(others[-room:] if room else ()))
