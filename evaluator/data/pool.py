"""Images in memory: what a source yields, and what a search gets of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnas.search_space import InputError


@dataclass(frozen=True)
class Pool:
    """`images` (N, C, H, W) as uint8 and `labels` (N,) as int64, from 0 to classes - 1."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "Pool":
        """A copy of these images, in this order."""
        return Pool(self.images[indices], self.labels[indices])

    def first(self, count: int) -> "Pool":
        """A view of the first images; those of a split are stratified (see `splits`)."""
        return Pool(self.images[:count], self.labels[:count])


@dataclass(frozen=True)
class Pools:
    """What a source yields: images to train on, and those that it sets apart, if any."""

    train: Pool
    classes: tuple[str, ...]
    validation: Pool | None = None
    test: Pool | None = None

    def parts(self) -> dict[str, Pool]:
        """The pools that are there, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: pool for name, pool in named.items() if pool is not None}


@dataclass(frozen=True)
class Data:
    """The three splits. Trials train on `train` and are scored on `validation`.

    `facts` can be written as JSON: source, path, split seed, sizes, images by class, and SHA-256
    digests of the data and of the splits, so that a run can check that it goes on with the
    same images.
    """

    train: Pool
    validation: Pool
    test: Pool
    classes: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def check(pools: Pools) -> Pools:
    """The same pools, if a network can be trained on them.

    Raises:
        InputError: wrong types or shapes, labels outside the classes, fewer than two classes,
            a class without training images.
    """
    if len(pools.classes) < 2:
        raise InputError(
            f"the images have {len(pools.classes)} class ({', '.join(pools.classes)}); "
            "two or more are needed.",
            key="data",
        )
    for name, pool in pools.parts().items():
        _check_pool(name, pool, pools)
    lowest = int(pools.train.labels.min())
    if lowest > 0:
        raise InputError(f"the labels start at {lowest}; they must start at 0.", key="data")
    present = torch.bincount(pools.train.labels, minlength=len(pools.classes))
    missing = [pools.classes[i] for i in (present == 0).nonzero().flatten().tolist()]
    if missing:
        raise InputError(f"no training image of the class '{missing[0]}'.", key="data")
    return pools


def _check_pool(name: str, pool: Pool, pools: Pools) -> None:
    images, labels = pool.images, pool.labels
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise InputError(
            f"the {name} images are {images.dtype} of shape {tuple(images.shape)}; "
            "torch.uint8 of shape (N, C, H, W) is needed.",
            key="data",
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        raise InputError(
            f"the {name} labels are {labels.dtype} of shape {tuple(labels.shape)}; "
            f"torch.int64 of shape ({len(images)},) is needed.",
            key="data",
        )
    if not len(images):
        raise InputError(f"there is no {name} image.", key="data")
    if images.shape[1:] != pools.train.images.shape[1:]:
        raise InputError(
            f"{name} images are {shape_text(images)}, training images "
            f"{shape_text(pools.train.images)}; one size is needed.",
            key="data",
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(pools.classes):
        raise InputError(
            f"the {name} labels run from {low} to {high}; with {len(pools.classes)} classes "
            f"they must run from 0 to {len(pools.classes) - 1}.",
            key="data",
        )


def numbered_classes(pools: Mapping[str, Pool]) -> tuple[str, ...]:
    """'0', '1', ... up to the highest label.

    Raises:
        InputError: there are fewer images than that.
    """
    highest = max((int(pool.labels.max()) for pool in pools.values() if len(pool)), default=-1)
    images = sum(len(pool) for pool in pools.values())
    if highest >= images:
        raise InputError(f"a label is {highest}, but there are only {images} images.", key="data")
    return tuple(str(label) for label in range(highest + 1))


def shape_text(images: Tensor) -> str:
    """'3x32x32' for images (N, 3, 32, 32)."""
    return "x".join(str(size) for size in images.shape[1:])
