"""Which trials are better: constraint domination over several objectives.

Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6(2), sections III and VI: a feasible solution beats
an infeasible one, of two infeasible ones the smaller violation wins, and feasible ones are
ordered by non-dominated rank, within a rank by crowding distance (larger is better).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnas.core import Objective, Trial, crowding, ranks


@dataclass(frozen=True)
class Ranking:
    """Trials in order of fitness.

    `rank` (n,): 0 for the front, 1 for the front without it, and so on; infeasible trials
    follow by their violation, those that failed come last. `crowding` (n,): the room that a
    trial has among those of its rank, infinite at the ends of a front, 0 off the fronts.
    """

    rank: NDArray[np.int64]
    crowding: NDArray[np.float64]

    @property
    def order(self) -> NDArray[np.int64]:
        """Positions from best to worst; equals stay in the order given."""
        return np.lexsort((-self.crowding, self.rank))

    def better(self, a: int, b: int) -> bool:
        """Whether position `a` wins against `b` in a tournament; False if they tie."""
        if self.rank[a] != self.rank[b]:
            return bool(self.rank[a] < self.rank[b])
        return bool(self.crowding[a] > self.crowding[b])


def losses(trials: Sequence[Trial], objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """Objective values turned so that less is better, (trials, objectives); NaN if not taken."""
    rows = [
        [o.loss(t.metrics) if o.metric in t.metrics else np.nan for o in objectives] for t in trials
    ]
    return np.array(rows, dtype=float).reshape(len(trials), len(objectives))


def rank(trials: Sequence[Trial], objectives: Sequence[Objective]) -> NDArray[np.int64]:
    """`ranking(...).rank` alone, at a fifth of the time."""
    return _ranked(trials, losses(trials, objectives))[0]


def ranking(trials: Sequence[Trial], objectives: Sequence[Objective]) -> Ranking:
    """The order of fitness of trials. O(n log n) for two objectives.

    A complete trial that lacks an objective's value or has NaN counts as failed.
    """
    values = losses(trials, objectives)
    rank, feasible = _ranked(trials, values)
    room = np.zeros(len(trials))
    fronts = rank[feasible].max(initial=-1) + 1
    for members in (feasible[rank[feasible] == r] for r in range(fronts)):
        room[members] = crowding(values[members])
    return Ranking(rank, room)


def _ranked(
    trials: Sequence[Trial], values: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rank of each trial, and the positions of the feasible ones."""
    scored = np.isfinite(values).all(axis=1)
    excess = np.array([trial.violation for trial in trials], dtype=float)
    complete = np.array([trial.state == "complete" for trial in trials], dtype=bool) & scored
    ruled_out = np.array([trial.state == "infeasible" for trial in trials], dtype=bool)
    feasible = np.flatnonzero(complete & (excess == 0))
    infeasible = np.flatnonzero(ruled_out | (complete & (excess > 0)))
    rank = np.zeros(len(trials), dtype=np.int64)
    rank[feasible] = ranks(values[feasible])
    fronts = rank[feasible].max(initial=-1) + 1
    amounts, place = np.unique(excess[infeasible], return_inverse=True)
    rank[infeasible] = fronts + place
    rank[~(complete | ruled_out)] = fronts + len(amounts)
    return rank, feasible
