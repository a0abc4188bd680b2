"""Budgets on additive costs, held while the weights of an architecture are learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attnas.core import AdditiveCost, Constraint

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_MULTIPLIER = 200.0
"""Where no weights keep the budgets, logits go so far towards those that break them least."""


@dataclass(frozen=True)
class Budget:
    """`cost` is at most `bound`, or at least if `lower`; the bound is in the metric's unit."""

    cost: AdditiveCost
    bound: float
    lower: bool = False

    @classmethod
    def of(
        cls,
        constraint: Constraint,
        plain: Mapping[str, float],
        costs: Mapping[str, AdditiveCost],
    ) -> "Budget":
        """The budget that a constraint on the metric of one of these costs is.

        Args:
            plain: the plain backbone's metrics, of which relative bounds are shares.

        Raises:
            KeyError: no cost has that metric, or `plain` lacks it and the bound is relative.
        """
        cost = costs[constraint.metric]
        return cls(cost, constraint.resolve(plain).bound, constraint.op == ">=")

    def __str__(self) -> str:
        return f"{self.cost.metric} {'>=' if self.lower else '<='} {self.bound:.6g}"

    @property
    def easiest(self) -> float:
        """The cost of the architecture that keeps the budget with most to spare."""
        low, high = self.cost.span
        return high if self.lower else low

    def holds(self, cost: float) -> bool:
        """Whether an architecture of that cost keeps it."""
        return cost >= self.bound if self.lower else cost <= self.bound

    def beyond(self, margin: float = 0.0) -> str:
        """That no architecture keeps it and what the space has, if costs err by `margin` at most.

        Empty if one may.
        """
        nearest = self.easiest * (1 + margin) if self.lower else self.easiest / (1 + margin)
        if self.holds(nearest):
            return ""
        end = "greatest" if self.lower else "least"
        return f"{self} cannot be kept, the {end} that the space has is {self.easiest:.6g}"

    @cached_property
    def scaled(self) -> tuple[tuple[NDArray[np.float64], ...], float]:
        """Costs by decision and a bound on their sum, never to be exceeded, whatever the metric.

        In shares of the range that the cost has over the space.
        """
        low, high = self.cost.span
        sign = (-1.0 if self.lower else 1.0) / ((high - low) or 1.0)
        options = tuple(sign * np.array(costs, dtype=float) for costs in self.cost.costs)
        return options, sign * (self.bound - self.cost.base)


def project(logits: "Sequence[Tensor]", budgets: Sequence[Budget]) -> "list[Tensor]":
    """Logits of the nearest weights whose expected costs keep the budgets.

    The weights of decision i are softmax(logits[i]), (options,). Of all weights q that keep the
    budgets those with the least Kullback-Leibler divergence from p are
    q proportional to p exp(-sum_k t_k c_k), with multipliers t >= 0 that minimise the convex
    dual sum_i logsumexp(logits_i - sum_k t_k c_ki) + sum_k t_k b_k: Csiszar 1975,
    "I-divergence geometry of probability distributions and minimization problems", Annals of
    Probability 3(1), theorem 3.1. A gradient step followed by it is, in the geometry of this
    divergence, a step on the loss plus sum_k t_k E[c_k] with the one t that holds the budgets
    (Beck and Teboulle 2003, "Mirror descent and nonlinear projected subgradient methods",
    section 3): a loss with the expected latency in it, whose weight nobody has to tune.

    Logits whose weights keep the budgets come back as they are.
    """
    import torch
    from scipy.optimize import minimize

    if not budgets:
        return [own.detach().clone() for own in logits]
    start = [own.detach().double().cpu().numpy() for own in logits]
    scaled = [budget.scaled for budget in budgets]
    costs = [np.array([options[i] for options, _ in scaled]) for i in range(len(start))]
    bounds = np.array([bound for _, bound in scaled])

    def dual(t: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = float(t @ bounds), bounds.copy()
        for own, cost in zip(start, costs, strict=True):  # cost: (budgets, options)
            tilted = own - t @ cost
            top = tilted.max()
            weights = np.exp(tilted - top)
            total = weights.sum()
            value += float(top + np.log(total))
            slope -= cost @ weights / total
        return value, slope

    if (dual(np.zeros(len(budgets)))[1] >= 0).all():
        return [own.detach().clone() for own in logits]
    found = minimize(
        dual,
        np.zeros(len(budgets)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, LARGEST_MULTIPLIER)] * len(budgets),
        options={"ftol": 0, "gtol": 1e-9, "maxiter": 200},
    )
    moves = [torch.from_numpy(found.x @ cost) for cost in costs]
    return [own.detach() - move.to(own) for own, move in zip(logits, moves, strict=True)]


def out_of_reach(budgets: Sequence[Budget]) -> str:
    """Which budgets nothing in the space keeps, and what it could; or that all are too much."""
    alone = "; ".join(filter(None, (budget.beyond() for budget in budgets)))
    at_once = ", ".join(map(str, budgets))
    return alone or f"no architecture was found that keeps {at_once} at once"
