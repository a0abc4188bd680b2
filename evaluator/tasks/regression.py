"""One or more numbers an item."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from attnas.core import InputError, declare_metric

from ..data import Data, Pool, Pools
from .task import Loss, Scored, register_task

BINS = 10  # of the first target, which splits share out evenly
LOSSES = ("squared", "absolute", "huber")

declare_metric(
    "r2",
    better="max",
    meaning="share of the targets' variance that is explained on the validation split",
    rank=10,
)
declare_metric(
    "mean_absolute_error",
    better="min",
    meaning="in the targets' units, on the validation split, the mean over targets",
    rank=20,
)


@register_task("regression")
@dataclass(frozen=True)
class Regression:
    """Numbers for each item: squared error on standardised targets, R2, mean absolute error.

    Targets (N, targets) float32; outputs (N, targets), of targets standardised by the training
    items' mean and deviation, so that a network need not learn units. R2 = 1 - squared error /
    squared deviation from the mean of the split, averaged over the targets that vary in it. It is
    a ratio of two means; the score of an item is R2 and what the item moves it by to first order
    (Cochran 1977, Sampling Techniques, section 6.4), so that their mean is R2 and their spread
    gives its standard error. `loss_function` is `squared`, `absolute` or `huber`.
    """

    loss_function: str = "squared"

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("r2", "mean_absolute_error", "validation_loss")
    scored: ClassVar[str] = "r2"
    spatial: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.loss_function not in LOSSES:
            raise InputError(
                f"cannot be {self.loss_function!r}. Write {', '.join(LOSSES)}.",
                key="loss_function",
            )

    def check(self, pools: Pools) -> Pools:
        pools = _as_numbers(pools)
        columns = len(pools.classes)
        for name, pool in pools.parts().items():
            targets = pool.targets
            if targets.dtype != torch.float32 or tuple(targets.shape[1:]) != (columns,):
                raise InputError(
                    f"the {name} targets are {targets.dtype} of shape {tuple(targets.shape)}; "
                    f"torch.float32 of shape (N, {columns}) is needed for a regression.",
                    key="data",
                )
            if not torch.isfinite(targets).all():
                raise InputError(f"the {name} targets are not all finite numbers.", key="data")
        return pools

    def strata(self, targets: Tensor) -> NDArray[np.int64]:
        first = targets[:, 0].numpy()
        edges = np.quantile(first, np.linspace(0, 1, BINS + 1)[1:-1])
        return np.searchsorted(edges, first).astype(np.int64)

    def data_facts(self, data: Data) -> dict[str, Any]:
        mean, deviation = _standard(data)
        constant = [c for c, d in zip(data.classes, deviation.tolist(), strict=True) if d == 0]
        if constant:
            raise InputError(f"the target '{constant[0]}' is the same for all items.", key="data")
        return {"target_mean": mean.tolist(), "target_deviation": deviation.tolist()}

    def output_shape(self, data: Data) -> tuple[int, ...]:
        return (len(data.classes),)

    def loss(self, data: Data, device: str) -> Loss:
        mean, deviation = (part.to(device) for part in _standard(data))
        chosen: dict[str, Loss] = {
            "squared": F.mse_loss,
            "absolute": F.l1_loss,
            "huber": F.huber_loss,
        }
        function = chosen[self.loss_function]

        def standardised(outputs: Tensor, targets: Tensor) -> Tensor:
            return function(outputs, ((targets - mean) / deviation).to(outputs))

        return standardised

    def scorer(self, data: Data) -> "_Scorer":
        return _Scorer(*_standard(data))

    def box(self, data: Data) -> dict[str, tuple[float, float]]:
        mean, _ = _standard(data)
        guessed = float((data.validation.targets - mean).abs().mean())
        return {
            "r2": (0.0, 1.0),
            "mean_absolute_error": (guessed, 0.0),
            "validation_loss": (1.0, 0.0),
        }


class _Scorer:
    """Keeps outputs and targets, as R2 wants the mean of all."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        self._mean, self._deviation = mean.double(), deviation.double()
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self._outputs.append(outputs.cpu())
        self._targets.append(targets.cpu())

    def result(self) -> Scored:
        targets = torch.cat(self._targets).double()
        predicted = torch.cat(self._outputs) * self._deviation + self._mean
        error = predicted - targets
        around = (targets - targets.mean(0)).square()  # (items, targets)
        varied = around.mean(0) > 0
        squared, around = error[:, varied].square(), around[:, varied]
        missed = squared.mean(0) / around.mean(0)  # 1 - R2 of each target
        shares = 1 - missed - (squared - missed * around) / around.mean(0)
        scores = shares.mean(1) if varied.any() else error.new_zeros(len(error))
        metrics = {
            "r2": float(scores.mean()),
            "mean_absolute_error": float(error.abs().mean()),
            "validation_loss": float((error / self._deviation).square().mean()),
        }
        return Scored(metrics, scores.numpy())


def _as_numbers(pools: Pools) -> Pools:
    """Whole numbers, (N,) or (N, targets), are numbers too, though sources take them for labels."""
    if pools.train.targets.dtype != torch.int64:
        return pools
    parts = {
        name: Pool(pool.inputs, pool.targets.float().reshape(len(pool), -1))
        for name, pool in pools.parts().items()
    }
    columns = parts["train"].targets.shape[1]
    names = pools.classes
    if len(names) != columns:
        names = ("target",) if columns == 1 else tuple(str(column) for column in range(columns))
    return replace(pools, **parts, classes=names)  # type: ignore[arg-type]


def _standard(data: Data) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the training items' targets, (targets,) each."""
    targets = data.train.targets
    return targets.mean(0), targets.std(0, correction=0)
