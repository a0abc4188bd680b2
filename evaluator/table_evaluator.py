"""Replays a table of recorded results: no training, no measuring."""

from collections.abc import Mapping, Sequence
from typing import Any

from attnas.core import (
    Constraint,
    InputError,
    OnEpoch,
    Screening,
    TrainingResult,
    described,
    excesses,
)
from attnas.search_space import Architecture

from .table import Table


class TableEvaluator:
    """An evaluator whose results are looked up."""

    latency = None

    def __init__(
        self,
        table: Table,
        constraints: Sequence[Constraint],
        plain: Architecture,
        epochs: int,
        *,
        seed: int = 0,
    ) -> None:
        self.table, self.constraints, self.epochs = table, tuple(constraints), epochs
        self.seed = seed
        try:
            found = _cheap(table.lookup(plain, epochs).metrics)
        except LookupError:
            found = {}
        self.plain = Screening(found)
        relative = [c for c in self.constraints if c.relative and c.metric not in found]
        if relative:
            raise InputError(
                f"'{relative[0]}' is relative to the plain backbone, which the table does not "
                "hold. Write an absolute bound.",
                key=f"constraints.{relative[0].metric}",
            )

    def screen(self, architecture: Architecture) -> Screening:
        """The recorded cheap metrics.

        Raises:
            LookupError: the table lacks the architecture; of the plain backbone it then gives
                no metrics.
        """
        if architecture.is_plain:
            metrics = dict(self.plain.metrics)
            return Screening(metrics, excesses(self.constraints, metrics, metrics))
        metrics = _cheap(self.table.lookup(architecture, self.epochs).metrics)
        return Screening(metrics, excesses(self.constraints, metrics, self.plain.metrics))

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
    ) -> TrainingResult:
        """The recorded result; the schedule is the recording's own, whatever is asked for.

        `seconds` are those of the whole training, also where an earlier part was replayed. A
        `seed` other than the run's own must have been recorded; the run's own need not.

        Raises:
            LookupError: the table lacks the architecture, the number of epochs or the seed.
        """
        row = self.table.lookup(architecture, epochs, None if seed == self.seed else seed)
        return TrainingResult(dict(row.metrics), row.seconds, epochs=epochs)

    def environment(self) -> dict[str, Any]:
        return {"device": {}, "training_device": "none", "precision": "none"}


def _cheap(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if described(name).cheap}
