"""Costs that add up over the decisions of an architecture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class AdditiveCost:
    """A metric as the plain backbone's value plus what the option of each decision adds.

    `costs[i][j]` is what option j of decision i adds to `base`, in the order of
    `SearchSpace.options`.
    """

    metric: str
    base: float
    costs: tuple[tuple[float, ...], ...]

    def at(self, positions: Sequence[int | None]) -> float:
        """The metric of the architecture with these options, by their numbers.

        Raises:
            ValueError: an option is not in the space.
        """
        if None in positions:
            raise ValueError(f"{positions}: an option is not in the search space")
        return self.base + sum(
            of_decision[position or 0]
            for of_decision, position in zip(self.costs, positions, strict=True)
        )

    @property
    def span(self) -> tuple[float, float]:
        """The least and the greatest cost in the space."""
        low, high = (sum(map(end, self.costs)) for end in (min, max))
        return self.base + low, self.base + high


class PredictedCost(Protocol):
    """A cost that was fitted, with its error on networks that were held out."""

    @property
    def cost(self) -> AdditiveCost: ...

    @property
    def trusted(self) -> bool:
        """Whether it errs by so little that it may decide something."""
        ...

    @property
    def margin(self) -> float:
        """The share by which 95 % of the predictions are off at most."""
        ...
