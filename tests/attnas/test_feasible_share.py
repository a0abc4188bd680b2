import re

import numpy as np
import pytest

from attnas.core import AdditiveCost, Constraint
from attnas.evaluator import additive_costs
from attnas.feasible_share import say_feasible_share
from attnas.observer import Observer
from attnas.search_space import Backbone, SearchSpace


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


class Problem:
    def __init__(self, *bounds):
        self.space = SearchSpace.create(
            Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,)),
            blocks=["none", "se", "eca", "cbam", "scse"],
            ratios=[2, 4, 8, 16],
            placements=["residual", "post", "pre"],
        )
        self.constraints = tuple(Constraint.parse(metric, text) for metric, text in bounds)


class Evaluator:
    """Of what `say_feasible_share` needs: it must not screen where all costs are known."""

    def __init__(self, **plain):
        self.plain = type("Plain", (), {"metrics": plain})

    def screen(self, architecture):
        raise KeyboardInterrupt("screened")  # what a network raises is a failed trial


class Table:
    def __init__(self, space, base):
        rng = np.random.default_rng(0)
        costs = tuple(tuple(rng.random(len(options))) for options in space.options)
        self.cost = AdditiveCost("latency_ms", base, costs)


def share(problem, evaluator, **more):
    notes = Notes()
    say_feasible_share(problem, evaluator, notes, seed=0, **more)
    found = re.match(r"Feasible: (\d+)% .*interval (\d+)% to (\d+)%\)(.*)", notes.texts[1])
    return *(int(figure) / 100 for figure in found.groups()[:3]), found[4]


def test_a_bound_on_parameters_is_counted_and_nothing_built():
    problem = Problem(("params", "<= 1.02x"))
    base = additive_costs(problem.space)["params"].base
    estimate, low, high, end = share(problem, Evaluator(params=base))
    cost = additive_costs(problem.space)["params"]
    every = np.array([cost.at(problem.space.positions(a)) for a in problem.space.enumerate()])
    assert low - 0.01 <= np.mean(every <= 1.02 * base) <= high + 0.01
    assert low <= estimate <= high <= low + 0.06
    assert end == "."


def test_a_bound_on_latency_is_looked_up_in_a_trusted_table():
    problem = Problem(("latency_ms", "<= 2.5"))
    table = Table(problem.space, base=1.0)
    _, low, high, end = share(problem, Evaluator(latency_ms=1.0), table=table)
    every = [table.cost.at(problem.space.positions(a)) for a in problem.space.enumerate()]
    assert low - 0.01 <= np.mean(np.array(every) <= 2.5) <= high + 0.01
    assert end == ", by the latency table."


def test_a_latency_without_a_table_is_screened():
    with pytest.raises(KeyboardInterrupt, match="screened"):
        share(Problem(("latency_ms", "<= 1.0x")), Evaluator(latency_ms=1.0))
