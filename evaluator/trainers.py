"""Who trains an architecture: the built-in loop for a task, or a function of the user's."""

import inspect
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from attnas.core import ItemScores, OnEpoch, TrainingResult, first_line
from attnas.search_space import Architecture, Checkpoint

from .data import Data
from .initial_weights import FromScratch, Start
from .precision import resolved_precision
from .recipe import Recipe
from .tasks import Task
from .training import Split, TrainingFailed, interval_of, train

NOT_OF_THE_STATE = ("epochs", "time_limit_s")
"""Fields of a recipe that do not belong to a training's state: the schedule has its epochs."""

Function = Callable[..., Any]
OnTrained = Callable[[nn.Module, TrainingResult], None]


class Trainer(Protocol):
    """Trains architectures, each with the same draws."""

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
        split: Split = "validation",
        on_trained: OnTrained | None = None,
    ) -> TrainingResult:
        """As `Evaluator.train`; with another seed than the run's, scored on a split.

        `on_trained` is handed the trained network and its result, before the checkpoint goes.
        """
        ...

    def environment(self) -> dict[str, Any]:
        """`training_device` and `precision`."""
        ...


class TaskTrainer:
    """The built-in training on data for a task.

    All architectures share the backbone's initial weights, the data order and the
    augmentation draws (common random numbers), which come from `seed` alone. `checkpoints` is
    the folder for trainings that are to go on, perhaps in another process; without it each
    begins anew. `start` gives the weights that trainings begin with, random ones if None.
    `metrics` are registered ones to be computed beside the task's.
    """

    def __init__(
        self,
        data: Data,
        task: Task,
        recipe: Recipe,
        *,
        seed: int,
        device: str = "cpu",
        checkpoints: Path | None = None,
        start: Start | None = None,
        metrics: Sequence[str] = (),
    ) -> None:
        self.data, self.task, self.recipe, self.seed = data, task, recipe, seed
        self.device, self.checkpoints, self.metrics = device, checkpoints, tuple(metrics)
        self.start = start or FromScratch()

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
        split: Split = "validation",
        on_trained: OnTrained | None = None,
    ) -> TrainingResult:
        seed = self.seed if seed is None else seed
        schedule = epochs if schedule_epochs is None else schedule_epochs
        checkpoint = self._checkpoint(architecture, schedule, seed)
        began = time.monotonic()
        network = self.start.network(architecture, seed)
        result = train(
            network,
            self.data,
            self.task,
            self.recipe,
            seed=seed,
            epochs=epochs,
            schedule_epochs=schedule,
            device=self.device,
            on_epoch=on_epoch,
            split=split,
            metrics=self.metrics,
            checkpoint=checkpoint,
        )
        if on_trained is not None:
            on_trained(network, result)
        if checkpoint and schedule == epochs:
            checkpoint.delete()
        return _timed(result, began)

    def environment(self) -> dict[str, Any]:
        precision = resolved_precision(self.recipe.precision, self.device)
        return {"training_device": self.device, "precision": precision}

    def _checkpoint(
        self, architecture: Architecture, schedule: int, seed: int
    ) -> Checkpoint | None:
        if self.checkpoints is None:
            return None
        recipe = self.recipe.model_dump(exclude=set(NOT_OF_THE_STATE))
        facts = {
            **_training_facts(architecture, schedule, seed, self.start),
            "recipe": recipe,
            "task": {"name": self.task.name, **asdict(self.task)},  # type: ignore[call-overload]
            "data": _identity(self.data),
        }
        return Checkpoint.within(self.checkpoints, facts)


def _training_facts(
    architecture: Architecture, schedule: int, seed: int, start: Start
) -> dict[str, Any]:
    """What the state of any training depends on, whoever trains."""
    return {
        "architecture": architecture.by_name,
        "backbone": architecture.backbone.to_dict(),
        "identity_start": architecture.identity_start,
        "seed": seed,
        "start": start.label,
        "schedule_epochs": schedule,
    }


class FunctionTrainer:
    """A training of the user's own.

    `function` is called by keyword with what it takes of these: `network` (on the processor,
    with the initial weights), `epochs`, `schedule_epochs`, `seed`, `device` ("cpu", "cuda"),
    `split` ("validation", or "test" where a confirmation asks), `data` (`Data`, if the config has
    any), `checkpoint` (a folder of this training's own: what it leaves there it finds again when
    it is to go on; it is removed when the schedule's last epoch is done), `on_epoch` (to be
    called with the epochs done and the training loss). It returns metrics by name, or a pair of
    these and one score an item, whose mean is the first metric.
    """

    def __init__(
        self,
        function: Function,
        *,
        seed: int,
        device: str = "cpu",
        data: Data | None = None,
        checkpoints: Path | None = None,
        start: Start | None = None,
        label: str = "",
    ) -> None:
        self.function, self.seed, self.device = function, seed, device
        self.data, self.checkpoints, self.label = data, checkpoints, label
        self.start = start or FromScratch()
        self._taken = taken_by(function)

    @property
    def goes_on(self) -> bool:
        """Whether a training can go on from where it stopped: it takes a `checkpoint`."""
        return "checkpoint" in self._taken

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        schedule_epochs: int | None = None,
        seed: int | None = None,
        split: Split = "validation",
        on_trained: OnTrained | None = None,
    ) -> TrainingResult:
        seed = self.seed if seed is None else seed
        schedule = epochs if schedule_epochs is None else schedule_epochs
        network = self.start.network(architecture, seed)
        offered: dict[str, Any] = {
            "network": network,
            "epochs": epochs,
            "schedule_epochs": schedule,
            "seed": seed,
            "device": self.device,
            "split": split,
            "data": self.data,
            "on_epoch": on_epoch or _unheard,
        }
        if self.goes_on:
            offered["checkpoint"] = self._folder(architecture, schedule, seed)
        given = {name: value for name, value in offered.items() if name in self._taken}
        began = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            returned = _called(self.function, given)
        result = _result(returned, epochs, self.label)
        if on_trained is not None:
            on_trained(network, result)
        if (folder := given.get("checkpoint")) and schedule == epochs:
            shutil.rmtree(folder, ignore_errors=True)
        return _timed(result, began)

    def environment(self) -> dict[str, Any]:
        return {"training_device": self.device, "precision": "its own"}

    def _folder(self, architecture: Architecture, schedule: int, seed: int) -> Path | None:
        """The folder of one training, which is made; None where nothing is kept."""
        if self.checkpoints is None:
            return None
        facts = {
            **_training_facts(architecture, schedule, seed, self.start),
            "function": self.label,
            "data": None if self.data is None else _identity(self.data),
        }
        folder = Checkpoint.within(self.checkpoints, facts).file.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _identity(data: Data) -> dict[str, Any]:
    """Which items a training saw, as far as a checkpoint must know."""
    return {name: data.facts.get(name) for name in ("sizes", "splits_sha256")}


def taken_by(function: Function) -> frozenset[str]:
    """The keyword arguments that a training function takes."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return frozenset(OFFERED)
    return frozenset(p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY)


def needed_by(function: Function) -> tuple[str, ...]:
    """The keyword arguments without which it cannot be called."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


OFFERED = (
    "network",
    "epochs",
    "schedule_epochs",
    "seed",
    "device",
    "split",
    "data",
    "checkpoint",
    "on_epoch",
)
"""What a training function is offered, by keyword."""


def _called(function: Function, given: Mapping[str, Any]) -> Any:
    """What the function returns; whatever it raises is a failure of the candidate."""
    try:
        return function(**given)
    except TrainingFailed:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise TrainingFailed("out of memory", first_line(error)) from error
    except (Exception, SystemExit) as error:
        raise TrainingFailed("raised", f"{type(error).__name__}: {first_line(error)}") from error


def _result(returned: Any, epochs: int, label: str) -> TrainingResult:
    """Metrics and scores as a training function returned them."""
    pair = isinstance(returned, tuple) and len(returned) == 2
    metrics, scores = returned if pair else (returned, None)
    if not isinstance(metrics, Mapping) or not metrics:
        raise TrainingFailed(
            "raised",
            f"{label or 'the training function'} returned {type(metrics).__name__}; a mapping of "
            "metrics, or a pair of that and the scores of the items, is needed",
        )
    try:
        figures = {str(name): float(value) for name, value in metrics.items()}
        items = None if scores is None else _scores(next(iter(figures)), scores)
    except (TypeError, ValueError) as error:
        raise TrainingFailed("raised", f"a metric is no number: {first_line(error)}") from error
    if items is None:
        return TrainingResult(figures, 0.0, {}, None, epochs)
    found = figures[items.metric]
    if math.isfinite(found) and not math.isclose(items.mean, found, rel_tol=1e-4, abs_tol=1e-4):
        raise TrainingFailed(
            "raised",
            f"the scores of the items have the mean {items.mean:g}, which the first metric, "
            f"{items.metric} = {found:g}, must be",
        )
    return TrainingResult(figures, 0.0, {items.metric: interval_of(items)}, items, epochs)


def _scores(metric: str, given: Any) -> ItemScores:
    values = given.detach().cpu().numpy() if isinstance(given, torch.Tensor) else np.asarray(given)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"scores of shape {values.shape}, not one an item")
    return ItemScores.of(metric, values if values.dtype == np.bool_ else values.astype(float))


def _timed(result: TrainingResult, began: float) -> TrainingResult:
    return replace(result, seconds=time.monotonic() - began)


def _unheard(epoch: int, loss: float) -> None:
    """Nobody listens."""
