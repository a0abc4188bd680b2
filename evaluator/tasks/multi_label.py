"""Any number of labels an item."""

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
from .settings import check_weights, class_weights, read_weights
from .task import Loss, Scored, register_task

declare_metric(
    "mean_average_precision",
    better="max",
    meaning="average precision on the validation split, the mean over the labels",
    format="percent",
    rank=10,
)


@register_task("multi_label")
@dataclass(frozen=True)
class MultiLabel:
    """Each of several labels or not, for each item: binary cross-entropy, mean average precision.

    Targets (N, labels) of 0 and 1; outputs (N, labels), logits. Average precision is that of
    information retrieval: the mean of the precisions at each positive, ranked by output
    (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, without interpolation). It is no mean
    over items; the score of an item is its jackknife pseudo-value, n AP - (n - 1) AP without it,
    averaged over the labels (Efron and Tibshirani 1993, section 11.4): differences of these in
    pairs have the variance that differences of the metric have. `class_weights` weigh the labels
    in the training loss: `balanced`, by how rare they are, or a list.
    """

    class_weights: str | Sequence[float] | None = None

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("mean_average_precision", "validation_loss")
    scored: ClassVar[str] = "mean_average_precision"
    spatial: ClassVar[bool] = False

    def __post_init__(self) -> None:
        read_weights(self.class_weights)

    def check(self, pools: Pools) -> Pools:
        labels = len(pools.classes)
        check_weights(self.class_weights, pools.classes)
        for name, pool in pools.parts().items():
            targets = pool.targets
            if targets.ndim != 2 or targets.shape[1] != labels or targets.is_floating_point():
                raise InputError(
                    f"the {name} targets are {targets.dtype} of shape {tuple(targets.shape)}; "
                    f"whole numbers 0 and 1 of shape (N, {labels}), one column a label, are "
                    "needed.",
                    key="data",
                )
            if int(targets.min()) < 0 or int(targets.max()) > 1:
                raise InputError(f"the {name} targets are not all 0 or 1.", key="data")
        rare = (pools.train.targets.sum(0) == 0).nonzero().flatten().tolist()
        if rare:
            label = pools.classes[rare[0]]
            raise InputError(f"no training item has the label '{label}'.", key="data")
        return pools

    def strata(self, targets: Tensor) -> NDArray[np.int64]:
        """The rarest label of each item, 0 for none: rare labels are shared out evenly."""
        rarity = targets.float().mean(0)
        own = torch.where(targets > 0, 2 - rarity, torch.zeros(()))
        return torch.where(targets.any(1), own.argmax(1) + 1, 0).numpy()

    def data_facts(self, data: Data) -> dict[str, Any]:
        empty = [
            data.classes[i] for i in (data.train.targets.sum(0) == 0).nonzero().flatten().tolist()
        ]
        if empty:
            raise InputError(f"the label '{empty[0]}' gets no training item.", key="data.train")
        return {"label_counts": data.train.targets.sum(0).tolist()}

    def output_shape(self, data: Data) -> tuple[int, ...]:
        return (len(data.classes),)

    def loss(self, data: Data, device: str) -> Loss:
        weights = class_weights(self.class_weights, data.train.targets.sum(0))
        placed = None if weights is None else weights.to(device)

        def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
            return F.binary_cross_entropy_with_logits(outputs, targets.to(outputs), weight=placed)

        return binary_cross_entropy

    def scorer(self, data: Data) -> "_Scorer":
        return _Scorer()

    def box(self, data: Data) -> dict[str, tuple[float, float]]:
        share = data.validation.targets.float().mean(0)
        chance = float(share.mean())
        entropy = F.binary_cross_entropy(share.clamp(1e-6, 1 - 1e-6), share)
        return {"mean_average_precision": (chance, 1.0), "validation_loss": (float(entropy), 0.0)}


class _Scorer:
    """Keeps the outputs, as a rank is one among all."""

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self._outputs.append(outputs.cpu())
        self._targets.append(targets.cpu())

    def result(self) -> Scored:
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        loss = float(F.binary_cross_entropy_with_logits(outputs, targets.to(outputs)))
        values, pseudo = [], []
        for label in range(targets.shape[1]):
            positive = targets[:, label].numpy().astype(bool)
            if positive.any():
                value, without = average_precisions(outputs[:, label].numpy(), positive)
                values.append(value)
                pseudo.append(len(without) * value - (len(without) - 1) * without)
        if not values:
            return Scored(
                {"mean_average_precision": 0.0, "validation_loss": loss}, np.zeros(len(targets))
            )
        scores = np.mean(pseudo, axis=0)
        found = float(np.mean(values))
        scores = scores - scores.mean() + found  # their mean has the jackknife's correction of bias
        return Scored({"mean_average_precision": found, "validation_loss": loss}, scores)


def average_precisions(
    outputs: NDArray[Any], positive: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float64]]:
    """Average precision, and that without each of the items: shapes (n,) and (n,) -> 1 and (n,).

    Equal outputs have one rank, the lowest of theirs: a positive's precision is that of all items
    whose output is no less. Without the only positive it is 0. O(n log n).
    """
    levels, level = np.unique(-outputs, return_inverse=True)  # from the greatest output on
    hits = np.bincount(level[positive], minlength=len(levels))
    rank, above = np.bincount(level).cumsum(), hits.cumsum()
    count, here = int(hits.sum()), hits * above / rank
    before = here.cumsum() - here  # what greater outputs add
    # without one item its own level and those behind it have a rank less
    less = np.maximum(rank - 1, 1)
    precise, fewer = hits * above / less, hits * (above - 1) / less
    negative_gone = before + _from_end(precise)
    behind = _from_end(fewer) - fewer
    positive_gone = before + np.maximum(hits - 1, 0) * (above - 1) / less + behind
    without = np.where(
        positive, positive_gone[level] / max(count - 1, 1), negative_gone[level] / count
    )
    return float(here.sum() / count), without


def _from_end(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each value with all behind it added."""
    return values[::-1].cumsum()[::-1]
