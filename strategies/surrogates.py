"""What a history lets one expect of any architecture: costs, what training tells, the bounds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attnas.core import Objective, Trial, bound_broken, described

from . import cost_regression, gaussian_process
from .expected_improvement import Forecast, Squeeze
from .gaussian_process import Codes

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

Floats = NDArray[np.float64]

EXACT, TINY = 1e-9, 1e-12  # the least relative and absolute deviation of a cost


class Loss(NamedTuple):
    """A metric times its sign: less is better."""

    metric: str
    sign: float

    @classmethod
    def by(cls, objective: Objective) -> "Loss":
        return cls(objective.metric, -1.0 if objective.direction == "max" else 1.0)

    @property
    def is_cheap(self) -> bool:
        """Whether it is known without training; a metric that nobody registered is not."""
        return described(self.metric).cheap

    def of(self, trials: Sequence[Trial]) -> Floats:
        """That of each trial, NaN where it was not taken: (n,)."""
        values = [trial.metrics.get(self.metric, np.nan) for trial in trials]
        return self.sign * np.array(values, dtype=float)


class Bound(NamedTuple):
    """`loss <= limit`."""

    loss: Loss
    limit: float


def bounds(trials: Iterable[Trial]) -> tuple[Bound, ...]:
    """The constraints that some trial broke; the others are not known, and nothing broke them.

    A broken constraint is `metric op bound` as text, and its relative excess over the bound.
    """
    found: dict[str, Bound] = {}
    for trial in trials:
        for text, excess in trial.violations.items():
            name, operator = text.split()[:2]
            value = trial.metrics.get(name, np.nan)
            if text not in found and np.isfinite(value) and np.isfinite(excess):
                sign = -1.0 if operator == ">=" else 1.0
                limit = sign * bound_broken(text, float(value), excess)
                found[text] = Bound(Loss(name, sign), limit)
    return tuple(found.values())


@dataclass(frozen=True)
class Surrogate:
    """What is believed of one loss.

    `seen` (n,): of what was trained, then of what is in flight. `explained` is the share of the
    variance that is predicted of trainings left out.
    """

    seen: Floats
    predict: Callable[[Codes], Forecast]
    explained: float = 1.0


@dataclass(frozen=True)
class Evidence:
    """All that teaches something, and what is in flight.

    `scored` and `failed` say which of the trials were trained for the epochs in question, with
    and without success.
    """

    space: "SearchSpace"
    trials: Sequence[Trial]
    scored: Sequence[int]
    failed: Sequence[int]
    running: "Sequence[Architecture]"

    def codes(self, architectures: "Iterable[Architecture]") -> Codes:
        rows = [self.space.positions(architecture) for architecture in architectures]
        numbers = [[-1 if p is None else p for p in row] for row in rows]
        width = len(self.space.positions(self.space.plain))
        return np.array(numbers, dtype=np.int64).reshape(len(rows), width)

    def surrogates(self, losses: Iterable[Loss]) -> dict[Loss, Surrogate]:
        """Of each loss that some trial tells."""
        codes = self.codes(trial.architecture for trial in self.trials)
        running = self.codes(self.running)
        found = {
            loss: (self._of_cost if loss.is_cheap else self._of_training)(loss, codes, running)
            for loss in dict.fromkeys(losses)
        }
        return {loss: surrogate for loss, surrogate in found.items() if surrogate is not None}

    def _of_cost(self, loss: Loss, codes: Codes, running: Codes) -> Surrogate | None:
        """Learned from all trials; of those seen it is what it was."""
        costs = loss.of(self.trials)
        known = np.flatnonzero(np.isfinite(costs))
        if not len(known):
            return None
        regression = cost_regression.fit(codes[known], loss.sign * costs[known])

        def predict(asked: Codes) -> Forecast:
            mean, deviation = regression.predict(asked)
            return Forecast(loss.sign * mean, np.maximum(deviation, EXACT * np.abs(mean) + TINY))

        of_scored = np.where(np.isfinite(costs), costs, predict(codes).mean)[self.scored]
        return Surrogate(np.concatenate([of_scored, predict(running).mean]), predict)

    def _of_training(self, loss: Loss, codes: Codes, running: Codes) -> Surrogate | None:
        """Learned from the trainings; of those seen it is the posterior mean."""
        values = loss.of(self.trials)
        known = [i for i in self.scored if np.isfinite(values[i])]
        if not known:
            return None
        worst = np.full(len(self.failed), values[known].max())
        values = np.concatenate([values[known], worst])
        squeeze = Squeeze.of(values)
        fitted = gaussian_process.fit(codes[[*known, *self.failed]], squeeze.apply(values))
        process = fitted.believing(running)

        def predict(asked: Codes) -> Forecast:
            return Forecast(*process.predict(asked), squeeze)

        seen = predict(np.concatenate([codes[self.scored], running])).middle
        return Surrogate(seen, predict, fitted.explained)
