"""The most probable architectures within budgets, against enumeration of the whole space."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from attnas.core import AdditiveCost
from attnas.strategies.budgets import Budget
from attnas.strategies.most_probable import most_probable


def problem(simulation, seed, sizes, budgets, *, whole=False):
    """A space with random logits, and budgets that a part of it keeps."""
    rng = np.random.default_rng(seed)
    space = simulation.space_of(*sizes)
    logits = [torch.tensor(rng.normal(0, 2, n)) for n in sizes]
    found = []
    for number in range(budgets):
        table = tuple(
            tuple((rng.integers(0, 5, n) if whole else rng.uniform(0, 5, n)).tolist())
            for n in sizes
        )
        bound = 10.0 + sum(np.mean(stage) for stage in table) * rng.uniform(0.3, 1.2)
        found.append(Budget(AdditiveCost("params", 10.0, table), float(bound), number % 3 == 2))
    return space, logits, found


def enumerated(space, logits, budgets):
    """All architectures that keep the budgets with their log-probability, best first."""
    tables = [log_softmax(stage.numpy()) for stage in logits]
    kept = []
    for architecture in space.enumerate():
        places = [o.index(c) for o, c in zip(space.options, architecture.options, strict=True)]
        if all(b.holds(b.cost.at(places)) for b in budgets):
            score = sum(t[i] for t, i in zip(tables, places, strict=True))
            kept.append((architecture, score))
    return sorted(kept, key=lambda entry: -entry[1])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    budgets=st.integers(0, 3),
    whole=st.booleans(),
)
def test_all_that_keep_the_budgets_come_in_order_of_probability(
    simulation, seed, sizes, budgets, whole
):
    space, logits, bounds = problem(simulation, seed, sizes, budgets, whole=whole)
    found = list(most_probable(space, logits, bounds))
    expected = enumerated(space, logits, bounds)
    assert [a for a, _ in found] == [a for a, _ in expected]
    assert [s for _, s in found] == pytest.approx([s for _, s in expected])


def test_equally_probable_ones_come_in_the_order_of_the_space(simulation):
    space = simulation.space_of(3, 3)
    found = [a for a, _ in most_probable(space, [torch.zeros(3), torch.zeros(3)], [])]
    assert found == list(space.enumerate())
    assert math.exp(next(most_probable(space, [torch.zeros(3)] * 2, []))[1]) == pytest.approx(1 / 9)


def test_a_bound_that_is_met_exactly_is_kept(simulation):
    space = simulation.space_of(3, 3)
    cost = AdditiveCost("params", 0.3, ((0.0, 0.1, 0.2), (0.0, 0.1, 0.2)))
    exact = cost.at(space.positions(space.at(4)))  # a sum that floats round
    logits = [torch.tensor([0.0, 5.0, 9.0])] * 2
    best, _ = next(most_probable(space, logits, [Budget(cost, exact)]))
    assert cost.at(space.positions(best)) <= exact
    assert best in (space.at(2), space.at(4), space.at(6))


def test_nothing_comes_where_nothing_keeps_the_budgets(simulation):
    space = simulation.space_of(2, 2)
    cost = AdditiveCost("params", 10.0, ((0.0, 1.0), (0.0, 1.0)))
    contradiction = [Budget(cost, 10.2), Budget(cost, 10.8, lower=True)]
    assert list(most_probable(space, [torch.zeros(2)] * 2, contradiction)) == []
    assert list(most_probable(space, [torch.zeros(2)] * 2, [Budget(cost, 9.0)])) == []


def test_a_million_architectures_are_searched_without_listing_them(simulation):
    """Against the best of a sweep over pairs of stages; 10^6 paths, most of them too dear."""
    sizes = (10, 10, 10, 10, 10, 10)
    space, logits, [budget] = problem(simulation, 3, sizes, 1)
    [(best, score)] = itertools.islice(most_probable(space, logits, [budget]), 1)
    assert budget.holds(budget.cost.at(space.positions(best)))
    scores, costs = _all(logits, budget.cost)
    assert score == pytest.approx(scores[costs <= budget.bound].max())


def test_of_equally_probable_ones_the_first_comes_without_looking_at_the_others(simulation):
    """10^6 paths and no logit moved yet, as at the beginning of a search."""
    space, _, [budget] = problem(simulation, 3, (10,) * 6, 1)
    logits = [torch.zeros(10)] * 6
    [(first, _)] = itertools.islice(most_probable(space, logits, [budget], nodes=1000), 1)
    _, costs = _all(logits, budget.cost)
    assert first == space.at(int(np.argmax(costs <= budget.bound)))


def test_beyond_its_nodes_it_says_so_and_gives_the_best_that_it_found(simulation):
    """Two bounds on one cost that few of the 4^5 paths lie between, and room for few nodes."""
    space, logits, [upper] = problem(simulation, 8, (4,) * 5, 1)
    between = [upper, Budget(upper.cost, upper.bound - 0.5, lower=True)]
    everything = dict(enumerated(space, logits, between))
    said = []
    found = list(
        most_probable(space, logits, between, nodes=60, ended=lambda: said.append("ended"))
    )
    assert said == ["ended"]
    assert 0 < len(found) < len(everything)
    assert all(score == pytest.approx(everything[a]) for a, score in found)
    assert len({a for a, _ in found}) == len(found)


def _all(logits, cost):
    """Scores and costs of every architecture, by broadcasting."""
    scores, costs = np.zeros(1), np.full(1, cost.base)
    for stage, added in zip(logits, cost.costs, strict=True):
        scores = (scores[:, None] + log_softmax(stage.numpy())).ravel()
        costs = (costs[:, None] + np.array(added)).ravel()
    return scores, costs
