from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from attnas.core import declare_metric
from attnas.evaluator import Data, Pools, Scored, register_task

declare_metric("own_closeness", better="max", meaning="mean of 1 / (1 + |error|)")


@register_task("own_pinball")
@dataclass(frozen=True)
class Pinball:
    """A quantile of a number (Koenker and Bassett 1978)."""

    quantile: float = 0.5

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("own_closeness", "validation_loss")
    scored: ClassVar[str] = "own_closeness"
    spatial: ClassVar[bool] = False

    def check(self, pools: Pools) -> Pools:
        return pools

    def strata(self, targets: Tensor) -> Any:
        return np.zeros(len(targets), dtype=np.int64)

    def data_facts(self, data: Data) -> dict[str, Any]:
        return {}

    def output_shape(self, data: Data) -> tuple[int, ...]:
        return (1,)

    def loss(self, data: Data, device: str) -> Any:
        return self.pinball

    def pinball(self, outputs: Tensor, targets: Tensor) -> Tensor:
        error = targets - outputs
        return torch.maximum(self.quantile * error, (self.quantile - 1) * error).mean()

    def scorer(self, data: Data) -> "Closeness":
        return Closeness(self)

    def box(self, data: Data) -> dict[str, tuple[float, float]]:
        return {"own_closeness": (0.0, 1.0), "validation_loss": (1.0, 0.0)}


class Closeness:
    def __init__(self, task: Pinball) -> None:
        self.task = task
        self.scores: list[Tensor] = []
        self.losses: list[float] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.scores.append(1 / (1 + (outputs - targets).abs()[:, 0]))
        self.losses.append(float(self.task.pinball(outputs, targets)))

    def result(self) -> Scored:
        scores = torch.cat(self.scores).cpu().numpy()
        loss = float(np.mean(self.losses))
        return Scored({"own_closeness": float(scores.mean()), "validation_loss": loss}, scores)
