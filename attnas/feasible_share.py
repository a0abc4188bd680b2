"""Which share of the space keeps the bounds, told before the first trial."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from attnas.core import (
    AdditiveCost,
    Constraint,
    PredictedCost,
    described,
    excesses,
    violations_text,
)
from attnas.evaluator import ADDITIVE, Evaluator, additive_costs
from attnas.search_space import Architecture, SearchSpace

from .observer import Observer
from .problem import Problem

MEASURED = 20
"""Architectures drawn where each must be built, and its latency measured."""
COMPUTED = 2000
"""Architectures drawn where the costs of all are known."""

Violations = Mapping[str, float]


def say_feasible_share(
    problem: Problem,
    evaluator: Evaluator,
    observer: Observer,
    *,
    seed: int,
    table: PredictedCost | None = None,
) -> None:
    """Tells the size of the space and its feasible share, with the bound that rejects most.

    Where every bound is on a cost that adds up exactly, or on a latency for which there is a
    trusted `table`, the costs of many are computed; otherwise a few are screened.
    """
    space = problem.space
    observer.note(f"{space.size:,} distinct architectures.")
    later = [f"{c.metric} {c}" for c in problem.constraints if not described(c.metric).cheap]
    if len(later) == len(problem.constraints):
        return
    early = [c for c in problem.constraints if described(c.metric).cheap]
    known = _known_costs(space, early, evaluator.plain.metrics, table)
    judge, samples = _screened(evaluator, observer), MEASURED
    if known is not None:
        judge, samples = _computed(space, early, known, evaluator.plain.metrics), COMPUTED
    broken: list[Violations] = []

    def feasible(architecture: Architecture) -> bool:
        violations = judge(architecture)
        if violations:
            broken.append(violations)
        return violations is not None and not violations

    rng = np.random.default_rng((seed, 2**32))
    share, low, high = space.share_feasible(rng, feasible, samples)
    text = f"Feasible: {share:.0%} of the space (95 % interval {low:.0%} to {high:.0%})"
    text += ", by the latency table" if known and "latency_ms" in known else ""
    observer.note(f"{text}; {', '.join(later)} is known after training." if later else f"{text}.")
    if share == 0 and broken:
        [(constraint, count)] = Counter(c for b in broken for c in b).most_common(1)
        least = min(broken, key=lambda b: sum(b.values()))
        observer.note(
            f"'{constraint}' rejects {count} of the {len(broken)} looked at; the nearest: "
            f"{violations_text(least)}."
        )


def _known_costs(
    space: SearchSpace,
    constraints: list[Constraint],
    plain: Mapping[str, float],
    table: PredictedCost | None,
) -> dict[str, AdditiveCost] | None:
    """The cost of each bound, by metric; None if one of them must be measured."""
    asked = {c.metric for c in constraints}
    exact = {metric for metric in asked if metric in ADDITIVE and metric in plain}
    by_table = {"latency_ms"} if table is not None else set()
    if not space.is_shared or asked - exact - by_table:
        return None
    known = additive_costs(space, sorted(exact)) if exact else {}
    if table is not None:
        known["latency_ms"] = table.cost
    return known


def _computed(
    space: SearchSpace,
    constraints: list[Constraint],
    known: Mapping[str, AdditiveCost],
    plain: Mapping[str, float],
) -> Callable[[Architecture], Violations | None]:
    def judge(architecture: Architecture) -> Violations | None:
        positions = space.positions(architecture)
        costs = {metric: cost.at(positions) for metric, cost in known.items()}
        return excesses(constraints, costs, plain)

    return judge


def _screened(
    evaluator: Evaluator, observer: Observer
) -> Callable[[Architecture], Violations | None]:
    done = itertools.count(1)

    def judge(architecture: Architecture) -> Violations | None:
        observer.preparing("screened for the feasible share", next(done), MEASURED)
        try:
            return evaluator.screen(architecture).violations
        except (Exception, SystemExit):  # it will be a failed trial if it is proposed
            return None

    return judge
