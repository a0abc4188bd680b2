"""Bayesian optimisation where costs are known: only what training tells is modelled as unknown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnas.core import History, Objective, Proposal, Trial, generator

from .acquisition import promise
from .blas import one_thread
from .fresh import fresh, used
from .ranking import losses, ranking
from .registry import check_settings, register_strategy, setting
from .surrogates import Evidence, Loss, bounds

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

TRAINED = 500  # trainings that are modelled: of more, the better half and the latest
SCREENED = 2000  # rejected architectures that costs are fitted to, the latest
EXPLAINED = 0.1  # the share of the variance from which the model may lead away from the front
SURE = 20
ENOUGH = 50  # candidates; with fewer, the neighbours of the next ranks are looked at too
ALIKE = 1e-4
FARTHER = 5  # architectures two steps away, drawn for each whose neighbours are looked at


@register_strategy("model")
@dataclass(frozen=True)
class Model:
    """Gaussian process for what training tells, regression for costs; tries the best neighbours.

    - A cheap metric is fitted by ridge regression over the options of all decisions, to every
      architecture that was screened, rejected ones included (`CostRegression`).
    - A metric known after training is fitted by a Gaussian process with an additive and a
      product Hamming kernel, to the trainings of the same epochs (`GaussianProcess`); bad
      values are squeezed together (`Squeeze`). A failed training counts as the worst.
    - Candidates are the untried neighbours of the front and of the `best` most accurate, and
      a few draws two steps away, never the whole space.
    - By turns the candidate of the greatest expected improvement of the hypervolume is
      proposed, and that of a trained objective, each times the probability to keep the
      bounds. As costs count as known, the first is a one-dimensional expectation, and exact;
      of several trained objectives one is integrated and the others are drawn.
    - What is in flight counts as having come out as expected.

    Bounds are known from the trials that broke one. Source: Jones et al. 1998, "Efficient
    global optimization of expensive black-box functions", Journal of Global Optimization 13;
    Emmerich et al. 2006, "Single- and multiobjective evolutionary optimization assisted by
    Gaussian random field metamodels", IEEE Transactions on Evolutionary Computation 10(4) (the
    hypervolume); Schonlau et al. 1998, "Global versus local search in constrained optimization
    of computer models" (the probability to keep the bounds).
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    initial: int = setting(5, "trials drawn uniformly before the first model", low=1)
    best: int = setting(5, "of the most accurate trials, whose neighbours are looked at", low=1)
    candidates: int = setting(1000, "neighbours looked at for a proposal, at most", low=1)

    def __post_init__(self) -> None:
        check_settings(self)

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        begun = len(history.finished) + len(history.running)
        modelled = self._modelled(history, rng) if begun >= self.initial else ()
        return fresh(self.space, history, self.epochs, rng, modelled)

    def _modelled(self, history: History, rng: np.random.Generator) -> "Iterator[Architecture]":
        """Candidates, the most promising first."""
        with one_thread():
            candidates, promising = self._judged(history, rng)
        for position in best_first(promising, rng).tolist():
            yield candidates[position]

    def _judged(
        self, history: History, rng: np.random.Generator
    ) -> "tuple[list[Architecture], NDArray[np.float64]]":
        """Candidates, and how promising each one is."""
        own = [t for t in history.finished if t.state != "infeasible" and t.epochs == self.epochs]
        evidence = self._evidence(own, history)
        wanted, limits = [Loss.by(o) for o in self.objectives], bounds(history.finished)
        surrogates = evidence.surrogates([*wanted, *(bound.loss for bound in limits)])
        trained = [surrogates[w] for w in wanted if w in surrogates and not w.is_cheap]
        explained = max((surrogate.explained for surrogate in trained), default=0.0)
        far = explained >= EXPLAINED or len(evidence.scored) < SURE
        candidates = self._candidates(evidence.trials, history, rng, far=far)
        if not candidates:
            return [], np.zeros(0)
        codes, turn = evidence.codes(candidates), len(own) + len(evidence.running)
        return candidates, promise(codes, evidence, surrogates, wanted, limits, turn, rng)

    def _evidence(self, own: Sequence[Trial], history: History) -> Evidence:
        """Of the trainings for these epochs, and of what was only screened."""
        trained = remembered(own, self.objectives)
        others = [t for t in history.finished if t.state == "infeasible" or t.epochs != self.epochs]
        known = [bool(row.all()) for row in np.isfinite(losses(trained, self.objectives))]
        scored = [i for i, t in enumerate(trained) if t.state == "complete" and known[i]]
        failed = sorted(set(range(len(trained))) - set(scored))
        running = [p.architecture for p in history.running if p.epochs == self.epochs]
        return Evidence(self.space, [*trained, *others[-SCREENED:]], scored, failed, running)

    def _candidates(
        self,
        trials: Sequence[Trial],
        history: History,
        rng: np.random.Generator,
        *,
        far: bool,
    ) -> "list[Architecture]":
        """Untried neighbours of the front; `far` also of the best few, and two steps away."""
        begun = used(history, self.epochs)
        ranked = ranking(trials, self.objectives)
        parents = np.flatnonzero(ranked.rank == 0).tolist()
        parents += self._most_accurate(trials) if far else []
        found: dict[Architecture, None] = {}
        for number, parent in enumerate(dict.fromkeys([*parents, *ranked.order.tolist()])):
            if number >= len(set(parents)) and len(found) >= (ENOUGH if far else 1):
                break
            around = trials[parent].architecture
            found.update((a, None) for a in self.space.neighbours(around) if a not in begun)
            if far and parent in parents:
                steps = (self.space.mutate(around, rng) for _ in range(FARTHER))
                ends = [self.space.mutate(step, rng) for step in steps]
                found.update((a, None) for a in ends if a not in begun and a in self.space)
        candidates = list(found)
        if len(candidates) <= self.candidates:
            return candidates
        return [candidates[i] for i in rng.permutation(len(candidates))[: self.candidates]]

    def _most_accurate(self, trials: Sequence[Trial]) -> list[int]:
        """Positions of the best few by each loss that training tells."""
        feasible = np.flatnonzero([trial.feasible for trial in trials])
        trained = (loss for loss in map(Loss.by, self.objectives) if not loss.is_cheap)
        values = (loss.of([trials[i] for i in feasible.tolist()]) for loss in trained)
        orders = (np.argsort(v, kind="stable")[: self.best] for v in values)
        return [position for order in orders for position in feasible[order].tolist()]


def best_first(promising: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of the candidates, those that promise alike in random order.

    What differs by less than a share of `ALIKE` of the best is alike: candidates that the model
    cannot tell apart differ by rounding, which is another one with another number of threads.
    """
    best = float(promising.max(initial=0.0))
    steps = np.round(promising / (ALIKE * best)) if best > 0 else promising
    return np.lexsort((rng.random(len(promising)), -steps))


def remembered(
    trials: Sequence[Trial], objectives: Sequence[Objective], count: int = TRAINED
) -> list[Trial]:
    """At most `count` trials, half of them the best and the others the latest; in order."""
    if len(trials) <= count:
        return list(trials)
    best = ranking(trials, objectives).order[: count // 2].tolist()
    others = sorted(set(range(len(trials))) - set(best))
    return [trials[i] for i in sorted([*best, *others[len(best) - count :]])]
