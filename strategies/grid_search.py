"""Grid search: the whole of a small space, in order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnas.core import History, Objective, Proposal

from .fresh import used
from .registry import register_strategy

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace


@register_strategy("grid")
@dataclass(frozen=True)
class Grid:
    """Takes every architecture of the space in order; for spaces that the budget covers.

    The order is that of `SearchSpace.enumerate`: the last decision varies fastest.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        begun = used(history, self.epochs)
        left = (a for a in self.space.enumerate() if a not in begun)
        following = next(left, None)
        return None if following is None else Proposal(following, self.epochs)
