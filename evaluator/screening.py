"""What is known of an architecture without training it: counted, computed and measured."""

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from attnas.core import METRICS, Constraint, PredictedCost, Screening, excesses, in_order
from attnas.search_space import Architecture, SearchSpace, build, seeded

from .complexity import complexity
from .devices import Device
from .latency import (
    Latency,
    NoFreshProcess,
    in_fresh_processes,
    measure_latency,
    measure_reference,
)
from .latency_tables import kept_table
from .memory import peak_activation_mb

SCREENING_SECONDS = 2.5
"""At most so long a candidate's latency is measured; on a quiet machine a tenth is enough."""

Proxies = Callable[[Architecture], dict[str, float]]


class Screener:
    """Builds networks and takes their cheap metrics, up to the first broken constraint.

    `plain` are the cheap metrics of the plain backbone: those of an earlier session if the run
    goes on, else measured now. `metrics` are registered ones to be taken beside the built-in
    ones, `proxies` computes what needs a batch of training items. `plugins` are the modules that
    register what architectures are built of: a fresh process must import them too.
    """

    def __init__(
        self,
        space: SearchSpace,
        device: Device,
        constraints: Sequence[Constraint],
        *,
        seed: int,
        plain: Screening | None = None,
        metrics: Sequence[str] = (),
        proxies: Proxies | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        self.space, self.device, self.seed = space, device, seed
        self.constraints, self._plugins = tuple(constraints), tuple(plugins)
        self._proxies = proxies
        self._own = [name for name in in_order(metrics) if _is_measured(name)]
        self._input_shape = space.backbone.input_shape
        self._reference = build(space.plain, seed=seed).eval()
        self._screened: dict[Architecture, Screening] = {}
        self._table: PredictedCost | None = None
        self.plain = plain if plain is not None else self._measure_plain()

    def screen(self, architecture: Architecture) -> Screening:
        if architecture.is_plain:
            return self._judged(self.plain)
        if architecture not in self._screened:
            self._screened[architecture] = self._measure(architecture)
        return self._screened[architecture]

    def screen_by(self, table: PredictedCost) -> None:
        """As `LatencyMeter.screen_by`."""
        self._table = table

    def table(
        self, note: Callable[[str], None], progress: Callable[[int, int], None] | None = None
    ) -> PredictedCost:
        """As `LatencyMeter.table`."""
        return kept_table(
            self.space,
            self.device,
            seed=self.seed,
            plain_ms=self.plain.metrics["latency_ms"],
            note=note,
            progress=progress,
        )

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]:
        """As `LatencyMeter.latencies`."""
        reference_ms = self.plain.metrics["latency_ms"]
        try:
            return in_fresh_processes(
                self.device,
                architectures,
                self.space.plain,
                seed=self.seed,
                reference_ms=reference_ms,
                bound_ms=self._latency_bound_ms(),
                max_seconds=max_seconds,
                plugins=self._plugins,
            )
        except NoFreshProcess as error:
            found = measure_latency(
                self.device,
                [build(architecture, seed=self.seed).eval() for architecture in architectures],
                self._reference,
                self._input_shape,
                rng=np.random.default_rng((self.seed, len(architectures))),
                reference_ms=reference_ms,
                bound_ms=self._latency_bound_ms(),
                max_seconds=max_seconds,
            )
            return [replace(latency, in_one_process=str(error)) for latency in found]

    def plain_latency(self, *, max_seconds: float) -> Latency:
        """As `LatencyMeter.plain_latency`."""
        return measure_reference(
            self.device, self._reference, self._input_shape, max_seconds=max_seconds
        )

    def _measure(self, architecture: Architecture) -> Screening:
        network = build(architecture, seed=self.seed).eval()
        metrics, uncounted = self._counted(architecture, network)
        intervals: dict[str, tuple[float, float]] = {}
        predicted = False
        if not excesses(self.constraints, metrics, self.plain.metrics):
            metrics |= self._proxies(architecture) if self._proxies else {}
        if not excesses(self.constraints, metrics, self.plain.metrics):
            found = self._predicted_beyond(architecture)
            if found is not None:
                predicted = True
            else:
                latency = self._latency(network, architecture)
                found = latency.ms, latency.low, latency.high
            metrics["latency_ms"] = found[0]
            intervals["latency_ms"] = found[1:]
        return self._judged(Screening(metrics, {}, intervals, uncounted, predicted))

    def _predicted_beyond(self, architecture: Architecture) -> tuple[float, float, float] | None:
        """The table's latency with its margin, where that is surely above the bound."""
        if self._table is None:
            return None
        ms = self._table.cost.at(self.space.positions(architecture))
        margin = self._table.margin
        if ms <= self._latency_bound_ms() * (1 + margin):
            return None
        return ms, ms / (1 + margin), ms * (1 + margin)

    def _counted(
        self, architecture: Architecture, network: nn.Module
    ) -> tuple[dict[str, float], tuple[str, ...]]:
        """What needs no clock, and the operators that the flop count skipped."""
        counted = complexity(network, self._input_shape)
        metrics: dict[str, float] = {
            "params": counted.params,
            "flops": counted.flops,
            "activations": counted.activations,
            "peak_memory_mb": peak_activation_mb(network, self._input_shape),
        }
        for name in self._own:
            measure = METRICS[name].measure
            assert measure is not None
            own = build(architecture, seed=self.seed).eval()  # which it may use up
            with seeded(self.seed, name):
                metrics[name] = float(measure(own, self._input_shape))
        return metrics, counted.uncounted

    def _judged(self, screening: Screening) -> Screening:
        violations = excesses(self.constraints, screening.metrics, self.plain.metrics)
        return replace(screening, violations=violations)

    def _latency(self, network: nn.Module, architecture: Architecture) -> Latency:
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
        metrics, uncounted = self._counted(self.space.plain, self._reference)
        latency = measure_reference(self.device, self._reference, self._input_shape)
        metrics |= {"latency_ms": latency.ms}
        metrics |= self._proxies(self.space.plain) if self._proxies else {}
        return Screening(metrics, {}, {"latency_ms": (latency.low, latency.high)}, uncounted)


def _is_measured(name: str) -> bool:
    return name in METRICS and METRICS[name].cheap and METRICS[name].measure is not None
