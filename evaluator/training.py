"""Brief training and scoring of a network on images that fit into memory."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from attnas.search_space.errors import first_line

from .batches import Batches, network_seed, safe_layout
from .checkpoint import Checkpoint
from .data import Data, Pool
from .optimizer import set_rate, sgd
from .precision import autocast, resolved_precision
from .recipe import Precision, Recipe, half_epochs

Failure = Literal["diverged", "out of memory", "time limit", "raised"]
Split = Literal["validation", "test"]
OnEpoch = Callable[[int, float], None]

CHECKPOINT_SECONDS = 60.0
"""A training with a checkpoint writes it at the end of an epoch when the last is so old."""

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
    """The score on the split after the last epoch; `history` is the training loss by epoch.

    `seconds` counts what this call trained, not what it went on from. `half_size`: scored on
    images of half the side.
    """

    accuracy: float
    loss: float
    correct: bytes
    images: int
    epochs: int
    seconds: float
    history: tuple[float, ...]
    precision: str
    half_size: bool = False


@dataclass(frozen=True)
class _Setting:
    """What every step of one training has in common."""

    precision: Precision
    batches: Batches
    begin: float
    limit_s: float

    @property
    def device(self) -> torch.device:
        return self.batches.device

    def place(self, network: nn.Module) -> None:
        layout = self.batches.layout
        network.to(self.device, memory_format=layout)  # type: ignore[call-overload]

    def autocast(self) -> torch.autocast:
        return autocast(self.precision, self.device)

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
    of: int | None = None,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
    split: Split = "validation",
    checkpoint: Checkpoint | None = None,
) -> Outcome:
    """Trains the network in place and scores it on a split.

    Order and augmentation of the images are drawn from (seed, epoch) and from nothing else, so
    that networks trained with one seed see the same batches; so are a network's own draws
    (dropout). With the same seed, threads and machine the outcome is the same to the last bit.
    The last batch is dropped if it has one image, as batch norm needs two. All images are moved
    to the device at once.

    A training that stops before `of` epochs while images are still of half the side is scored
    on such images, the only ones that its weights and batch norms know; `half_size` says so.

    Args:
        epochs: instead of the recipe's.
        of: the epochs that learning rate and image sizes are laid out for, `epochs` if None.
        on_epoch: called with the number of epochs done and the mean training loss.
        checkpoint: what to go on from if it is there, to the same network to the last bit as
            in one go. It is left behind: who has kept the outcome deletes it.

    Raises:
        TrainingFailed: the loss is not finite, memory or time is used up, or the network raises.
    """
    begin = time.monotonic()
    epochs = recipe.epochs if epochs is None else epochs
    of = epochs if of is None else of
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    if of < epochs:
        raise ValueError(f"{epochs} epochs are more than the schedule's {of}")
    setting = _setting(network, data, recipe, device, begin)
    small_epochs = half_epochs(recipe, of, *data.input_shape[1:])
    planned = [_Epoch(seed, n, of, small=n < small_epochs) for n in range(epochs)]
    history = _train_epochs(network, recipe, setting, planned, on_epoch, checkpoint)
    half_size = epochs < of and epochs <= small_epochs
    with _failures(), _reproducible(setting.device):
        score = _score(network, getattr(data, split), setting, small=half_size)
    if not math.isfinite(score.loss):
        raise TrainingFailed("diverged", f"the {split} loss is {score.loss}")
    return Outcome(
        **vars(score),
        epochs=epochs,
        seconds=time.monotonic() - begin,
        history=tuple(history),
        precision=setting.precision,
        half_size=half_size,
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
        setting.place(network)
        return _score(network, pool, setting)


def _setting(network: nn.Module, data: Data, recipe: Recipe, device: str, begin: float) -> _Setting:
    return _Setting(
        precision=resolved_precision(recipe.precision, device),
        batches=Batches(data, recipe, device=device, layout=safe_layout(network)),
        begin=begin,
        limit_s=math.inf if recipe.time_limit_s is None else recipe.time_limit_s,
    )


def _train_epochs(
    network: nn.Module,
    recipe: Recipe,
    setting: _Setting,
    planned: Sequence[_Epoch],
    on_epoch: OnEpoch | None,
    checkpoint: Checkpoint | None,
) -> list[float]:
    """Trains the planned epochs that the checkpoint does not hold; every epoch's mean loss."""
    with _failures(), _reproducible(setting.device):
        setting.place(network)
        optimizer = sgd(network, recipe)
        done = checkpoint.restore(network, optimizer, at_most=len(planned)) if checkpoint else []
    written = time.monotonic()
    for epoch in planned[len(done) :]:
        with _failures(_SMALL_NOTE if epoch.small else ""), _reproducible(setting.device):
            loss = _train_epoch(network, optimizer, recipe, setting, epoch)
        done.append(loss)
        last = epoch is planned[-1] and len(done) < epoch.count
        if checkpoint and (last or time.monotonic() - written > CHECKPOINT_SECONDS):
            checkpoint.save(network, optimizer, done)
            written = time.monotonic()
        if on_epoch is not None:
            on_epoch(len(done), loss)
    return done


def _train_epoch(
    network: nn.Module,
    optimizer: torch.optim.SGD,
    recipe: Recipe,
    setting: _Setting,
    epoch: _Epoch,
) -> float:
    """One pass over the images; the mean training loss."""
    torch.manual_seed(network_seed(epoch.seed, epoch.number))
    steps = len(setting.batches)
    network.train()
    total = 0.0
    batches = setting.batches.epoch(epoch.seed, epoch.number, small=epoch.small)
    for number, (inputs, labels) in enumerate(batches):
        setting.check_time()
        set_rate(optimizer, recipe, epoch.number * steps + number, epoch.count * steps)
        with setting.autocast():
            logits = network(inputs)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            where = f"epoch {epoch.number + 1}"
            raise TrainingFailed("diverged", f"the training loss is {value} in {where}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total += value
    return total / steps


@torch.inference_mode()
def _score(network: nn.Module, pool: Pool, setting: _Setting, *, small: bool = False) -> Score:
    network.eval()
    right, total = [], 0.0
    for inputs, labels in setting.batches.scoring(pool, small=small):
        setting.check_time()
        with setting.autocast():
            logits = network(inputs)
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
        raise TrainingFailed("out of memory", first_line(error)) from error
    except (
        Exception
    ) as error:  # the network may be a user's: whatever it raises, the search goes on
        if "DefaultCPUAllocator" in str(error):  # torch has no own exception for it
            raise TrainingFailed("out of memory", first_line(error)) from error
        reason = f"{type(error).__name__}: {first_line(error)}{note}"
        raise TrainingFailed("raised", reason) from error


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
