"""Batches of normalised images, drawn from a seed and the number of an epoch."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augmentation import Augmentation, resolve
from .data import Data, Pool
from .recipe import Recipe
from .time_slices import training_turn

_SCORING_BATCH = 500


class Batches:
    """The batches of a pool of images, for training and for scoring.

    Images are normalised by the channels' mean and deviation in `data.train`, whatever the
    pool. Each batch is a pair: floats (N, C, H, W) in `layout` and labels (N,), on the device.
    `len` is the number of steps in an epoch. All images of the pool are moved to the device
    at once, with the first epoch.

    Args:
        pool: what an epoch goes over; `data.train` if None.
        layout: as `safe_layout` of the network has it.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        *,
        device: str = "cpu",
        pool: Pool | None = None,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        self.recipe, self.layout, self.device = recipe, layout, torch.device(device)
        self._pool = data.train if pool is None else pool
        mean, deviation = channel_statistics(data.train.images)
        self._mean = mean.to(self.device)[None, :, None, None]  # on the scale of 0..255
        self._scale = (1 / deviation).to(self.device)[None, :, None, None]

    def __len__(self) -> int:
        return len(self._starts)

    def epoch(
        self, seed: int, number: int, *, small: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over the pool in a new order, augmented.

        Order and augmentation are drawn from (seed, number) and from nothing else. `small`
        gives the same images at half the side (2x2 means). The last batch is dropped if it
        has one image, as batch norm needs two.
        """
        pool, recipe = self._placed, self.recipe
        rng = np.random.default_rng((seed, number))
        rng.integers(2**62)  # what `network_seed` gives
        order = torch.from_numpy(rng.permutation(len(pool))).to(self.device)
        channels, height, width = pool.images.shape[1:]
        augment = resolve(recipe.augment, channels)
        augmented = Augmentation(augment, (channels, height, width), len(pool), rng)
        for start in self._starts:
            chosen = order[start : start + recipe.batch_size]
            with training_turn():  # until the next batch is asked for
                inputs = self._inputs(augmented(pool.images[chosen], start))
                yield F.avg_pool2d(inputs, 2) if small else inputs, pool.labels[chosen]

    def scoring(self, pool: Pool, *, small: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """All images of a pool in its order, without augmentation."""
        for start in range(0, len(pool), _SCORING_BATCH):
            with training_turn():
                inputs = self._inputs(pool.images[start : start + _SCORING_BATCH])
                labels = pool.labels[start : start + _SCORING_BATCH].to(self.device)
                yield F.avg_pool2d(inputs, 2) if small else inputs, labels

    @cached_property
    def _starts(self) -> list[int]:
        images = len(self._pool)
        return [s for s in range(0, images, self.recipe.batch_size) if images - s > 1]

    @cached_property
    def _placed(self) -> Pool:
        return Pool(self._pool.images.to(self.device), self._pool.labels.to(self.device))

    def _inputs(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) as normalised floats."""
        floats = images.to(self.device, torch.float32, memory_format=self.layout)
        return floats.sub_(self._mean).mul_(self._scale)


def network_seed(seed: int, number: int) -> int:
    """Seed of a network's own draws (dropout) in an epoch, the same for every network."""
    return int(np.random.default_rng((seed, number)).integers(2**62))


def safe_layout(network: nn.Module) -> torch.memory_format:
    """Channels last, a fifth faster, unless that could end the process.

    In torch 2.13 on CPUs the backward pass of a 1x1 convolution with a stride, on fewer than 8
    channels in this layout, writes beyond its memory.
    """
    narrow = any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels < 8
        for module in network.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation by channel of uint8 images (N, C, H, W), each (C,).

    A channel that is constant has the deviation 1, so that it can be divided by.
    """
    levels = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    for channel in range(images.shape[1]):
        share = torch.from_numpy(
            np.bincount(images[:, channel].reshape(-1).numpy(), minlength=256)
        ).double()
        share /= share.sum()
        mean = (share * levels).sum()
        deviation = (share * (levels - mean).square()).sum().sqrt()
        means.append(mean)
        deviations.append(deviation if deviation > 0 else torch.ones_like(deviation))
    return torch.stack(means).float(), torch.stack(deviations).float()
