from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnas.core import History, Objective, Proposal
from attnas.strategies import register_strategy

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace


@register_strategy("own_backwards")
@dataclass(frozen=True)
class Backwards:
    """The last architecture of the space first."""

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        for index in reversed(range(self.space.size)):
            proposal = Proposal(self.space.at(index), self.epochs)
            if (proposal.architecture, self.epochs) not in history.tried:
                return proposal
        return None
