"""Brief training and scoring of a network on images that fit into memory."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .augmentation import Augmentation, resolve
from .data import Data, Pool
from .precision import bfloat16_pays
from .recipe import Recipe, half_epochs, one_cycle

Failure = Literal["diverged", "out of memory", "time limit", "raised"]
Split = Literal["validation", "test"]
OnEpoch = Callable[[int, float], None]

_SCORING_BATCH = 500
_SMALL_NOTE = " (on images of half the side; training.half_resolution: 0 avoids them)"


class TrainingFailed(Exception):
    """A training that gave no score; a search records it and goes on."""

    def __init__(self, kind: Failure, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"{kind}: {reason}")


@dataclass(frozen=True)
class Score:
    """Top-1 from 0 to 1, mean cross-entropy in nats, and which images were right.

    `correct` has one bit an image in the pool's order, most significant first (numpy.packbits).
    """

    accuracy: float
    loss: float
    correct: bytes
    images: int


@dataclass(frozen=True)
class Outcome:
    """The score on the split after the last epoch; `history` is the training loss by epoch."""

    accuracy: float
    loss: float
    correct: bytes
    images: int
    epochs: int
    seconds: float
    history: tuple[float, ...]
    precision: str


@dataclass(frozen=True)
class _Setting:
    """What every step of one training has in common."""

    device: torch.device
    bfloat16: bool
    mean: Tensor  # (1, C, 1, 1), on the scale of 0..255
    scale: Tensor
    begin: float
    limit_s: float
    layout: torch.memory_format

    def inputs(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) as normalised floats, channels last."""
        floats = images.to(self.device, torch.float32, memory_format=self.layout)
        return floats.sub_(self.mean).mul_(self.scale)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def check_time(self) -> None:
        if time.monotonic() - self.begin > self.limit_s:
            raise TrainingFailed("time limit", f"it took longer than {self.limit_s:g} s")


@dataclass(frozen=True)
class _Epoch:
    """Which epoch of how many, from 0, and whether it sees images of half the side."""

    seed: int
    number: int
    count: int
    small: bool


def train(
    network: nn.Module,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    epochs: int | None = None,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
    split: Split = "validation",
) -> Outcome:
    """Trains the network in place and scores it on a split.

    Order and augmentation of the images are drawn from (seed, epoch) and from nothing else, so
    that networks trained with one seed see the same batches; so are a network's own draws
    (dropout). With the same seed, threads and machine the outcome is the same to the last bit.
    The last batch is dropped if it has one image, as batch norm needs two. All images are moved
    to the device at once.

    Args:
        epochs: instead of the recipe's.
        on_epoch: called with the number of epochs done and the mean training loss.

    Raises:
        TrainingFailed: the loss is not finite, memory or time is used up, or the network raises.
    """
    begin = time.monotonic()
    epochs = recipe.epochs if epochs is None else epochs
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    setting = _setting(network, data, recipe, device, begin)
    history = []
    with _failures(), _reproducible(setting.device):
        network.to(setting.device, memory_format=setting.layout)  # type: ignore[call-overload]
        pool = Pool(data.train.images.to(device), data.train.labels.to(device))
        optimizer = _optimizer(network, recipe)
    small_epochs = half_epochs(recipe, epochs, *data.input_shape[1:])
    for number in range(epochs):
        epoch = _Epoch(seed, number, epochs, small=number < small_epochs)
        with _failures(_SMALL_NOTE if epoch.small else ""), _reproducible(setting.device):
            loss = _train_epoch(network, pool, optimizer, recipe, setting, epoch)
        history.append(loss)
        if on_epoch is not None:
            on_epoch(number + 1, loss)
    with _failures(), _reproducible(setting.device):
        score = _score(network, getattr(data, split), setting)
    if not math.isfinite(score.loss):
        raise TrainingFailed("diverged", f"the {split} loss is {score.loss}")
    return Outcome(
        **vars(score),
        epochs=epochs,
        seconds=time.monotonic() - begin,
        history=tuple(history),
        precision="bfloat16" if setting.bfloat16 else "float32",
    )


def evaluate(
    network: nn.Module, pool: Pool, data: Data, recipe: Recipe, *, device: str = "cpu"
) -> Score:
    """Scores a trained network on a pool, normalised by `data.train` as in its training.

    Raises:
        TrainingFailed: memory or time is used up, or the network raises.
    """
    setting = _setting(network, data, recipe, device, time.monotonic())
    with _failures(), _reproducible(setting.device):
        network.to(setting.device, memory_format=setting.layout)  # type: ignore[call-overload]
        return _score(network, pool, setting)


def _setting(network: nn.Module, data: Data, recipe: Recipe, device: str, begin: float) -> _Setting:
    where = torch.device(device)
    mean, std = channel_statistics(data.train.images)
    asked, auto = recipe.precision == "bfloat16", recipe.precision == "auto"
    return _Setting(
        device=where,
        bfloat16=asked or (auto and bfloat16_pays(device)),
        mean=mean.to(where)[None, :, None, None],
        scale=(1 / std).to(where)[None, :, None, None],
        begin=begin,
        layout=_layout(network),
        limit_s=math.inf if recipe.time_limit_s is None else recipe.time_limit_s,
    )


def _layout(network: nn.Module) -> torch.memory_format:
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


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )


def _train_epoch(
    network: nn.Module,
    pool: Pool,
    optimizer: torch.optim.SGD,
    recipe: Recipe,
    setting: _Setting,
    epoch: _Epoch,
) -> float:
    """One pass over the images; the mean training loss."""
    rng = np.random.default_rng((epoch.seed, epoch.number))
    torch.manual_seed(int(rng.integers(2**62)))
    order = torch.from_numpy(rng.permutation(len(pool))).to(setting.device)
    channels, height, width = pool.images.shape[1:]
    augment = resolve(recipe.augment, channels)
    augmented = Augmentation(augment, (channels, height, width), len(pool), rng)
    starts = [s for s in range(0, len(pool), recipe.batch_size) if len(pool) - s > 1]
    network.train()
    total = 0.0
    for number, start in enumerate(starts):
        setting.check_time()
        chosen = order[start : start + recipe.batch_size]
        inputs = setting.inputs(augmented(pool.images[chosen], start))
        if epoch.small:
            inputs = F.avg_pool2d(inputs, 2)
        step = epoch.number * len(starts) + number
        share = one_cycle(step, epoch.count * len(starts), recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * share
        with setting.autocast():
            logits = network(inputs)
        loss = F.cross_entropy(
            logits.float(), pool.labels[chosen], label_smoothing=recipe.label_smoothing
        )
        value = loss.item()
        if not math.isfinite(value):
            where = f"epoch {epoch.number + 1}"
            raise TrainingFailed("diverged", f"the training loss is {value} in {where}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += value
    return total / len(starts)


@torch.inference_mode()
def _score(network: nn.Module, pool: Pool, setting: _Setting) -> Score:
    network.eval()
    right, total = [], 0.0
    for start in range(0, len(pool), _SCORING_BATCH):
        setting.check_time()
        labels = pool.labels[start : start + _SCORING_BATCH].to(setting.device)
        with setting.autocast():
            logits = network(setting.inputs(pool.images[start : start + _SCORING_BATCH]))
        right.append((logits.argmax(1) == labels).cpu())
        total += F.cross_entropy(logits.double(), labels, reduction="sum").item()
    correct = torch.cat(right).numpy()
    return Score(
        accuracy=int(correct.sum()) / len(correct),
        loss=total / len(correct),
        correct=np.packbits(correct).tobytes(),
        images=len(correct),
    )


@contextmanager
def _failures(note: str = "") -> Iterator[None]:
    """Turns what a network may raise into a `TrainingFailed`; the note ends what it may explain."""
    try:
        yield
    except TrainingFailed as failure:
        if failure.kind != "diverged" or not note:
            raise
        raise TrainingFailed(failure.kind, failure.reason + note) from failure
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise TrainingFailed("out of memory", _first_line(error)) from error
    except (
        Exception
    ) as error:  # the network may be a user's: whatever it raises, the search goes on
        if "DefaultCPUAllocator" in str(error):  # torch has no own exception for it
            raise TrainingFailed("out of memory", _first_line(error)) from error
        reason = f"{type(error).__name__}: {_first_line(error)}{note}"
        raise TrainingFailed("raised", reason) from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


@contextmanager
def _reproducible(device: torch.device) -> Iterator[None]:
    """Leaves the global generators as they were; on CUDA, deterministic kernels alone."""
    if device.type == "cpu":  # its kernels are deterministic for a given number of threads
        with torch.random.fork_rng(devices=[]):
            yield
        return
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with torch.random.fork_rng(device_type=device.type):
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before
