"""Inputs and targets: what a source yields, and what a search gets of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attnas.core import InputError

from .arrays import NO_CLASS
from .inputs import Inputs, chunks
from .statistics import channel_statistics


@dataclass(frozen=True)
class Pool:
    """Inputs (N, ...) with a target each, (N, ...); what a target is, the task says.

    Images are (N, C, H, W) as uint8, signals and other inputs (N, ...) as float32.
    """

    inputs: Inputs
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, indices: Tensor) -> "Pool":
        """These items, in this order."""
        if isinstance(self.inputs, Tensor):
            return Pool(self.inputs[indices], self.targets[indices])
        return Pool(self.inputs.take_items(indices), self.targets[indices])

    def first(self, count: int) -> "Pool":
        """The first items; those of a split are stratified (see `splits`)."""
        if isinstance(self.inputs, Tensor):
            return Pool(self.inputs[:count], self.targets[:count])
        return self.take(torch.arange(min(count, len(self))))


@dataclass(frozen=True)
class Pools:
    """What a source yields: items to train on, and those that it sets apart, if any.

    `classes` are the names of what is told apart (of labels, of pixels), or of the targets of a
    regression. `sha256` is the digest of all of it, if the source knows it without reading it
    all; `skipped` is how many items the source left out because they could not be read.
    """

    train: Pool
    classes: tuple[str, ...]
    validation: Pool | None = None
    test: Pool | None = None
    sha256: str = ""
    skipped: int = 0

    def parts(self) -> dict[str, Pool]:
        """The pools that are there, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: pool for name, pool in named.items() if pool is not None}

    def digest(self) -> str:
        """SHA-256 of inputs and targets, read if it is not known."""
        if self.sha256:
            return self.sha256
        digest = hashlib.sha256()
        for name, pool in self.parts().items():
            digest.update(f"{name} {tuple(pool.inputs.shape)}".encode())
            for chunk in chunks(pool.inputs):
                digest.update(chunk.contiguous().numpy().data)
            digest.update(pool.targets.contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Data:
    """The three splits. Trials train on `train` and are scored on `validation`.

    `facts` can be written as JSON: source, path, split seed, sizes, and SHA-256 digests of the
    data and of the splits, so that a run can check that it goes on with the same items.
    """

    train: Pool
    validation: Pool
    test: Pool
    classes: tuple[str, ...]
    facts: Mapping[str, Any]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one input; of an image channels, height, width."""
        return tuple(int(size) for size in self.train.inputs.shape[1:])

    @cached_property
    def channel_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation by channel of the training inputs, (C,) each."""
        return channel_statistics(self.train.inputs)


def check(pools: Pools) -> Pools:
    """The same pools, if they can be read in batches; the task checks their targets.

    Raises:
        InputError: wrong types or shapes, an empty pool, or inputs of other sizes.
    """
    for name, pool in pools.parts().items():
        _check_pool(name, pool, pools)
    return pools


def _check_pool(name: str, pool: Pool, pools: Pools) -> None:
    inputs, targets = pool.inputs, pool.targets
    images = inputs.dtype == torch.uint8
    if not images and inputs.dtype != torch.float32:
        raise InputError(
            f"the {name} inputs are {inputs.dtype}; torch.uint8 (images) or torch.float32 is "
            "needed.",
            key="data",
        )
    if images and len(inputs.shape) != 4:
        raise InputError(
            f"the {name} images are {inputs.dtype} of shape {tuple(inputs.shape)}; "
            "torch.uint8 of shape (N, C, H, W) is needed.",
            key="data",
        )
    if len(inputs.shape) < 2 or targets.ndim < 1 or len(targets) != len(inputs):
        raise InputError(
            f"the {name} part has inputs of shape {tuple(inputs.shape)} and targets of shape "
            f"{tuple(targets.shape)}; there must be one target for each input.",
            key="data",
        )
    if not len(inputs):
        raise InputError(f"there is no {name} {'image' if images else 'item'}.", key="data")
    if inputs.shape[1:] != pools.train.inputs.shape[1:]:
        what = "images" if images else "inputs"
        raise InputError(
            f"{name} {what} are {shape_text(inputs)}, training {what} "
            f"{shape_text(pools.train.inputs)}; one size is needed.",
            key="data",
        )


def numbered_classes(pools: Mapping[str, Pool]) -> tuple[str, ...]:
    """'0', '1', ... for the labels that there are, for the columns of targets, or for masks.

    None for whole numbers higher than there are items, which are no labels.
    """
    targets = [pool.targets for pool in pools.values() if len(pool)]
    if targets and targets[0].ndim == 2:
        return tuple(str(column) for column in range(targets[0].shape[1]))
    if targets and targets[0].ndim == 3:
        highest = max(int(torch.where(part == NO_CLASS, 0, part).max()) for part in targets)
        return tuple(str(label) for label in range(max(highest, 1) + 1))
    highest = max((int(part.max()) for part in targets), default=-1)
    items = sum(len(part) for part in targets)
    if highest >= items:
        return ()
    return tuple(str(label) for label in range(highest + 1))


def shape_text(inputs: Inputs) -> str:
    """'3x32x32' for images (N, 3, 32, 32)."""
    return "x".join(str(size) for size in inputs.shape[1:])
