"""Refuses bounds that no architecture of the space can keep, before anything is spent on them."""

from collections.abc import Mapping, Sequence

from attnas.evaluator import Constraint, additive_costs
from attnas.evaluator.additive import ADDITIVE
from attnas.search_space import InputError, SearchSpace


def check_reachable(
    space: SearchSpace, constraints: Sequence[Constraint], plain: Mapping[str, float]
) -> None:
    """Looks at the costs that add up exactly; `plain` are the plain backbone's metrics.

    Raises:
        InputError: the least that the space has is above an upper bound, or the most below a
            lower one; the message names it.
    """
    exact = [c for c in constraints if c.metric in ADDITIVE and c.metric in plain]
    if not exact:
        return
    costs = additive_costs(space, sorted({c.metric for c in exact}))
    for constraint in exact:
        cost = costs[constraint.metric]
        end, word = (min, "least") if constraint.op == "<=" else (max, "most")
        reached = cost.base + sum(end(stage) for stage in cost.costs)
        if constraint.excess(reached, plain[constraint.metric]) > 0:
            raise InputError(
                f"'{constraint}' cannot be kept: the {word} that the search space has is "
                f"{reached:,.0f}.",
                key=f"constraints.{constraint.metric}",
            )
