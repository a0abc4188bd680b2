"""Proposes what a search on a supernet recommends, and random architectures as its control."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import (
    LOSS,
    History,
    Objective,
    Proposal,
    SupernetRanking,
    Trial,
    described,
    ranks,
    supernet_ranking,
)

from .fresh import used
from .local_search import Local
from .recommendation import Found, Recommendation, Target

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

    Measured = Mapping[Architecture, Mapping[str, float]]


@dataclass(frozen=True)
class Recommended:
    """First the recommendations by target, then the controls, then the other candidates.

    The recommendation of a target is its best candidate that keeps it. Where one measures more
    than it was predicted to, and too much, the next best is taken that is predicted to keep
    the target when all are off by as much. The other candidates come in the order of the
    fronts that inherited loss and predicted costs make, within one by `fitness`. Once the trials
    show that the inherited loss does not rank (`attnas.core.SupernetRanking`), local search by
    stand-alone results takes their place.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    found: Found

    def propose(self, history: History) -> Proposal | None:
        begun = used(history, self.epochs)
        for architecture in self._in_order(history):
            if architecture not in begun:
                return Proposal(architecture, self.epochs)
        if self.ranking(history.finished).ranks_poorly:
            local = Local(self.space, self.objectives, self.epochs, self.seed, initial=1)
            return local.propose(history)
        left = (a for a in self._others if a not in begun)
        following = next(left, None)
        return None if following is None else Proposal(following, self.epochs)

    def ranking(self, trials: Sequence[Trial]) -> SupernetRanking:
        """What the trials say of the inherited figures."""
        return supernet_ranking(self.inherited, trials, self.objectives)

    @cached_property
    def inherited(self) -> "dict[Architecture, Mapping[str, float]]":
        """What the supernet says of every architecture that the search looked at."""
        entries = (*self.found.candidates, *self.found.controls)
        return {entry.architecture: entry.predicted for entry in entries}

    def closing(self, trials: Sequence[Trial]) -> list[str]:
        """What a user should know when the search ends: each target, and how far to believe it."""
        lines = []
        measured, rejected = self._known(trials)
        trained = {t.architecture for t in trials if t.state == "complete"}
        for target in filter(None, self.found.targets):
            chosen = choose(target, self.found.candidates, measured, rejected)
            asked = bounds_text(target)
            if chosen is None:
                nearest = _nearest(target, (measured[a] for a in measured if a not in rejected))
                none = "no architecture was found that keeps it"
                lines.append(f"Target {asked}: {none}{nearest}.")
            elif chosen.architecture not in trained:
                lines.append(f"Target {asked}: {chosen.architecture}, not trained yet.")
            else:
                real = measured[chosen.architecture]
                figures = ", ".join(f"{_figure(real[metric])}" for metric in target)
                lines.append(f"Target {asked}: {chosen.architecture} measures {figures}: kept.")
        return [*lines, str(self.ranking(trials))]

    def _in_order(self, history: History) -> "Iterator[Architecture]":
        measured, rejected = self._known(history.finished)
        for target in self.found.targets:
            chosen = choose(target, self.found.candidates, measured, rejected)
            if chosen is not None:
                yield chosen.architecture
        yield from (control.architecture for control in self.found.controls)

    def _known(self, trials: Sequence[Trial]) -> "tuple[Measured, frozenset[Architecture]]":
        """Costs that were measured, and what is out of question; a trial's word counts last.

        Out of question is also what was trained and then broke a constraint.
        """
        measured = {
            **self.found.measured,
            **{t.architecture: t.metrics for t in trials if t.metrics},
        }
        seen = {t.architecture for t in trials}
        ruled_out = {t.architecture for t in trials if not t.feasible}
        return measured, frozenset(ruled_out | (self.found.rejected - seen))

    @cached_property
    def _others(self) -> "tuple[Architecture, ...]":
        """All candidates by the fronts of their predictions, then by `fitness`."""
        entries = list({r.architecture: r for r in self.found.candidates}.values())
        pushed = [_predicted(o) for o in self.objectives]
        pushed = [o for o in pushed if all(o.metric in r.predicted for r in entries)]
        if not entries or not pushed:
            return tuple(r.architecture for r in entries)
        values = np.array([[o.loss(r.predicted) for o in pushed] for r in entries])
        order = sorted(zip(ranks(values), map(fitness, entries), range(len(entries)), strict=True))
        return tuple(entries[place].architecture for _, _, place in order)


def choose(
    target: Target,
    candidates: Sequence[Recommendation],
    measured: "Measured",
    rejected: "Set[Architecture]" = frozenset(),
) -> Recommendation | None:
    """The best candidate for the target that keeps it, or may do so as far as is known.

    The target's own come first in their order, then the others by `fitness`. What was measured
    counts by that. Each that measured more than predicted, and broke the target,
    raises what the predictions of the others are multiplied by. None if nothing is left.
    """
    own = [r for r in candidates if r.target == target]
    others = sorted((r for r in candidates if r.target != target), key=fitness)
    off, looked_at = 1.0, set()
    for entry in (*own, *others):
        if entry.architecture in looked_at:
            continue
        looked_at.add(entry.architecture)
        real = measured.get(entry.architecture, {})
        keeps = _within(real, target) if real else _within(entry.predicted, target, off)
        if keeps and entry.architecture not in rejected:
            return entry
        if not keeps and _within(entry.predicted, target):
            known = [metric for metric in target if metric in real]
            off = max([off, *(real[metric] / entry.predicted[metric] for metric in known)])
    return None


def pending(
    targets: Sequence[Target],
    candidates: Sequence[Recommendation],
    measured: "Measured",
    rejected: "Set[Architecture]" = frozenset(),
) -> "list[Architecture]":
    """What is chosen for a target without having been measured."""
    chosen = (choose(target, candidates, measured, rejected) for target in targets)
    distinct = dict.fromkeys(entry.architecture for entry in chosen if entry is not None)
    return [architecture for architecture in distinct if architecture not in measured]


def fitness(entry: Recommendation) -> tuple[float, ...]:
    """Less is better: by inherited loss, of equal ones by the other inherited metrics.

    The loss agrees better with trainings, also where these are scored by accuracy
    (`python -m benchmarks.supernet --parts ranking truth`): it varies less by chance.
    """
    others = sorted(m for m in entry.predicted if m != LOSS and not described(m).cheap)
    signs = [-1 if described(m).better == "max" else 1 for m in others]
    figures = [s * entry.predicted[m] for s, m in zip(signs, others, strict=True)]
    return (entry.predicted[LOSS], *figures)


def _predicted(objective: Objective) -> Objective:
    """The objective as it is predicted: what training gives by the inherited loss."""
    return objective if objective.described.cheap else Objective(LOSS, "min")


def bounds_text(target: Target) -> str:
    """A target for people: `latency_ms <= 1.2`."""
    return ", ".join(f"{metric} <= {_figure(bound)}" for metric, bound in target.items())


def _figure(value: float) -> str:
    """A cost for people: four significant digits, or a count with its thousands separated."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _nearest(target: Target, measured: Iterable[Mapping[str, float]]) -> str:
    """What the architecture measures that breaks a target least, as the end of a sentence."""
    known = (real for real in measured if target.keys() <= real.keys())
    beyond = [real for real in known if not _within(real, target)]
    if not beyond:
        return ""
    least = min(beyond, key=lambda real: sum(max(1.0, real[m] / b) for m, b in target.items()))
    return f"; the nearest measures {', '.join(f'{_figure(least[metric])}' for metric in target)}"


def _within(costs: Mapping[str, float], target: Target, off: float = 1.0) -> bool:
    """Whether costs times `off` keep the target; a cost that is not known does not."""
    return all(metric in costs and costs[metric] * off <= bound for metric, bound in target.items())
