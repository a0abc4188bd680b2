"""One class a pixel."""

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
from ..data.arrays import NO_CLASS as IGNORED
from .settings import check_weights, class_weights, read_weights
from .task import Loss, Scored, register_task

_MASKS = 1024  # that are counted at a time
LOSSES = ("cross_entropy", "dice")

declare_metric(
    "dice",
    better="max",
    meaning="mean over the images of the validation split and the classes in them",
    format="percent",
    rank=10,
)
declare_metric(
    "mean_iou",
    better="max",
    meaning="intersection over union of all pixels of the split, the mean over the classes",
    format="percent",
    rank=20,
)


@register_task("segmentation")
@dataclass(frozen=True)
class Segmentation:
    """A class for each pixel: cross-entropy or Dice loss, Dice and mean IoU.

    Targets (N, H, W) uint8, 255 where no class is meant; outputs (N, classes, H, W). The Dice
    coefficient of a class in an image is 2 |A and B| / (|A| + |B|); an image's score is its mean
    over the classes that are in the image or were predicted in it, `dice` the mean of these.
    `mean_iou` takes all pixels of the split together, as is usual for it. `loss_function: dice`
    is 1 minus the mean over all classes of the soft Dice of a batch's pixels (Milletari et al.
    2016, arXiv:1606.04797, section 3, without squares). `class_weights` weigh the
    cross-entropy: `balanced` inversely to the classes' pixels, or a list.
    """

    loss_function: str = "cross_entropy"
    class_weights: str | Sequence[float] | None = None

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("dice", "mean_iou", "validation_loss")
    scored: ClassVar[str] = "dice"
    spatial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        read_weights(self.class_weights)
        if self.loss_function not in LOSSES:
            raise InputError(
                f"cannot be {self.loss_function!r}. Write {' or '.join(LOSSES)}.",
                key="loss_function",
            )

    def check(self, pools: Pools) -> Pools:
        if len(pools.classes) < 2:
            raise InputError("two classes or more are needed, background included.", key="data")
        check_weights(self.class_weights, pools.classes)
        for name, pool in pools.parts().items():
            masks = pool.targets
            if masks.dtype != torch.uint8 or masks.shape[1:] != pool.inputs.shape[2:]:
                raise InputError(
                    f"the {name} masks are {masks.dtype} of shape {tuple(masks.shape)}; "
                    f"torch.uint8 of shape {(len(pool), *pool.inputs.shape[2:])} is needed.",
                    key="data",
                )
            present = torch.bincount(masks.flatten(), minlength=256)
            wrong = present[len(pools.classes) : IGNORED].nonzero().flatten()
            if len(wrong):
                value = len(pools.classes) + int(wrong[0])
                raise InputError(
                    f"a pixel of the {name} masks is {value}; with {len(pools.classes)} classes "
                    f"pixels run from 0 to {len(pools.classes) - 1}, and {IGNORED} means none.",
                    key="data",
                )
            _refuse_empty(masks, name)
        return pools

    def strata(self, targets: Tensor) -> NDArray[np.int64]:
        """By the most frequent class beside the first, the background."""
        highest = int(torch.where(targets == IGNORED, 0, targets).max())
        if highest == 0:
            return np.zeros(len(targets), dtype=np.int64)
        found = []
        for masks in targets.split(_MASKS):
            counts = torch.stack([(masks == c).sum((1, 2)) for c in range(1, highest + 1)], 1)
            found.append(torch.where(counts.any(1), counts.argmax(1) + 1, 0))
        return torch.cat(found).numpy()

    def data_facts(self, data: Data) -> dict[str, Any]:
        return {"pixel_counts": _pixels(data).tolist()}

    def output_shape(self, data: Data) -> tuple[int, ...]:
        return (len(data.classes), *data.input_shape[1:])

    def loss(self, data: Data, device: str) -> Loss:
        if self.loss_function == "dice":
            return soft_dice_loss
        weights = class_weights(self.class_weights, _pixels(data))
        placed = None if weights is None else weights.to(device)

        def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
            return F.cross_entropy(outputs, targets.long(), weight=placed, ignore_index=IGNORED)

        return cross_entropy

    def scorer(self, data: Data) -> "_Scorer":
        return _Scorer(len(data.classes))

    def box(self, data: Data) -> dict[str, tuple[float, float]]:
        loss = math.log(len(data.classes))
        return {"dice": (0.0, 1.0), "mean_iou": (0.0, 1.0), "validation_loss": (loss, 0.0)}


class _Scorer:
    """Counts, for each image and class, pixels of prediction, of mask and of both."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._both: list[Tensor] = []
        self._either: list[Tensor] = []  # the sum of both areas
        self._loss, self._pixels = 0.0, 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        labels = targets.long()
        meant = labels != IGNORED
        predicted = torch.where(meant, outputs.argmax(1), self._classes)
        truth = torch.where(meant, labels, self._classes)
        own = [((predicted == c).flatten(1), (truth == c).flatten(1)) for c in range(self._classes)]
        self._both.append(torch.stack([(p & t).sum(1) for p, t in own], 1).cpu())
        self._either.append(torch.stack([p.sum(1) + t.sum(1) for p, t in own], 1).cpu())
        loss = F.cross_entropy(outputs, labels, ignore_index=IGNORED, reduction="sum")
        self._loss += loss.item()
        self._pixels += int(meant.sum())

    def result(self) -> Scored:
        both, areas = torch.cat(self._both).double(), torch.cat(self._either).double()
        there = areas > 0
        dice = torch.where(there, 2 * both / areas.clamp(min=1), 0.0)
        scores = dice.sum(1) / there.sum(1).clamp(min=1)
        inside, whole = both.sum(0), (areas - both).sum(0)
        ratios = (inside / whole.clamp(min=1))[whole > 0]
        metrics = {
            "dice": float(scores.mean()),
            "mean_iou": float(ratios.mean()) if len(ratios) else 0.0,
            "validation_loss": self._loss / max(self._pixels, 1),
        }
        return Scored(metrics, scores.numpy())


def soft_dice_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """1 - mean over the classes of 2 sum p t / (sum p + sum t), over the batch's pixels."""
    meant = (targets != IGNORED)[:, None]
    shares = outputs.softmax(1) * meant
    classes = outputs.shape[1]
    labels = torch.where(targets == IGNORED, 0, targets).long()
    truth = F.one_hot(labels, classes).movedim(-1, 1).to(shares) * meant
    axes = (0, *range(2, outputs.ndim))
    both, areas = (shares * truth).sum(axes), shares.sum(axes) + truth.sum(axes)
    return 1 - ((2 * both + 1e-6) / (areas + 1e-6)).mean()


def _refuse_empty(masks: Tensor, part: str) -> None:
    """A mask without a meant pixel has no Dice.

    Raises:
        InputError: there is such a mask.
    """
    meant = torch.cat([(some != IGNORED).flatten(1).any(1) for some in masks.split(_MASKS)])
    if not meant.all():
        empty = (~meant).nonzero().flatten()
        raise InputError(
            f"{len(empty)} of the {part} masks (the first is number {int(empty[0])}) have no pixel "
            f"of a class, {IGNORED} throughout. Leave these images out.",
            key="data",
        )


def _pixels(data: Data) -> Tensor:
    """Training pixels of each class, (classes,)."""
    return torch.bincount(data.train.targets.flatten(), minlength=256)[: len(data.classes)]
