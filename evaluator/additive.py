"""Costs that add up over the stages of an architecture."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from attnas.search_space import Architecture, SearchSpace


@dataclass(frozen=True)
class AdditiveCost:
    """A metric as the plain backbone's value plus what each stage's choice adds.

    `costs[i][j]` is what option j of stage i adds to `base`, in the order of `space.allowed`.
    """

    metric: str
    base: float
    costs: tuple[tuple[float, ...], ...]

    def of(self, architecture: Architecture, space: SearchSpace) -> float:
        """The metric of an architecture of the space."""
        options = zip(self.costs, space.allowed, architecture.choices, strict=True)
        return self.base + sum(c[allowed.index(choice)] for c, allowed, choice in options)

    def expected(self, weights: Sequence[Tensor]) -> Tensor:
        """The mean where stage i takes option j with probability `weights[i][j]`; a scalar."""
        parts = [(w * w.new_tensor(c)).sum() for w, c in zip(weights, self.costs, strict=True)]
        return self.base + sum(parts[1:], parts[0])
