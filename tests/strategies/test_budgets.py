"""Budgets: the projection against a general optimiser, bounds against their meaning."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from attnas.core import AdditiveCost, Constraint
from attnas.strategies.budgets import Budget, out_of_reach, project

COST = AdditiveCost("latency_ms", 2.0, ((0.0, 0.4, 1.0), (0.0, 0.2)))


def weights(logits):
    return [stage.double().softmax(0) for stage in logits]


def expected(cost, weights):
    """The mean cost of architectures whose options are drawn by these weights."""
    added = (w @ torch.tensor(c).double() for w, c in zip(weights, cost.costs, strict=True))
    return cost.base + sum(float(of_stage) for of_stage in added)


def drawn(seed, sizes, budgets=1):
    rng = np.random.default_rng(seed)
    logits = [torch.tensor(rng.normal(0, 2, n)) for n in sizes]
    costs = [
        AdditiveCost("params", 50.0, tuple(tuple(rng.uniform(0, 9, n).tolist()) for n in sizes))
        for _ in range(budgets)
    ]
    return logits, costs


def test_the_projection_of_two_options_is_what_the_bound_leaves():
    """One stage, costs 0 and 1: weights (1 - q, q) cost q, so a bound of 0.2 gives q = 0.2."""
    cost = AdditiveCost("latency_ms", 3.0, ((0.0, 1.0),))
    [stage] = project([torch.tensor([0.0, 1.0], dtype=torch.float64)], [Budget(cost, 3.2)])
    torch.testing.assert_close(stage.softmax(0), torch.tensor([0.8, 0.2], dtype=torch.float64))


def test_weights_within_the_budgets_stay_as_they_are():
    logits = [torch.tensor([3.0, 0.0, -1.0]), torch.tensor([0.5, 0.0])]
    kept = project(logits, [Budget(COST, 2.9), Budget(COST, 2.0, lower=True)])
    assert all(torch.equal(a, b) for a, b in zip(logits, kept, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(logits, project(logits, []), strict=True))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 2))
def test_the_projection_is_the_nearest_by_divergence(seed, count):
    """Against SLSQP on the weights themselves."""
    logits, costs = drawn(seed, (3, 4), count)
    start = np.concatenate([w.numpy() for w in weights(logits)])
    flat = [np.concatenate([np.array(c) for c in cost.costs]) for cost in costs]
    even = np.concatenate([np.full(3, 1 / 3), np.full(4, 1 / 4)])  # keeps every bound
    bounds = [float(c @ even) for c in flat]
    found = project(logits, [Budget(c, c.base + b) for c, b in zip(costs, bounds, strict=True)])
    best = minimize(
        lambda q: float((q * np.log(q / start)).sum()),
        even,
        bounds=[(1e-12, 1)] * 7,
        constraints=[
            {"type": "eq", "fun": lambda q: q[:3].sum() - 1},
            {"type": "eq", "fun": lambda q: q[3:].sum() - 1},
            *(
                {"type": "ineq", "fun": lambda q, c=c, b=b: (b - c @ q) / 9}
                for c, b in zip(flat, bounds, strict=True)
            ),
        ],
        options={"ftol": 1e-13, "maxiter": 500},
    )
    ours = np.concatenate([w.numpy() for w in weights(found)])
    assert all(c @ ours <= b + 1e-6 for c, b in zip(flat, bounds, strict=True))
    divergence = float((ours * np.log(ours / start)).sum())
    assert divergence == pytest.approx(best.fun, abs=2e-4)


def test_a_least_cost_is_held_as_well():
    found = project([torch.zeros(3), torch.zeros(2)], [Budget(COST, 3.0, lower=True)])
    assert expected(COST, weights(found)) == pytest.approx(3.0, abs=1e-6)


def test_where_no_weights_keep_the_budget_they_go_to_the_cheapest():
    found = project([torch.zeros(3), torch.zeros(2)], [Budget(COST, 1.5)])
    assert all(torch.isfinite(stage).all() for stage in found)
    assert [int(stage.argmax()) for stage in found] == [0, 0]
    assert expected(COST, weights(found)) == pytest.approx(2.0, abs=1e-3)


def test_a_cost_that_is_the_same_everywhere_moves_nothing():
    constant = AdditiveCost("params", 10.0, ((1.0, 1.0),))
    [stage] = project([torch.tensor([0.3, 0.1])], [Budget(constant, 5.0)])
    torch.testing.assert_close(stage.softmax(0), torch.tensor([0.3, 0.1]).softmax(0))


def test_constraints_become_budgets_in_the_unit_of_their_metric():
    relative = Budget.of(
        Constraint("latency_ms", "<=", 1.1, relative=True),
        {"latency_ms": 3.0},
        {"latency_ms": COST},
    )
    absolute = Budget.of(Constraint("latency_ms", ">=", 2.5), {}, {"latency_ms": COST})
    assert (relative.bound, relative.lower) == (pytest.approx(3.3), False)
    assert (absolute.bound, absolute.lower) == (2.5, True)
    assert (relative.easiest, absolute.easiest) == (2.0, pytest.approx(3.2))
    assert [relative.holds(cost) for cost in (3.29, 3.31)] == [True, False]
    assert [absolute.holds(cost) for cost in (2.5, 2.49)] == [True, False]


def test_what_cannot_be_kept_is_said_with_what_could_be():
    assert out_of_reach([Budget(COST, 1.5), Budget(COST, 4, lower=True)]) == (
        "latency_ms <= 1.5 cannot be kept, the least that the space has is 2; "
        "latency_ms >= 4 cannot be kept, the greatest that the space has is 3.2"
    )
    assert out_of_reach([Budget(COST, 2.1), Budget(COST, 2.15, lower=True)]) == (
        "no architecture was found that keeps latency_ms <= 2.1, latency_ms >= 2.15 at once"
    )
