"""The tree-structured Parzen estimator, by Optuna."""

import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import optuna

from attnas.core import History, Objective, Proposal, Trial, generator

from .fresh import fresh, with_neighbours
from .optuna_study import HOPELESS, add_finished, ask, new_study
from .ranking import losses, ranking
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

CACHED = 4  # studies kept


@register_strategy("tpe")
@dataclass(frozen=True)
class TPE:
    """Tree-structured Parzen estimator: samples where good trials are dense and bad ones rare.

    Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization", NeurIPS; for
    several objectives Ozaki et al. 2022, "Multiobjective tree-structured Parzen estimator",
    JAIR 73. Computed by Optuna's `TPESampler`: what breaks a bound counts as worse than all that
    keeps it, by how far it is off (c-TPE, arXiv:2211.14411, is another method). Each decision
    is taken for itself, trials in flight counting as bad: the joint estimate mostly proposes
    again what was tried. Where that happens all the same, neighbours of the proposal follow.
    Long histories are thinned out (`modelled`).
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    initial: int = setting(5, "trials drawn uniformly before the first estimate", low=1)
    candidates: int = setting(24, "samples of the good trials' density to choose from", low=1)

    def __post_init__(self) -> None:
        check_settings(self)

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        begun = len(history.finished) + len(history.running)
        estimated = self._estimated(history, rng) if begun >= self.initial else ()
        return fresh(self.space, history, self.epochs, rng, estimated)

    def _estimated(self, history: History, rng: np.random.Generator) -> "Iterator[Architecture]":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(rng.integers(2**31)),
                multivariate=False,
                constant_liar=True,
                n_startup_trials=1,
                n_ei_candidates=self.candidates,
            )
        proposed = _ask(self, history, sampler)
        yield from with_neighbours(self.space, proposed, rng)


@dataclass(eq=False)
class _Replayed:
    """A study that holds the first trials of some history."""

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    study: optuna.Study
    trials: list[Trial] = field(default_factory=list)

    def begins(self, trials: list[Trial], of: TPE) -> bool:
        same = self.space is of.space and self.objectives == of.objectives
        return same and self.trials == trials[: len(self.trials)]


_LOCK = threading.Lock()
_REPLAYED: list[_Replayed] = []  # the latest last; saves building a study for every proposal


def modelled(trials: list[Trial], objectives: tuple[Objective, ...]) -> list[Trial]:
    """The trials that the densities are estimated from: all, or of many the best and the latest.

    Above 200 they are the 100 best of the early ones and the latest 50 to 99. Which are
    early changes every 50 trials only, so that a study can be extended in between.
    """
    if len(trials) <= 200:
        return trials
    early = (len(trials) - 50) // 50 * 50
    best = ranking(trials[:early], objectives).order[:100]
    return [*(trials[i] for i in sorted(best.tolist())), *trials[early:]]


def _ask(
    of: TPE,
    history: History,
    sampler: optuna.samplers.BaseSampler,
) -> "Architecture":
    """What the sampler proposes after the history; asked of the longest study that begins it."""
    inside = [t for t in history.finished if t.architecture in of.space]
    trials = modelled(inside, of.objectives)
    running = [p.architecture for p in history.running if p.architecture in of.space]
    with _LOCK:
        fitting = [known for known in _REPLAYED if known.begins(trials, of)]
        replayed = max(fitting, key=lambda known: len(known.trials), default=None)
        if replayed is None:
            replayed = _Replayed(of.space, of.objectives, new_study(len(of.objectives)))
        else:
            _REPLAYED.remove(replayed)  # comes back only if nothing goes wrong on the way
        _extend(replayed, trials[len(replayed.trials) :])
        proposed = ask(replayed.study, of.space, sampler, running)
        _REPLAYED[:] = [*_REPLAYED[1 - CACHED :], replayed]
    return proposed


def _extend(replayed: _Replayed, trials: list[Trial]) -> None:
    """Adds trials; those without a value are ranked by their violation alone."""
    unranked = [0.0] * len(replayed.objectives)
    for trial, values in zip(trials, losses(trials, replayed.objectives), strict=True):
        usable = trial.state == "complete" and np.isfinite(values).all()
        failed = not usable and trial.state != "infeasible"
        add_finished(
            replayed.study,
            replayed.space,
            trial,
            values.tolist() if usable else unranked,
            HOPELESS if failed else trial.violation,
        )
        replayed.trials.append(trial)
