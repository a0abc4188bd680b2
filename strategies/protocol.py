"""What a strategy is: a pure function of the history and its seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from attnas.evaluator import Constraint, Data, LatencyTable, Recipe, Screening
from attnas.results import Objective, Trial
from attnas.search_space import Architecture, SearchSpace


@dataclass(frozen=True)
class Proposal:
    """What to evaluate next, and for how many epochs to train it.

    `of` is the number of epochs that the learning-rate schedule is laid out for, `epochs`
    itself if None: a training that is to go on later stops in the middle of its schedule.
    """

    architecture: Architecture
    epochs: int
    of: int | None = None


@dataclass(frozen=True)
class History:
    """All that happened in a run: finished trials in order of number, and what is in flight.

    `next_number` is the number that the next trial will get; random draws come from it.
    """

    finished: Sequence[Trial] = ()
    running: Sequence[Proposal] = ()
    next_number: int = 0

    @cached_property
    def tried(self) -> frozenset[tuple[Architecture, int]]:
        """What must not be proposed again: every (architecture, epochs) begun so far."""
        done = {(trial.architecture, trial.epochs) for trial in self.finished}
        return frozenset(done | {(p.architecture, p.epochs) for p in self.running})

    @cached_property
    def rejected(self) -> frozenset[Architecture]:
        """Architectures that a cheap metric ruled out, whatever the epochs."""
        return frozenset(t.architecture for t in self.finished if t.state == "infeasible")

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """Trained and scored trials, feasible or not, in order of number."""
        return tuple(trial for trial in self.finished if trial.state == "complete")


@runtime_checkable
class Strategy(Protocol):
    """Proposes the next trial.

    An implementation is a frozen dataclass of settings: nothing survives a call, so a run
    that was killed goes on as if it had not been. Fields every strategy has: `space`,
    `objectives`, `epochs`, `seed`.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    epochs: int
    seed: int

    def propose(self, history: History) -> Proposal | None:
        """The next proposal, never one in `history.tried` nor of a rejected architecture;
        None when the space has nothing left."""
        ...


@dataclass(frozen=True)
class Resources:
    """What a strategy that trains something of its own may use, and where it keeps that.

    `screen` measures an architecture's cheap metrics as the evaluator does; `latency_table`
    makes the device's table, or reads it where it was made before. `folder` is for artifacts:
    what lies there after a kill is what the next `prepare` goes on from. `progress` is told
    what is going on, and how many steps of how many are done; it may raise KeyboardInterrupt.
    """

    data: Data
    recipe: Recipe
    constraints: tuple[Constraint, ...]
    screen: Callable[[Architecture], Screening]
    latency_table: Callable[[], LatencyTable]
    folder: Path
    training_device: str
    progress: Callable[[str, int, int], None]
    note: Callable[[str], None]


@runtime_checkable
class Preparing(Protocol):
    """A strategy that must train something, such as a supernet, before it can propose."""

    def prepare(self, resources: Resources) -> Strategy:
        """The strategy that proposes; the same one if called again with the same folder.

        Raises:
            AttnasError: the training failed, or nothing meets the constraints.
        """
        ...


def generator(seed: int, history: History) -> np.random.Generator:
    """The random numbers of one proposal, from the seed and the trial's number alone."""
    return np.random.default_rng((seed, history.next_number))
