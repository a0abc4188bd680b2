"""The latency table: a regression of whole networks' latencies on their choices."""

from dataclasses import dataclass

from attnas.search_space import Architecture, SearchSpace

from .additive import AdditiveCost


@dataclass(frozen=True)
class TableError:
    """How far predictions are off on networks that were not fitted."""

    mape: float
    tau: float
    r2: float


@dataclass(frozen=True)
class LatencyTable:
    """Latency by choice of each stage, with the error on networks that were held out."""

    space: SearchSpace
    cost: AdditiveCost
    error: TableError

    def predict(self, architecture: Architecture) -> float:
        """Milliseconds a batch."""
        return self.cost.of(architecture, self.space)
