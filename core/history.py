"""What a strategy sees, and what it answers: pure values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .trial import Trial

if TYPE_CHECKING:
    from attnas.search_space import Architecture


@dataclass(frozen=True)
class Proposal:
    """What to evaluate next, and for how many epochs to train it.

    `schedule_epochs` is the number of epochs that the learning-rate schedule is laid out for,
    `epochs` itself if None: a training that is to go on later stops in the middle of it. `seed`
    is the training's, None for the run's own: an architecture may be proposed again with another
    one, to learn how much of its figures is luck.
    """

    architecture: "Architecture"
    epochs: int
    schedule_epochs: int | None = None
    seed: int | None = None


@dataclass(frozen=True)
class History:
    """All that happened in a run: finished trials in order of number, and what is in flight.

    `next_number` is the number that the next trial will get; random draws come from it.
    """

    finished: Sequence[Trial] = ()
    running: Sequence[Proposal] = ()
    next_number: int = 0

    @cached_property
    def tried(self) -> "frozenset[tuple[Architecture, int]]":
        """What must not be proposed again with a seed that it had: every (architecture, epochs)
        begun so far."""
        done = {(trial.architecture, trial.epochs) for trial in self.finished}
        return frozenset(done | {(p.architecture, p.epochs) for p in self.running})

    @cached_property
    def rejected(self) -> "frozenset[Architecture]":
        """Architectures that a cheap metric ruled out, whatever the epochs."""
        return frozenset(t.architecture for t in self.finished if t.state == "infeasible")

    @cached_property
    def complete(self) -> tuple[Trial, ...]:
        """Trained and scored trials, feasible or not, in order of number."""
        return tuple(trial for trial in self.finished if trial.state == "complete")


def generator(seed: int, history: History) -> np.random.Generator:
    """The random numbers of one proposal, from the seed and the trial's number alone."""
    return np.random.default_rng((seed, history.next_number))
