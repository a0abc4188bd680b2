"""Successive halving: many short trainings, and longer ones for those that did best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from attnas.core import History, InputError, Objective, Proposal, Trial, described

from .inside import Around, make_inside
from .protocol import Strategy
from .ranking import ranking
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

NAME = "halving"


@register_strategy("halving")
@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving over epochs, around any other strategy.

    Source: ASHA, Li et al. 2020, "A system for massively parallel hyperparameter tuning", MLSys,
    arXiv:1810.05934, algorithm 2; with several objectives MO-ASHA, Schmucker et al. 2021,
    "Multi-objective asynchronous successive halving", arXiv:2106.12639. The rungs are
    `min_epochs` times powers of `eta`, and `max_epochs`. A trial in the top 1/eta of its rung,
    by constraint domination, non-dominated rank and crowding (`ranking`), is trained on to the
    next rung, from the highest rung down; where there is none to promote, the strategy `around`
    proposes what starts on the lowest. All trainings follow the schedule of `max_epochs`, so one
    that reaches it is as good as one that was never stopped.

    What failed is not promoted. A bound on accuracy is met late: a trial that misses one is
    ranked by how far it misses, and may be promoted. The strategy inside sees each
    architecture once, with figures of the lowest rung's scale (`on_lowest_rung`).
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    around: Around = field(
        default="local", metadata={"meaning": "the strategy inside: its name, or with settings"}
    )
    eta: int = setting(3, "one of so many goes on to the next rung", low=2)
    min_epochs: int = setting(2, "epochs of the lowest rung", low=1)
    max_epochs: int | None = field(
        default=None, metadata={"meaning": "epochs of the highest rung, `training.epochs`"}
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.max_epochs not in (None, self.epochs):
            raise InputError(
                f"is {self.max_epochs!r}, but 'training.epochs' is {self.epochs}. "
                "Leave out one of the two.",
                key="max_epochs",
            )
        if len(self.rungs) < 2:
            raise InputError(
                f"with {self.min_epochs} of {self.epochs} epochs and eta {self.eta} there is no "
                f"rung to halve at. {self._remedy()}",
                key="min_epochs",
            )
        _ = self.inner  # what is wrong with it is told now

    @cached_property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of each rung, rising; the last is the whole training."""
        return rungs(self.min_epochs, self.epochs, self.eta)

    def _remedy(self) -> str:
        """What would give two rungs."""
        low, eta = self.min_epochs, self.eta
        fitting = [e for e in range(1, self.epochs) if len(rungs(e, self.epochs, eta)) > 1]
        longer = next(e for e in count(low) if len(rungs(low, e, eta)) > 1)
        least = f"Write at most {max(fitting)}, or train" if fitting else "Train"
        return f"{least} for at least {longer} epochs."

    @cached_property
    def inner(self) -> Strategy:
        """The strategy that proposes new architectures, for the epochs of the lowest rung."""
        return make_inside(
            NAME,
            self.around,
            space=self.space,
            objectives=self.objectives,
            epochs=self.rungs[0],
            seed=self.seed,
            without=("racing",),
        )

    def propose(self, history: History) -> Proposal | None:
        rungs = [_at(history, epochs) for epochs in self.rungs]
        for lower in reversed(range(len(rungs) - 1)):
            following = self.rungs[lower + 1]
            tried = {a for a, epochs in history.tried if epochs == following}
            for trial in promotable(rungs[lower], self.objectives, self.eta):
                if trial.architecture not in tried and trial.architecture in self.space:
                    return Proposal(trial.architecture, following, self._schedule(following))
        proposal = self.inner.propose(self._seen_inside(history, rungs))
        if proposal is None:
            return None
        return Proposal(proposal.architecture, self.rungs[0], self._schedule(self.rungs[0]))

    def _schedule(self, epochs: int) -> int | None:
        """The schedule's epochs; None for a whole training."""
        return None if epochs == self.epochs else self.epochs

    def _seen_inside(self, history: History, rungs: Sequence[Sequence[Trial]]) -> History:
        """The history as one at the lowest rung's epochs, each architecture once."""
        lowest = self.rungs[0]
        scored = {t.architecture: t for t in on_lowest_rung(rungs)}
        ended = {
            t.architecture: replace(t, epochs=lowest)
            for t in history.finished
            if t.state == "infeasible" or (t.state == "failed" and t.epochs == lowest)
        }
        seen = sorted({**ended, **scored}.values(), key=lambda t: t.number)
        known = {t.architecture for t in seen}
        ended_or_not: tuple[Trial | Proposal, ...] = (*history.finished, *history.running)
        begun = dict.fromkeys(i.architecture for i in ended_or_not if i.epochs in self.rungs)
        waiting = tuple(Proposal(a, lowest) for a in begun if a not in known and a in self.space)
        return History(tuple(seen), waiting, history.next_number)


def rungs(lowest: int, highest: int, eta: int) -> tuple[int, ...]:
    """Epochs of each rung: `lowest` times powers of `eta`, as many as fit best, and `highest`."""
    if lowest >= highest:
        return (highest,)
    steps = max(0, round(math.log(highest / lowest, eta)))
    return (*(lowest * eta**k for k in range(steps)), highest)


def promotable(rung: Sequence[Trial], objectives: Sequence[Objective], eta: int) -> list[Trial]:
    """The top 1/eta of the complete trials of a rung, best first; none that cannot be feasible."""
    order = ranking(rung, objectives).order[: len(rung) // eta]
    return [rung[i] for i in order if not _ruled_out(rung[i])]


def on_lowest_rung(rungs: Sequence[Sequence[Trial]]) -> list[Trial]:
    """The trials of the lowest rung, with figures that the higher rungs have corrected.

    Accuracies after different epochs cannot be compared. But those architectures of the lowest
    rung that went on to a higher one have an order there, which is better known: among them,
    the lowest rung's values of a metric are dealt out anew in that order, rung after rung.
    So all values are of one scale, those that went on keep their rank as a group among
    the others, and the longest training decides within it. Cheap metrics stay; what a value
    says of a constraint goes with it.
    """
    seen = {trial.architecture: trial for trial in rungs[0]}
    for rung in rungs[1:]:
        both = [trial for trial in rung if trial.architecture in seen]
        for name in sorted({name for trial in both for name in trial.metrics}):
            if described(name).cheap:
                continue
            ordered = sorted(
                (t for t in both if _finite(t, name) and _finite(seen[t.architecture], name)),
                key=lambda t: (t.metrics[name], t.number),
            )
            lenders = sorted(
                (seen[t.architecture] for t in ordered), key=lambda t: (t.metrics[name], t.number)
            )
            for trial, lender in zip(ordered, lenders, strict=True):
                seen[trial.architecture] = _lend(name, seen[trial.architecture], lender)
    return list(seen.values())


def _lend(name: str, trial: Trial, lender: Trial) -> Trial:
    """The trial with the lender's value of a metric."""
    kept = {k: v for k, v in trial.violations.items() if k.split()[0] != name}
    lent = {k: v for k, v in lender.violations.items() if k.split()[0] == name}
    metrics = {**trial.metrics, name: lender.metrics[name]}
    return replace(trial, metrics=metrics, violations={**kept, **lent})


def _at(history: History, epochs: int) -> list[Trial]:
    """The scored trials of a rung; the first of each architecture."""
    found: dict[Architecture, Trial] = {}
    for trial in history.complete:
        if trial.epochs == epochs:
            found.setdefault(trial.architecture, trial)
    return list(found.values())


def _finite(trial: Trial, name: str) -> bool:
    return bool(np.isfinite(trial.metrics.get(name, math.nan)))


def _ruled_out(trial: Trial) -> bool:
    """Whether a bound is broken that more epochs change nothing about."""
    names = (text.split()[0] for text in trial.violations)
    return any(described(name).cheap for name in names)
