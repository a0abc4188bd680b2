"""One class an item."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from attnas.core import InputError, declare_metric

from ..data import Data, Pools
from .settings import check_share, check_weights, class_weights, read_weights
from .task import Loss, Scored, register_task

declare_metric(
    "accuracy", better="max", meaning="top-1 on the validation split", format="percent", rank=10
)
declare_metric(
    "validation_loss", better="min", meaning="mean loss on the validation split", rank=90
)


@register_task("classification")
@dataclass(frozen=True)
class Classification:
    """One of several classes for each item: cross-entropy, top-1 accuracy.

    Targets (N,) int64 from 0; outputs (N, classes). `class_weights` weigh the training loss:
    `balanced`, inversely to the classes' shares of the training items, or a list.
    `label_smoothing` is the share of the target that is spread evenly (Szegedy et al. 2016,
    arXiv:1512.00567, section 7). Neither changes what is scored.
    """

    label_smoothing: float = 0.0
    class_weights: str | Sequence[float] | None = None

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "validation_loss")
    scored: ClassVar[str] = "accuracy"
    spatial: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_share(self.label_smoothing, "label_smoothing")
        read_weights(self.class_weights)

    def check(self, pools: Pools) -> Pools:
        if not pools.classes and pools.train.targets.numel():
            highest = int(pools.train.targets.max())
            raise InputError(
                f"a label is {highest}, but there are only {len(pools.train)} images.", key="data"
            )
        if len(pools.classes) < 2:
            raise InputError(
                f"the images have {len(pools.classes)} class ({', '.join(pools.classes)}); "
                "two or more are needed.",
                key="data",
            )
        check_weights(self.class_weights, pools.classes)
        for name, pool in pools.parts().items():
            _check_labels(name, pool.targets, len(pools.classes))
        lowest = int(pools.train.targets.min())
        if lowest > 0:
            raise InputError(f"the labels start at {lowest}; they must start at 0.", key="data")
        present = torch.bincount(pools.train.targets, minlength=len(pools.classes))
        missing = [pools.classes[i] for i in (present == 0).nonzero().flatten().tolist()]
        if missing:
            raise InputError(f"no training image of the class '{missing[0]}'.", key="data")
        return pools

    def strata(self, targets: Tensor) -> NDArray[np.int64]:
        return targets.numpy()

    def data_facts(self, data: Data) -> dict[str, Any]:
        counts = {
            name: torch.bincount(pool.targets, minlength=len(data.classes)).tolist()
            for name, pool in (
                ("train", data.train),
                ("validation", data.validation),
                ("test", data.test),
            )
        }
        pairs = zip(data.classes, counts["train"], strict=True)
        if (empty := next((c for c, n in pairs if n == 0), None)) is not None:
            raise InputError(f"the class '{empty}' gets no training image.", key="data.train")
        return {"class_counts": counts}

    def output_shape(self, data: Data) -> tuple[int, ...]:
        return (len(data.classes),)

    def loss(self, data: Data, device: str) -> Loss:
        counts = torch.bincount(data.train.targets, minlength=len(data.classes))
        weights = class_weights(self.class_weights, counts)
        placed = None if weights is None else weights.to(device)
        smoothing = self.label_smoothing

        def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
            return F.cross_entropy(outputs, targets, weight=placed, label_smoothing=smoothing)

        return cross_entropy

    def scorer(self, data: Data) -> "_Scorer":
        return _Scorer()

    def averaged(self, views: Sequence[Tensor]) -> Tensor:
        """The logarithm of the mean probability, (N, classes)."""
        return torch.stack(list(views)).log_softmax(2).logsumexp(0) - math.log(len(views))

    def box(self, data: Data) -> dict[str, tuple[float, float]]:
        classes = len(data.classes)
        return {"accuracy": (1 / classes, 1.0), "validation_loss": (math.log(classes), 0.0)}


class _Scorer:
    """Counts what is right and adds up the cross-entropy, in nats."""

    def __init__(self) -> None:
        self._right: list[Tensor] = []
        self._loss = 0.0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self._right.append((outputs.argmax(1) == targets).cpu())
        self._loss += F.cross_entropy(outputs, targets, reduction="sum").item()

    def result(self) -> Scored:
        right = torch.cat(self._right).numpy()
        metrics = {
            "accuracy": int(right.sum()) / len(right),
            "validation_loss": self._loss / len(right),
        }
        return Scored(metrics, right)


def _check_labels(name: str, labels: Tensor, classes: int) -> None:
    if labels.dtype != torch.int64 or labels.ndim != 1:
        raise InputError(
            f"the {name} labels are {labels.dtype} of shape {tuple(labels.shape)}; "
            f"torch.int64 of shape ({len(labels)},) is needed to classify.",
            key="data",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise InputError(
            f"the {name} labels run from {low} to {high}; with {classes} classes "
            f"they must run from 0 to {classes - 1}.",
            key="data",
        )
