"""Random search: the control that every other strategy must beat."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnas.core import History, Objective, Proposal, generator

from .fresh import fresh
from .registry import register_strategy

if TYPE_CHECKING:
    from attnas.search_space import SearchSpace


@register_strategy("random")
@dataclass(frozen=True)
class Random:
    """Draws uniformly among the architectures not yet tried; the control of every comparison.

    Source: Bergstra and Bengio 2012, "Random search for hyper-parameter optimization", JMLR 13;
    as a baseline of architecture search Li and Talwalkar 2019, arXiv:1902.07638.
    """

    space: "SearchSpace"
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        return fresh(self.space, history, self.epochs, generator(self.seed, history))
