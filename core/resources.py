"""What a strategy that trains something of its own is handed: protocols, and no torch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .constraints import Constraint
from .costs import AdditiveCost, PredictedCost
from .evaluation import Screening

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from attnas.search_space import Architecture

Part = Literal["weights", "selection"]
"""Disjoint parts of the training split: weights are trained on one, architectures are chosen on
the other. The validation split stays for the evaluator."""


class SupernetTraining(Protocol):
    """The evaluator's way to train, for a network that the strategy makes."""

    @property
    def device(self) -> str:
        """Where it computes, as torch names it."""
        ...

    @property
    def precision(self) -> str:
        """`float32` or `bfloat16`."""
        ...

    @property
    def steps(self) -> int:
        """Batches of the weights' part in an epoch."""
        ...

    def place(self, network: "nn.Module") -> "nn.Module":
        """The network on the device, in the memory layout of the batches."""
        ...

    def epoch(
        self, part: Part, seed: int, number: int, *, small: bool = False
    ) -> "Iterator[tuple[Tensor, Tensor]]":
        """Inputs and targets of one pass, drawn from (seed, number); `small`: at half the side."""
        ...

    def small_epochs(self, epochs: int) -> int:
        """How many of so many epochs come first and at half the side."""
        ...

    def loss(self, outputs: "Tensor", targets: "Tensor") -> "Tensor":
        """The task's training loss, a mean over the batch."""
        ...

    def autocast(self, precision: str | None = None) -> AbstractContextManager[Any]:
        """What a forward pass runs in; the resolved precision if none is given."""
        ...

    def optimizer(self, network: "nn.Module") -> "torch.optim.Optimizer":
        """The recipe's optimizer of a network's weights."""
        ...

    def set_rate(self, optimizer: "torch.optim.Optimizer", step: int, steps: int) -> None:
        """Sets the learning rate of one of so many steps."""
        ...

    def score(self, network: "nn.Module") -> dict[str, float]:
        """The task's metrics on the selection part, batch norms recalibrated first.

        Statistics of a mixture of paths fit none of them: Yu and Huang 2019, arXiv:1903.05134,
        section 4.2. Values that are not finite are among them as they are.
        """
        ...


@dataclass(frozen=True)
class Resources:
    """What a strategy that trains something of its own may use, and where it keeps that.

    `training` gives the parts of the data that a seed draws; `screen` measures an architecture's
    cheap metrics as the evaluator does; `additive_costs` counts what adds up exactly;
    `latency_table` makes the device's table, or reads it where it was made before. `facts` say
    what the trainings depend on (data, recipe, task), as JSON values. `folder` is for artifacts:
    what lies there after a kill is what the next `prepare` goes on from. `progress` is told what
    is going on, and how many steps of how many are done; it may raise KeyboardInterrupt.
    """

    training: Callable[[int], SupernetTraining]
    constraints: tuple[Constraint, ...]
    screen: "Callable[[Architecture], Screening]"
    additive_costs: Callable[[list[str]], dict[str, AdditiveCost]]
    latency_table: Callable[[], PredictedCost]
    facts: Mapping[str, Any]
    folder: Path
    progress: Callable[[str, int, int], None]
    note: Callable[[str], None]
