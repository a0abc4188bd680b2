"""Bayesian optimisation with Gaussian processes, by Optuna."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import optuna
from numpy.typing import NDArray

from attnas.core import History, Objective, Proposal, Trial, generator

from .fresh import fresh, with_neighbours
from .optuna_study import add_finished, ask, new_study
from .ranking import losses, ranking
from .registry import check_settings, register_strategy, setting

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace


@register_strategy("gp")
@dataclass(frozen=True)
class GP:
    """Bayesian optimisation: Gaussian processes, expected (hypervolume) improvement if feasible.

    Source: Daulton et al. 2020, "Differentiable expected hypervolume improvement", NeurIPS,
    arXiv:2006.05078; Ament et al. 2023, arXiv:2310.20708 (its logarithm); Gardner et al. 2014,
    "Bayesian optimization with inequality constraints", ICML. Computed by Optuna's
    `GPSampler`. It takes 0.5 to 3 s a proposal, growing with the trials modelled: at most
    `memory`, half of them the best and the others the latest.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int
    initial: int = setting(5, "trials drawn uniformly before the first model", low=1)
    memory: int = setting(100, "trials that the model is fitted to", low=4)

    def __post_init__(self) -> None:
        check_settings(self)

    def propose(self, history: History) -> Proposal | None:
        rng = generator(self.seed, history)
        begun = len(history.finished) + len(history.running)
        modelled = self._modelled(history, rng) if begun >= self.initial else ()
        return fresh(self.space, history, self.epochs, rng, modelled)

    def _modelled(self, history: History, rng: np.random.Generator) -> "Iterator[Architecture]":
        inside = [t for t in history.finished if t.architecture in self.space]
        trials = remembered(inside, self.objectives, self.memory)
        values, violations = imputed(trials, self.objectives)
        if not len(trials) or np.isnan(values).any():
            return  # nothing was trained yet: no model of the objectives
        study = new_study(len(self.objectives))
        for trial, row, violation in zip(trials, values, violations, strict=True):
            add_finished(study, self.space, trial, row, violation)
        running = [p.architecture for p in history.running if p.architecture in self.space]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant values and ill-conditioned fits are met
            sampler = optuna.samplers.GPSampler(seed=int(rng.integers(2**30)), n_startup_trials=1)
            proposed = ask(study, self.space, sampler, running, jointly=True)
        yield from with_neighbours(self.space, proposed, rng)


def remembered(
    trials: Sequence[Trial], objectives: Sequence[Objective], memory: int
) -> list[Trial]:
    """At most `memory` trials, half of them the best and the others the latest; in order."""
    if len(trials) <= memory:
        return list(trials)
    best = ranking(trials, objectives).order[: memory // 2].tolist()
    others = sorted(set(range(len(trials))) - set(best))
    return [trials[i] for i in sorted([*best, *others[len(best) - memory :]])]


def imputed(
    trials: Sequence[Trial], objectives: Sequence[Objective]
) -> tuple[NDArray[np.float64], list[float]]:
    """Losses (trials, objectives) and violations, whole also where a trial has none.

    A loss that was not taken counts as the worst that was. A feasible trial lies inside its
    bounds by the mean excess of the others, so that the model sees a slope, not a plateau; a
    failed one counts as the worst violation. A column that nobody has is NaN.
    """
    values = losses(trials, objectives)
    values[~np.isfinite(values)] = np.nan
    failed = np.array([t.state == "failed" for t in trials], dtype=bool)
    values[failed] = np.nan
    known = ~np.isnan(values)
    worst = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf)
    values = np.where(known, values, np.where(np.isfinite(worst), worst, np.nan))
    excess = np.array([t.violation for t in trials], dtype=float)
    broken = excess[excess > 0]
    inside, most = (-broken.mean(), broken.max()) if len(broken) else (0.0, 0.0)
    violations = np.where(failed, most, np.where(excess > 0, excess, inside))
    return values, violations.tolist()
