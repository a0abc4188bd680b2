"""Grid search: the whole of a small space, in order."""

from dataclasses import dataclass

from attnas.results import Objective
from attnas.search_space import SearchSpace

from .fresh import spent
from .protocol import History, Proposal
from .registry import register_strategy


@register_strategy("grid")
@dataclass(frozen=True)
class Grid:
    """Takes every architecture of the space in order; for spaces that the budget covers.

    The order is that of `SearchSpace.enumerate`: the last stage varies fastest.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        used = spent(history, self.epochs)
        left = (a for a in self.space.enumerate() if a not in used)
        following = next(left, None)
        return None if following is None else Proposal(following, self.epochs)
