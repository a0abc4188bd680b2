"""Refuses bounds that no architecture of the space can keep, before anything is spent on them."""

from collections.abc import Mapping, Sequence

from attnas.core import Constraint, InputError
from attnas.evaluator import ADDITIVE, additive_costs
from attnas.search_space import SearchSpace
from attnas.strategies import Budget


def check_reachable(
    space: SearchSpace, constraints: Sequence[Constraint], plain: Mapping[str, float]
) -> None:
    """Looks at the costs that add up exactly; `plain` are the plain backbone's metrics.

    A space that decides more than attention has none.

    Raises:
        InputError: the least that the space has is above an upper bound, or the most below a
            lower one; the message names it.
    """
    exact = [c for c in constraints if c.metric in ADDITIVE and c.metric in plain]
    if not exact or not space.is_shared:
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
