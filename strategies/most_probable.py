"""The most probable architectures that keep budgets, exactly, one after the other."""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import log_softmax
from torch import Tensor

from attnas.search_space import Architecture, SearchSpace

from .budgets import Budget

_ROUNDING = 1e-9
_INFEASIBLE = 2  # scipy's status

_Node = tuple[float, tuple[int, ...], float, NDArray[np.float64]]
"""Minus a bound on the score, the options of the first stages, their score and their costs."""


def most_probable(
    space: SearchSpace, logits: Sequence[Tensor], budgets: Sequence[Budget]
) -> Iterator[tuple[Architecture, float]]:
    """Architectures that keep every budget, with their log-probabilities, the largest first.

    The probability of an architecture is the product of softmax(logits[i]) over its stages. To
    find the best one under additive bounds is the multiple-choice knapsack problem (Sinha and
    Zoltners 1979, "The multiple-choice knapsack problem", Operations Research 27(3)). Solved by
    best-first branch and bound, a stage at a time, with the bound of the Lagrangian relaxation:
    for any t >= 0, score + sum_k t_k slack_k is at least the score where the slacks are not
    negative, and its maximum separates over the stages. Equally probable ones come in the
    order of the space.
    """
    tables = [log_softmax(stage.detach().double().cpu().numpy()) for stage in logits]
    search = _Search(tables, tuple(budgets))
    for choices, score in search.solutions():
        picked = [options[j] for options, j in zip(space.allowed, choices, strict=True)]
        yield Architecture(space.backbone, tuple(picked), space.identity_start), score


@dataclass(frozen=True)
class _Search:
    """`scores[i][j]` is what option j of stage i adds to the score."""

    scores: list[NDArray[np.float64]]
    budgets: tuple[Budget, ...]

    def solutions(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Option numbers by stage with their score, from the largest score to the least."""
        multipliers = self._multipliers()
        if multipliers is None:
            return
        stages = len(self.scores)
        best = _sums_from([stage.max() for stage in self.scores])
        lightest = _sums_from([cost.min(axis=1) for cost in self._costs])
        eased = [s - multipliers @ c for s, c in zip(self.scores, self._costs, strict=True)]
        easiest = _sums_from([stage.max() for stage in eased])
        queue: list[_Node] = [(-math.inf, (), 0.0, np.zeros(len(self.budgets)))]
        while queue:
            _, chosen, score, cost = heapq.heappop(queue)
            depth = len(chosen)
            if depth == stages:
                if self._kept(chosen):
                    yield chosen, score
                continue
            for option, added in enumerate(self.scores[depth].tolist()):
                total, spent = score + added, cost + self._costs[depth][:, option]
                slack = self._bounds - spent - lightest[depth + 1]
                if (slack < -_ROUNDING).any():
                    continue
                most = total  # of a whole architecture; the others may be rounded up
                if depth + 1 < stages:
                    relaxed = multipliers @ (self._bounds - spent) + easiest[depth + 1]
                    most += min(best[depth + 1], float(relaxed)) + _ROUNDING
                heapq.heappush(queue, (-most, (*chosen, option), total, spent))

    @cached_property
    def _costs(self) -> list[NDArray[np.float64]]:
        """By stage, (budgets, options)."""
        scaled = [budget.scaled[0] for budget in self.budgets]
        return [
            np.array([options[i] for options in scaled]).reshape(len(scaled), len(stage))
            for i, stage in enumerate(self.scores)
        ]

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        return np.array([budget.scaled[1] for budget in self.budgets])

    def _multipliers(self) -> NDArray[np.float64] | None:
        """The budgets' prices in the linear relaxation; None if even that has no solution."""
        if not self.budgets:
            return np.zeros(0)
        sizes = [len(stage) for stage in self.scores]
        one_a_stage = np.repeat(np.eye(len(sizes)), sizes, axis=1)
        relaxed = linprog(
            -np.concatenate(self.scores),
            A_ub=np.concatenate(self._costs, axis=1),
            b_ub=self._bounds + _ROUNDING,
            A_eq=one_a_stage,
            b_eq=np.ones(len(sizes)),
        )
        return None if relaxed.status == _INFEASIBLE else np.maximum(-relaxed.ineqlin.marginals, 0)

    def _kept(self, chosen: Sequence[int]) -> bool:
        """Whether the budgets are kept, by the sum that `AdditiveCost.of` would give."""
        return all(
            b.holds(b.cost.base + sum(c[j] for c, j in zip(b.cost.costs, chosen, strict=True)))
            for b in self.budgets
        )


def _sums_from(parts: Sequence[Any]) -> list[Any]:
    """The sum of the parts from each one on, and 0 behind the last."""
    sums = [0.0 * parts[-1]]
    for part in reversed(parts):
        sums.append(sums[-1] + part)
    return sums[::-1]
