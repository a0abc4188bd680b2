"""One-shot search: a single-path supernet, then evolution over inherited weights."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .on_supernet import OnSupernet
from .recommendation import Recommendation, Target
from .recommended import bounds_text, fitness
from .registry import register_strategy, setting
from .supernet_training import train_supernet
from .weight_sharing import SupernetSearch

if TYPE_CHECKING:
    from attnas.search_space import Architecture, Supernet

PARENTS = 0.5  # share of a population that may be parents, the best
MUTATED = 0.5  # share of the children that have one parent, mutated; the others have two
TRIES = 200  # draws for one child that is new and within the bounds


@register_strategy("oneshot")
@dataclass(frozen=True)
class OneShot(OnSupernet):
    """Weight sharing: trains one supernet along drawn paths, then evolves over its weights.

    Source: Guo et al. 2020, "Single path one-shot neural architecture search with uniform
    sampling", ECCV, arXiv:1904.00420 (uniform paths: eq. 6 and section 3.2; evolution under
    hard constraints on costs: algorithm 1), with several paths a step by the sandwich rule
    (`sandwich`) and batch-norm recalibration before an architecture is scored. Departures:
    one evolution serves all targets, in turn, from one archive of what was scored; gradients
    are means over the paths that use a parameter (`MeanGradients`).
    """

    paths: int = setting(4, "architectures trained in each step of the supernet", low=1)
    population: int = setting(20, "architectures scored in a generation", low=2)
    generations: int = setting(5, "of the evolution over inherited weights", low=1)

    def search(self, search: SupernetSearch) -> Sequence[Recommendation]:
        net = search.supernet()
        train_supernet(search, net, epochs=self.training_epochs, paths=self.paths)
        room = len(search.controls) + self.population * self.generations
        archive = _Archive(search, net, room)
        for architecture in search.controls:
            archive.score(architecture)
        rng = np.random.default_rng((self.seed, 2**34))
        for _ in range(self.generations):
            for target, children in zip(search.targets, self._shares(search), strict=True):
                for child in self._children(archive, target, children, rng):
                    archive.score(child)
        return archive.recommendations()

    def _shares(self, search: SupernetSearch) -> list[int]:
        """The population divided among the targets, as evenly as may be, at least one each."""
        count = len(search.targets)
        return [max(1, (self.population + i) // count) for i in range(count)]

    def _children(
        self, archive: "_Archive", target: Target, count: int, rng: np.random.Generator
    ) -> "Iterator[Architecture]":
        """New architectures within the target; random ones while there are no parents."""
        parents = archive.best(target)[: max(2, round(PARENTS * self.population))]
        for _ in range(count):
            child = next(self._within(archive, target, parents, rng), None)
            if child is None:
                return  # what is left, if anything, is too rare to be found by drawing
            yield child

    def _within(
        self,
        archive: "_Archive",
        target: Target,
        parents: "Sequence[Architecture]",
        rng: np.random.Generator,
    ) -> "Iterator[Architecture]":
        if not parents:
            yield from archive.untouched([archive.search.costs.nearest(rng, target)], target)
        for number in range(TRIES):
            bred = len(parents) > 1 and number < TRIES // 2
            drawn = self._child(parents, rng) if bred else self.space.sample(rng)
            yield from archive.untouched([drawn], target)

    def _child(self, parents: "Sequence[Architecture]", rng: np.random.Generator) -> "Architecture":
        mother, father = rng.choice(len(parents), 2, replace=False)
        if rng.random() < MUTATED:
            return self.space.mutate(parents[mother], rng)
        return self.space.crossover(parents[mother], parents[father], rng)


class _Archive:
    """Every architecture scored with inherited weights."""

    def __init__(self, search: SupernetSearch, net: "Supernet", room: int) -> None:
        self.search, self._net, self._room = search, net, room
        self._scored: dict[Architecture, Recommendation] = {}

    def score(self, architecture: "Architecture") -> None:
        self.search.resources.progress("architectures scored", len(self._scored), self._room)
        self._scored[architecture] = self.search.recommend(self._net, architecture)

    def untouched(
        self, architectures: "Sequence[Architecture]", target: Target
    ) -> "list[Architecture]":
        """Those not yet scored that keep the constraints and the target."""
        new = (a for a in architectures if a not in self._scored)
        return [a for a in new if self.search.costs.fits(a, target)]

    def best(self, target: Target) -> "list[Architecture]":
        """What keeps the target, the best by inherited loss first."""
        entries = sorted(self._scored.values(), key=fitness)
        costs = self.search.costs
        return [r.architecture for r in entries if not costs.broken(r.predicted, target)]

    def recommendations(self) -> list[Recommendation]:
        """The best of each target, for the target, and all without one."""
        found = []
        for target in self.search.targets:
            best = self.best(target)
            if best:
                known = self._scored[best[0]]
                found.append(Recommendation(best[0], target, known.predicted))
            else:
                none = f"nothing was found that keeps {bounds_text(target)}"
                reason = self.search.costs.beyond(target) or none
                self.search.resources.note(f"By the predictions {reason}.")
        return [*found, *self._scored.values()]
