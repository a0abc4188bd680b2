"""Batches of normalised inputs, drawn from a seed and the number of an epoch."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import cached_property, partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augmentation import Augmentation, resolve
from .data import Data, Pool
from .data.inputs import chunks
from .recipe import Recipe
from .time_slices import training_turn

_SCORING_BATCH = 500
_AHEAD = 2  # batches that are read while one is worked on

Batch = tuple[Tensor, Tensor]


class Batches:
    """The batches of a pool, for training and for scoring.

    Inputs are normalised by the channels' mean and deviation in `data.train`, whatever the
    pool. Each batch is a pair: floats (N, C, ...), of images in `layout`, and targets (N, ...),
    on the device. `len` is the number of steps in an epoch. What fits the device's memory is
    moved there with the first epoch; of other inputs the next batches are read while one is
    worked on, on CUDA through pinned memory.

    Args:
        pool: what an epoch goes over; `data.train` if None.
        layout: as `safe_layout` of the network has it.
        spatial: targets are maps (N, H, W) that move with the images.
    """

    def __init__(
        self,
        data: Data,
        recipe: Recipe,
        *,
        device: str = "cpu",
        pool: Pool | None = None,
        layout: torch.memory_format = torch.channels_last,
        spatial: bool = False,
    ) -> None:
        self.recipe, self.device, self.spatial = recipe, torch.device(device), spatial
        self.images = len(data.input_shape) == 3 and data.train.inputs.dtype == torch.uint8
        self.layout = layout if len(data.input_shape) == 3 else torch.contiguous_format
        self._pool = data.train if pool is None else pool
        mean, deviation = data.channel_statistics
        sizes = (1, -1, *(1 for _ in data.input_shape[1:]))
        self._mean = mean.to(self.device).reshape(sizes)  # of images on the scale of 0..255
        self._scale = (1 / deviation).to(self.device).reshape(sizes)

    def __len__(self) -> int:
        return len(self._starts)

    def epoch(self, seed: int, number: int, *, small: bool = False) -> Iterator[Batch]:
        """One pass over the pool in a new order, augmented if it has images.

        Order and augmentation are drawn from (seed, number) and from nothing else. `small`
        gives the same images at half the side (2x2 means). The last batch is dropped if it
        has one item, as batch norm needs two.
        """
        pool, recipe = self._placed, self.recipe
        rng = np.random.default_rng((seed, number))
        rng.integers(2**62)  # what `network_seed` gives
        order = torch.from_numpy(rng.permutation(len(pool))).to(pool.targets.device)
        augmented = self._augmentation(rng) if self.images else None
        chosen = ((s, order[s : s + recipe.batch_size]) for s in self._starts)
        for start, read in self._ahead(pool, chosen):
            with training_turn():  # until the next batch is asked for
                inputs, targets = read()
                if augmented is not None:
                    inputs = augmented(inputs, start)
                    targets = augmented.maps(targets, start) if self.spatial else targets
                yield self._batch(inputs, targets, small=small)

    def scoring(self, pool: Pool, *, small: bool = False) -> Iterator[Batch]:
        """All items of a pool in its order, without augmentation."""
        starts = range(0, len(pool), _SCORING_BATCH)
        for _, read in self._ahead(pool, ((s, slice(s, s + _SCORING_BATCH)) for s in starts)):
            with training_turn():
                yield self._batch(*read(), small=small)

    @cached_property
    def _starts(self) -> list[int]:
        items = len(self._pool)
        return [s for s in range(0, items, self.recipe.batch_size) if items - s > 1]

    @cached_property
    def _placed(self) -> Pool:
        pool = self._pool
        if self.device.type == "cpu" or not _fits(pool, self.device):
            return pool
        if isinstance(pool.inputs, Tensor):
            return Pool(pool.inputs.to(self.device), pool.targets.to(self.device))
        inputs = torch.empty(pool.inputs.shape, dtype=pool.inputs.dtype, device=self.device)
        start = 0
        for chunk in chunks(pool.inputs):
            inputs[start : start + len(chunk)] = chunk
            start += len(chunk)
        return Pool(inputs, pool.targets.to(self.device))

    def _ahead(
        self, pool: Pool, chosen: Iterator[tuple[int, Tensor | slice]]
    ) -> Iterator[tuple[int, Callable[[], Batch]]]:
        """The chosen items, each with what gives them; files are read ahead in a thread."""

        def read(items: Tensor | slice) -> Batch:
            if isinstance(items, slice) or not isinstance(pool.inputs, Tensor):
                return pool.inputs[items], pool.targets[items]
            # row by row: indexing goes pixel by pixel, which is slow on a busy machine
            return pool.inputs.index_select(0, items), pool.targets.index_select(0, items)

        if isinstance(pool.inputs, Tensor) and pool.inputs.device.type == self.device.type:
            for start, items in chosen:
                yield start, partial(read, items)
            return

        def pinned(items: Tensor | slice) -> Batch:
            inputs, targets = read(items)
            if self.device.type != "cuda":
                return inputs, targets
            return inputs.pin_memory(), targets.pin_memory()

        def placed(batch: Future[Batch]) -> Batch:
            inputs, targets = batch.result()
            return (
                inputs.to(self.device, non_blocking=True),
                targets.to(self.device, non_blocking=True),
            )

        with closing(_submitted(pinned, chosen)) as reading:
            for start, batch in reading:
                yield start, partial(placed, batch)

    def _augmentation(self, rng: np.random.Generator) -> Augmentation:
        channels, height, width = self._pool.inputs.shape[1:]
        augment = resolve(self.recipe.augment, channels)
        return Augmentation(augment, (channels, height, width), len(self._pool), rng)

    def _batch(self, inputs: Tensor, targets: Tensor, *, small: bool) -> Batch:
        """Normalised floats and targets on the device."""
        placed = inputs.to(self.device, torch.float32, memory_format=self.layout)
        if placed is inputs:  # floats on the processor: what the pool holds must stay
            placed = placed.clone()
        floats = placed.sub_(self._mean).mul_(self._scale)
        targets = targets.to(self.device)
        if not small:
            return floats, targets
        return F.avg_pool2d(floats, 2), targets[:, ::2, ::2] if self.spatial else targets


def _submitted(
    read: Callable[[Tensor | slice], Batch], chosen: Iterator[tuple[int, Tensor | slice]]
) -> Generator[tuple[int, "Future[Batch]"], None, None]:
    """What is read of the chosen items, always some batches ahead."""
    thread = ThreadPoolExecutor(1)
    pending: deque[tuple[int, Future[Batch]]] = deque()
    try:
        for start, items in chosen:
            pending.append((start, thread.submit(read, items)))
            if len(pending) > _AHEAD:
                yield pending.popleft()
        yield from pending
    finally:
        thread.shutdown(cancel_futures=True)


def _fits(pool: Pool, device: torch.device) -> bool:
    """Whether a pool takes at most half of the device's free memory."""
    inputs = pool.inputs
    free, _ = torch.cuda.mem_get_info(device)
    return inputs.shape.numel() * inputs.dtype.itemsize <= free / 2


def network_seed(seed: int, number: int) -> int:
    """Seed of a network's own draws (dropout) in an epoch, the same for every network."""
    return int(np.random.default_rng((seed, number)).integers(2**62))


def safe_layout(network: nn.Module) -> torch.memory_format:
    """Channels last, a fifth faster, unless that could end the process.

    In torch 2.13 on CPUs the backward pass of a 1x1 convolution with a stride, on fewer than 16
    channels in this layout, writes beyond its memory where maps are 48x48 or larger (tried: 1 to
    64 channels, 8x8 to 256x256).
    """
    narrow = any(
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels < 16
        for module in network.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last
