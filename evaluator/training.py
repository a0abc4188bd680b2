"""Brief training and scoring of a network."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from attnas.core import (
    METRICS,
    Interval,
    ItemScores,
    OnEpoch,
    TrainingResult,
    Z,
    described,
    first_line,
)
from attnas.search_space import Checkpoint, Stateful

from .batch_norms import settle
from .batches import Batches, network_seed, safe_layout
from .data import Data, Pool
from .fine_tuning import freeze
from .optimizer import make_optimizer, set_rate
from .precision import autocast, resolved_precision
from .recipe import Recipe, half_epochs
from .reproducible import reproducible
from .tasks import Task
from .tasks.task import Loss
from .views import predicted
from .weight_average import WeightAverage

Failure = Literal["diverged", "out of memory", "time limit", "raised"]
Split = Literal["validation", "test"]

CHECKPOINT_SECONDS = 60.0
"""A training with a checkpoint writes it at the end of an epoch when the last is so old."""

_SMALL_NOTE = " (on images of half the side; training.half_resolution: 0 avoids them)"


class TrainingFailed(Exception):
    """A training that gave no score; a search records it and goes on."""

    def __init__(self, kind: Failure, reason: str) -> None:
        self.kind, self.reason = kind, reason
        super().__init__(f"{kind}: {reason}")


@dataclass(frozen=True)
class _Setting:
    """What every step of one training has in common."""

    data: Data
    task: Task
    precision: str
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
    """Which epoch of how many, from 0; the first `halved` ones see images of half the side."""

    seed: int
    number: int
    count: int
    halved: int

    @property
    def small(self) -> bool:
        return self.number < self.halved

    @property
    def first_whole(self) -> bool:
        return self.number == self.halved


def train(
    network: nn.Module,
    data: Data,
    task: Task,
    recipe: Recipe,
    *,
    seed: int,
    epochs: int | None = None,
    schedule_epochs: int | None = None,
    device: str = "cpu",
    on_epoch: OnEpoch | None = None,
    split: Split = "validation",
    metrics: Sequence[str] = (),
    checkpoint: Checkpoint | None = None,
) -> TrainingResult:
    """Trains the network in place and scores it on a split; with `ema` both are its averages.

    Order and augmentation of the items are drawn from (seed, epoch) and from nothing else, so
    that networks trained with one seed see the same batches; so are a network's own draws
    (dropout). With the same seed, threads and machine the result is the same to the last bit.
    The last batch is dropped if it has one item, as batch norm needs two.

    A training that stops before `schedule_epochs` while images are still of half the side is
    scored on such images, the only ones that its weights and batch norms know; `half_size` of
    the result says so. Batch norms that have seen too few steps are settled first
    (`batch_norms.settle`).

    Args:
        epochs: instead of the recipe's.
        schedule_epochs: what learning rate and image sizes are laid out for, `epochs` if None.
        on_epoch: called with the number of epochs done and the mean training loss.
        metrics: registered metrics that are computed from all outputs (`Metric.measure`), beside
            the task's.
        checkpoint: what to go on from if it is there, to the same network to the last bit as
            in one go. It is left behind: who has kept the result deletes it.

    Raises:
        TrainingFailed: the loss is not finite, memory or time is used up, or the network raises.
    """
    begin = time.monotonic()
    epochs = recipe.epochs if epochs is None else epochs
    schedule = epochs if schedule_epochs is None else schedule_epochs
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, not {epochs}")
    if schedule < epochs:
        raise ValueError(f"{epochs} epochs are more than the schedule's {schedule}")
    setting = _setting(network, data, task, recipe, device, begin)
    small_epochs = half_epochs(recipe, schedule, data.input_shape)
    planned = [_Epoch(seed, n, schedule, small_epochs) for n in range(epochs)]
    losses = _train_epochs(network, recipe, setting, planned, on_epoch, checkpoint)
    half_size = epochs < schedule and epochs <= small_epochs
    whole = epochs if half_size else epochs - min(epochs, small_epochs)
    with _failures(), reproducible(setting.device):
        steps = whole * len(setting.batches)
        with setting.autocast():
            settle(network, data, setting.batches, steps=steps, small=half_size)
        figures, scores = _score(network, getattr(data, split), setting, metrics, small=half_size)
    _check_finite(figures, f"the {split} loss")
    return TrainingResult(
        metrics=figures,
        seconds=time.monotonic() - begin,
        intervals={scores.metric: interval_of(scores)},
        scores=scores,
        epochs=epochs,
        losses=tuple(losses),
        precision=setting.precision,
        half_size=half_size,
    )


def evaluate(
    network: nn.Module,
    pool: Pool,
    data: Data,
    task: Task,
    recipe: Recipe,
    *,
    device: str = "cpu",
    metrics: Sequence[str] = (),
) -> TrainingResult:
    """Scores a trained network on a pool, normalised by `data.train` as in its training.

    Raises:
        TrainingFailed: memory or time is used up, or the network raises.
    """
    setting = _setting(network, data, task, recipe, device, time.monotonic())
    with _failures(), reproducible(setting.device):
        setting.place(network)
        figures, scores = _score(network, pool, setting, metrics)
    return TrainingResult(figures, 0.0, {scores.metric: interval_of(scores)}, scores)


def interval_of(scores: ItemScores) -> Interval:
    """The 95 % interval of the mean over other items; of a share that of Wilson (1927)."""
    n, mean = scores.items, scores.mean
    if scores.kind == "bits":
        centre = (mean + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * math.sqrt(mean * (1 - mean) / n + (Z / (2 * n)) ** 2)
        return min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))
    half = Z * float(scores.values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf
    return mean - half, mean + half


def _setting(
    network: nn.Module, data: Data, task: Task, recipe: Recipe, device: str, begin: float
) -> _Setting:
    return _Setting(
        data=data,
        task=task,
        precision=resolved_precision(recipe.precision, device),
        batches=Batches(
            data, recipe, device=device, layout=safe_layout(network), spatial=task.spatial
        ),
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
    with _failures(), reproducible(setting.device):
        setting.place(network)
        loss_of = setting.task.loss(setting.data, str(setting.device))
        moved = _Moved.of(network, recipe)
        moved.train()
        parts = moved.parts()
        done = checkpoint.restore(parts, at_most=len(planned)) if checkpoint else []
    written = time.monotonic()
    for epoch in planned[len(done) :]:
        with _failures(_SMALL_NOTE if epoch.small else ""), reproducible(setting.device):
            loss = _train_epoch(moved, loss_of, recipe, setting, epoch)
        done.append(loss)
        last = epoch is planned[-1] and len(done) < epoch.count
        if checkpoint and (last or time.monotonic() - written > CHECKPOINT_SECONDS):
            with suppress(OSError, RuntimeError):  # it saves time: a training needs none
                checkpoint.save(parts, done)
            written = time.monotonic()
        if on_epoch is not None:
            on_epoch(len(done), loss)
    if moved.average is not None:
        moved.average.apply()
    return done


@dataclass(frozen=True)
class _Moved:
    """What the steps of a training change; `held` are batch norms that stay in eval mode."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    held: Sequence[nn.Module]

    @classmethod
    def of(cls, network: nn.Module, recipe: Recipe) -> "_Moved":
        held = freeze(network, recipe.freeze)
        average = None if recipe.ema is None else WeightAverage(network, recipe.ema)
        return cls(network, make_optimizer(network, recipe), average, held)

    def parts(self) -> dict[str, Stateful]:
        found: dict[str, Stateful] = {"network": self.network, "optimizer": self.optimizer}
        return found if self.average is None else {**found, "average": self.average}

    def train(self) -> None:
        """Puts the network into training mode."""
        self.network.train()
        for module in self.held:
            module.eval()

    def step(self, loss: Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.average is not None:
            self.average.update()


def _train_epoch(
    moved: _Moved, loss_of: Loss, recipe: Recipe, setting: _Setting, epoch: _Epoch
) -> float:
    """One pass over the items; the mean training loss.

    Weights and batch norms of images of half the side are not averaged with those of whole ones.
    """
    torch.manual_seed(network_seed(epoch.seed, epoch.number))
    steps = len(setting.batches)
    moved.train()
    if moved.average is not None and epoch.first_whole:
        moved.average.restart()
    total = 0.0
    batches = setting.batches.epoch(epoch.seed, epoch.number, small=epoch.small)
    for number, (inputs, targets) in enumerate(batches):
        setting.check_time()
        set_rate(moved.optimizer, recipe, epoch.number * steps + number, epoch.count * steps)
        with setting.autocast():
            outputs = moved.network(inputs)
        loss = loss_of(outputs.float(), targets)
        value = loss.item()
        if not math.isfinite(value):
            where = f"epoch {epoch.number + 1}"
            raise TrainingFailed("diverged", f"the training loss is {value} in {where}")
        moved.step(loss)
        total += value
    return total / steps


@torch.inference_mode()
def _score(
    network: nn.Module,
    pool: Pool,
    setting: _Setting,
    metrics: Sequence[str] = (),
    *,
    small: bool = False,
) -> tuple[dict[str, float], ItemScores]:
    """The task's metrics and those asked for beside them, and the items' scores."""
    network.eval()
    task, scorer = setting.task, setting.task.scorer(setting.data)
    measured = [name for name in metrics if _is_measured(name, task)]
    kept: list[tuple[Tensor, Tensor]] = []
    for inputs, targets in setting.batches.scoring(pool, small=small):
        setting.check_time()
        views = setting.batches.recipe.views
        outputs = predicted(network, inputs, task, views, setting.autocast())
        scorer.update(outputs, targets)
        if measured:
            kept.append((outputs.float().cpu(), targets.cpu()))
    found = scorer.result()
    figures = dict(found.metrics)
    if measured:
        outputs, targets = (torch.cat(parts) for parts in zip(*kept, strict=True))
        for name in measured:
            measure = METRICS[name].measure
            assert measure is not None
            figures[name] = float(measure(outputs, targets))
    scores = np.asarray(found.scores)
    return figures, ItemScores.of(task.scored, scores)


def _is_measured(name: str, task: Task) -> bool:
    metric = described(name)
    return name not in task.metrics and not metric.cheap and metric.measure is not None


def _check_finite(figures: dict[str, float], what: str) -> None:
    loss = figures["validation_loss"]
    if not math.isfinite(loss):
        raise TrainingFailed("diverged", f"{what} is {loss}")


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
