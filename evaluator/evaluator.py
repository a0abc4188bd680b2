"""Evaluation of one architecture: cheap metrics and constraints first, then brief training."""

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from attnas.results import METRICS, Objective
from attnas.search_space import Architecture, InputError
from attnas.search_space.build import build

from .batches import Batches, safe_layout
from .checkpoint import Checkpoint
from .complexity import complexity
from .constraints import Constraint
from .data import Data
from .devices import Device
from .initial_weights import FromScratch, Start
from .latency import Latency, measure_latency, measure_reference
from .latency_table import LatencyTable
from .memory import peak_activation_mb
from .proxies import proxies, proxy_batch
from .table import Table
from .training import Recipe, train

SCREENING_SECONDS = 2.5
"""At most so long a candidate's latency is measured; on a quiet machine a tenth is enough."""

_NOT_OF_THE_STATE = ("epochs", "time_limit_s")  # `of` says how long; a limit changes nothing

OnEpoch = Callable[[int, float], None]


@dataclass(frozen=True)
class Screening:
    """What is known of an architecture without training it.

    Measuring stops at the first broken constraint, so `metrics` may lack the dearer ones.
    `predicted`: the latency, which breaks a bound, is the latency table's, not measured.
    """

    metrics: Mapping[str, float]
    violations: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()
    predicted: bool = False


@dataclass(frozen=True)
class Evaluation:
    """What training an architecture gave; `seconds` is the time that it took (or had taken).

    `half_size`: scored on images of half the side, the only ones that it has been trained on.
    """

    metrics: Mapping[str, float]
    seconds: float
    violations: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    correct: bytes = b""
    images: int = 0
    half_size: bool = False


class Evaluator(Protocol):
    """Scores architectures: `screen` without training, `train` what passed.

    `of` is the number of epochs that the training's schedule is laid out for, `epochs` itself
    if None; one that stopped before it goes on from there.
    """

    def screen(self, architecture: Architecture) -> Screening: ...

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        of: int | None = None,
    ) -> Evaluation: ...


def excesses(
    constraints: Sequence[Constraint], metrics: Mapping[str, float], plain: Mapping[str, float]
) -> dict[str, float]:
    """The broken ones among the constraints on metrics that are known, with their excess."""
    found = {
        f"{c.metric} {c}": c.excess(metrics[c.metric], plain.get(c.metric))
        for c in constraints
        if c.metric in metrics
    }
    return {text: excess for text, excess in found.items() if excess > 0}


class TrainingEvaluator:
    """Builds, measures and trains for real.

    All architectures share the backbone's initial weights, the data order and the
    augmentation draws (common random numbers), which come from `seed` alone.
    `plain` are the cheap metrics of the plain backbone, to which relative constraints and
    latencies refer: those of an earlier session if the run goes on, else measured now.
    `checkpoints` is the folder for trainings that are to go on, perhaps in another process;
    without it each begins anew. `start` gives the weights that trainings begin with, random
    ones if None. `proxies` are the zero-cost proxies to be taken beside the cheap metrics.
    """

    def __init__(
        self,
        plain_architecture: Architecture,
        data: Data,
        device: Device,
        recipe: Recipe,
        constraints: Sequence[Constraint],
        *,
        seed: int,
        training_device: str = "cpu",
        plain: Screening | None = None,
        checkpoints: Path | None = None,
        start: Start | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        self.data, self.device, self.recipe, self.seed = data, device, recipe, seed
        self.constraints, self.training_device = tuple(constraints), training_device
        self.checkpoints, self.start = checkpoints, start or FromScratch()
        self.proxies = tuple(proxies)
        self._plain_architecture = plain_architecture
        self._input_shape = plain_architecture.backbone.input_shape
        self._reference = build(plain_architecture, seed=seed).eval()
        self._screened: dict[Architecture, Screening] = {}
        self._table: LatencyTable | None = None
        self.plain = plain if plain is not None else self._measure_plain()

    def screen(self, architecture: Architecture) -> Screening:
        if architecture.is_plain:
            return self._judged(self.plain)
        if architecture not in self._screened:
            self._screened[architecture] = self._measure(architecture)
        return self._screened[architecture]

    def screen_by(self, table: LatencyTable) -> None:
        """From now on measures no latency that the table is sure to be above the bound."""
        self._table = table

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]:
        """Measured side by side, for at most `max_seconds` each.

        Relative to the plain backbone, of which `plain` has the latency.
        """
        return measure_latency(
            self.device,
            [build(architecture, seed=self.seed).eval() for architecture in architectures],
            self._reference,
            self._input_shape,
            rng=np.random.default_rng((self.seed, len(architectures))),
            reference_ms=self.plain.metrics["latency_ms"],
            max_seconds=max_seconds,
        )

    def plain_latency(self, *, max_seconds: float) -> Latency:
        """The plain backbone's, measured anew; `plain` keeps the run's."""
        return measure_reference(
            self.device, self._reference, self._input_shape, max_seconds=max_seconds
        )

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        of: int | None = None,
    ) -> Evaluation:
        """Trains on the train split and scores on the validation split.

        With `of` more than `epochs` the training stops in its schedule; asked for more, it
        goes on from its checkpoint, to the same figures as in one go.

        Raises:
            TrainingFailed: the training diverged, ran out of memory or time, or raised.
        """
        began = time.monotonic()
        checkpoint = self._checkpoint(architecture, epochs if of is None else of)
        outcome = train(
            self.start.network(architecture, self.seed),
            self.data,
            self.recipe,
            seed=self.seed,
            epochs=epochs,
            of=of,
            device=self.training_device,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
        )
        if checkpoint and of in (None, epochs):
            checkpoint.delete()
        metrics = {"accuracy": outcome.accuracy, "validation_loss": outcome.loss}
        return Evaluation(
            metrics=metrics,
            seconds=time.monotonic() - began,
            violations=excesses(self.constraints, metrics, {}),
            intervals={"accuracy": _binomial_interval(outcome.accuracy, outcome.images)},
            correct=outcome.correct,
            images=outcome.images,
            half_size=outcome.half_size,
        )

    def _checkpoint(self, architecture: Architecture, of: int) -> Checkpoint | None:
        if self.checkpoints is None:
            return None
        recipe = {k: v for k, v in asdict(self.recipe).items() if k not in _NOT_OF_THE_STATE}
        data = {name: self.data.facts.get(name) for name in ("sizes", "splits_sha256")}
        facts = {
            "architecture": str(architecture),
            "backbone": architecture.backbone.to_dict(),
            "identity_start": architecture.identity_start,
            "seed": self.seed,
            "start": self.start.label,
            "of": of,
            "recipe": recipe,
            "data": data,
        }
        return Checkpoint(self.checkpoints, facts)

    def _measure(self, architecture: Architecture) -> Screening:
        network = build(architecture, seed=self.seed).eval()
        metrics, uncounted = self._counted(network)
        intervals: dict[str, tuple[float, float]] = {}
        predicted = False
        if not excesses(self.constraints, metrics, self.plain.metrics):
            metrics |= self._proxies(architecture)
        if not excesses(self.constraints, metrics, self.plain.metrics):
            table, bound_ms = self._table, self._latency_bound_ms()
            if table is not None and table.surely_above(architecture, bound_ms):
                ms, margin, predicted = table.predict(architecture), table.error.margin, True
                low, high = ms / (1 + margin), ms * (1 + margin)
            else:
                latency = self._latency(network, architecture)
                ms, low, high = latency.ms, latency.low, latency.high
            metrics["latency_ms"] = ms
            intervals["latency_ms"] = (low, high)
        return self._judged(Screening(metrics, {}, intervals, uncounted, predicted))

    def _counted(self, network: torch.nn.Module) -> tuple[dict[str, float], tuple[str, ...]]:
        """What needs no clock, and the operators that the flop count skipped."""
        counted = complexity(network, self._input_shape)
        metrics = {
            "params": counted.params,
            "flops": counted.flops,
            "activations": counted.activations,
            "peak_memory_mb": peak_activation_mb(network, self._input_shape),
        }
        return metrics, counted.uncounted

    def _proxies(self, architecture: Architecture) -> dict[str, float]:
        if not self.proxies:
            return {}
        return proxies(architecture, self.proxies, self._proxy_batch, seed=self.seed)

    @cached_property
    def _proxy_batch(self) -> tuple[Tensor, Tensor]:
        batches = Batches(self.data, self.recipe, layout=safe_layout(self._reference))
        return proxy_batch(batches, self.seed)

    def _judged(self, screening: Screening) -> Screening:
        violations = excesses(self.constraints, screening.metrics, self.plain.metrics)
        return replace(screening, violations=violations)

    def _latency(self, network: torch.nn.Module, architecture: Architecture) -> Latency:
        [latency] = measure_latency(
            self.device,
            [network],
            self._reference,
            self._input_shape,
            rng=np.random.default_rng((self.seed, zlib.crc32(str(architecture).encode()))),
            reference_ms=self.plain.metrics["latency_ms"],
            bound_ms=self._latency_bound_ms(),
            max_seconds=SCREENING_SECONDS,
        )
        return latency

    def _latency_bound_ms(self) -> float:
        bounds = [
            constraint.resolve(self.plain.metrics).bound
            for constraint in self.constraints
            if constraint.metric == "latency_ms" and constraint.op == "<="
        ]
        return min(bounds, default=math.inf)

    def _measure_plain(self) -> Screening:
        metrics, uncounted = self._counted(self._reference)
        latency = measure_reference(self.device, self._reference, self._input_shape)
        metrics |= {"latency_ms": latency.ms, **self._proxies(self._plain_architecture)}
        return Screening(metrics, {}, {"latency_ms": (latency.low, latency.high)}, uncounted)


class TableEvaluator:
    """Replays a table of recorded results: no training, no measuring."""

    def __init__(
        self, table: Table, constraints: Sequence[Constraint], plain: Architecture, epochs: int
    ) -> None:
        self.table, self.constraints, self.epochs = table, tuple(constraints), epochs
        try:
            found = _cheap(table.lookup(plain, epochs).metrics)
        except LookupError:
            found = {}
        self.plain = Screening(found)
        relative = [c for c in self.constraints if c.relative and c.metric not in found]
        if relative:
            raise InputError(
                f"'{relative[0]}' is relative to the plain backbone, which the table does not "
                "hold. Write an absolute bound.",
                key=f"constraints.{relative[0].metric}",
            )

    def screen(self, architecture: Architecture) -> Screening:
        """The recorded cheap metrics.

        Raises:
            LookupError: the table lacks the architecture; of the plain backbone it then gives
                no metrics.
        """
        if architecture.is_plain:
            metrics = dict(self.plain.metrics)
            return Screening(metrics, excesses(self.constraints, metrics, metrics))
        metrics = _cheap(self.table.lookup(architecture, self.epochs).metrics)
        return Screening(metrics, excesses(self.constraints, metrics, self.plain.metrics))

    def train(
        self,
        architecture: Architecture,
        epochs: int,
        on_epoch: OnEpoch | None = None,
        *,
        of: int | None = None,
    ) -> Evaluation:
        """The recorded result; `of` is the recording's own, whatever is asked for.

        `seconds` are those of the whole training, also where an earlier part was replayed.

        Raises:
            LookupError: the table lacks the architecture or the number of epochs.
        """
        row = self.table.lookup(architecture, epochs)
        metrics = dict(row.metrics)
        return Evaluation(
            metrics, row.seconds, excesses(self.constraints, metrics, self.plain.metrics)
        )


def missing_metrics(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> list[str]:
    """The objectives' metrics that an evaluation did not give or gave as NaN."""
    return [o.metric for o in objectives if not np.isfinite(metrics.get(o.metric, np.nan))]


def _cheap(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if METRICS[name].cheap}


def _binomial_interval(share: float, images: int) -> tuple[float, float]:
    interval = binomtest(round(share * images), images).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
