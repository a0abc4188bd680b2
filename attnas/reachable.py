"""Refuses bounds that no architecture of the space can keep, before anything is spent on them."""

from collections.abc import Mapping, Sequence

from attnas.evaluator import Constraint, additive_costs
from attnas.evaluator.additive import ADDITIVE
from attnas.search_space import InputError, SearchSpace
from attnas.strategies.budgets import Budget


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
        budget = Budget.of(constraint, plain, costs)
        if not budget.holds(budget.easiest):
            raise InputError(
                f"'{constraint}' cannot be kept: the {'most' if budget.lower else 'least'} that "
                f"the search space has is {budget.easiest:,.0f}.",
                key=f"constraints.{constraint.metric}",
            )
