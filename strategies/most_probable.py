"""The most probable architectures that keep budgets, exactly, one after the other."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import log_softmax
from torch import Tensor

from .budgets import Budget

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

NODES = 300_000
"""Partial architectures looked at before the search gives up to prove what is best: seconds."""
_ROUNDING = 1e-9
_DIGITS = 9  # of log-probabilities: what differs by less counts as equally probable
_INFEASIBLE = 2  # scipy's status

_Numbers = tuple[int, ...]
_Node = tuple[float, _Numbers, float, NDArray[np.float64]]
"""Minus a bound on the score, the options of the first decisions, their score and costs."""


def most_probable(
    space: "SearchSpace",
    logits: Sequence[Tensor],
    budgets: Sequence[Budget],
    *,
    nodes: int = NODES,
    ended: Callable[[], None] = lambda: None,
) -> "Iterator[tuple[Architecture, float]]":
    """Architectures that keep every budget, with their log-probabilities, the largest first.

    The probability of an architecture is the product of softmax(logits[i]) over its decisions. To
    find the best one under additive bounds is the multiple-choice knapsack problem (Sinha and
    Zoltners 1979, "The multiple-choice knapsack problem", Operations Research 27(3)). Solved by
    best-first branch and bound, a decision at a time, with the bound of the Lagrangian relaxation:
    for any t >= 0, score + sum_k t_k slack_k is at least the score where the slacks are not
    negative, and its maximum separates over the decisions. Equally probable ones come in the
    order of the space.

    The problem is NP-hard: once `nodes` partial architectures were looked at, `ended` is called, as
    many again are followed depth first, and what keeps the budgets among them comes last, the
    most probable first. All that comes keeps the budgets; others may then be missing.
    """
    tables = [log_softmax(own.detach().double().cpu().numpy()) for own in logits]
    search = _Search(tables, tuple(budgets))
    for chosen, score in search.solutions(nodes, ended):
        picked = [options[j] for options, j in zip(space.options, chosen, strict=True)]
        yield space.architecture(picked), score


@dataclass(frozen=True)
class _Search:
    """`scores[i][j]` is what option j of decision i adds to the score."""

    scores: list[NDArray[np.float64]]
    budgets: tuple[Budget, ...]

    def solutions(self, nodes: int, ended: Callable[[], None]) -> Iterator[tuple[_Numbers, float]]:
        """Option numbers by decision with their score, from the largest score to the least."""
        if self._prices is None:
            return
        left = nodes
        queue: list[_Node] = [(0.0, (), 0.0, np.zeros(len(self.budgets)))]
        while queue and left > 0:
            node = heapq.heappop(queue)
            if not self._whole(node):
                left -= self._options(node)
                for child in self._children(node):
                    heapq.heappush(queue, child)
            elif self._kept(node):
                yield node[1], node[2]
        if queue:
            ended()
            found = [node for node in self._depth_first(queue, nodes) if self._kept(node)]
            yield from ((chosen, score) for _, chosen, score, _ in sorted(found, key=_order))

    def _depth_first(self, queue: Sequence[_Node], nodes: int) -> Iterator[_Node]:
        """The whole ones below the queue's, the deepest followed first, within `nodes` more."""
        stack = sorted(queue, key=lambda node: (len(node[1]), -node[0]))  # the last is the first
        while stack and nodes > 0:
            node = stack.pop()
            if self._whole(node):
                yield node
            else:
                nodes -= self._options(node)
                stack += sorted(self._children(node), key=_order, reverse=True)

    def _whole(self, node: _Node) -> bool:
        return len(node[1]) == len(self.scores)

    def _options(self, node: _Node) -> int:
        """How many there are in the next decision."""
        return len(self.scores[len(node[1])])

    def _children(self, node: _Node) -> list[_Node]:
        """A node with each option of the next decision that leaves enough for the others."""
        _, chosen, score, cost = node
        place = len(chosen)
        costs = cost[:, None] + self._costs[place]
        slack = self._bounds[:, None] - costs + _ROUNDING
        fitting = (slack >= self._lightest[place + 1][:, None]).all(axis=0)
        total = score + self.scores[place]
        relaxed = self._prices @ slack + self._easiest[place + 1]
        most = np.round(total + np.minimum(self._best[place + 1], relaxed), _DIGITS)
        return [
            (-float(most[j]), (*chosen, j), float(total[j]), costs[:, j])
            for j in np.flatnonzero(fitting).tolist()
        ]

    @cached_property
    def _best(self) -> list[float]:
        """The most that the decisions from each one on add to the score, whatever they cost."""
        return _sums_from([scores.max() for scores in self.scores])

    @cached_property
    def _lightest(self) -> list[NDArray[np.float64]]:
        """The least that the decisions from each one on cost, (budgets,)."""
        return _sums_from([cost.min(axis=1) for cost in self._costs])

    @cached_property
    def _easiest(self) -> list[float]:
        """The most that decisions from each one on add to the score minus the price of costs."""
        pairs = zip(self.scores, self._costs, strict=True)
        return _sums_from([(scores - self._prices @ costs).max() for scores, costs in pairs])

    @cached_property
    def _costs(self) -> list[NDArray[np.float64]]:
        """By decision, (budgets, options)."""
        scaled = [budget.scaled[0] for budget in self.budgets]
        return [
            np.array([options[i] for options in scaled]).reshape(len(scaled), len(scores))
            for i, scores in enumerate(self.scores)
        ]

    @cached_property
    def _bounds(self) -> NDArray[np.float64]:
        return np.array([budget.scaled[1] for budget in self.budgets])

    @cached_property
    def _prices(self) -> Any:
        """The budgets' multipliers in the linear relaxation; None if it has no solution."""
        if not self.budgets:
            return np.zeros(0)
        sizes = [len(scores) for scores in self.scores]
        one_a_decision = np.repeat(np.eye(len(sizes)), sizes, axis=1)
        relaxed = linprog(
            -np.concatenate(self.scores),
            A_ub=np.concatenate(self._costs, axis=1),
            b_ub=self._bounds + _ROUNDING,
            A_eq=one_a_decision,
            b_eq=np.ones(len(sizes)),
        )
        return None if relaxed.status == _INFEASIBLE else np.maximum(-relaxed.ineqlin.marginals, 0)

    def _kept(self, node: _Node) -> bool:
        """Whether the budgets are kept, by the sum that `AdditiveCost.at` would give."""
        return all(
            b.holds(b.cost.base + sum(c[j] for c, j in zip(b.cost.costs, node[1], strict=True)))
            for b in self.budgets
        )


def _order(node: _Node) -> tuple[float, _Numbers]:
    return node[0], node[1]


def _sums_from(parts: Sequence[Any]) -> list[Any]:
    """The sum of the parts from each one on, and 0 behind the last."""
    sums = [0.0 * parts[-1]]
    for part in reversed(parts):
        sums.append(sums[-1] + part)
    return sums[::-1]
