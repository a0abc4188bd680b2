"""Latency as an experiment: candidates are timed beside a reference network.

A processor's speed drifts by several percent within seconds (clock rate, other programs,
caches), so times of two networks compare only if they were taken at the same moment. Each
timing of a candidate therefore stands between two of the reference network, in a chain
reference, candidate, reference, candidate, ..., reference, and what is kept is its ratio to
the mean of its neighbours: a drift that is steady over three timings cancels.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom
from torch import nn

from .devices import Device

Clock = Callable[[], int]  # nanoseconds
InputShape = tuple[int, ...]

_CONFIDENCE = 0.95
_WARM_UP_SECONDS = 0.05
_WARM_UP_CALLS = 5
_LEAST_TIMING_NS = 1_000_000  # thousands of times the clock's resolution
_LEAST_PAIRS = 16
_MORE_PAIRS = 1.25  # between two looks at the interval: looking often would stop by luck


@dataclass(frozen=True)
class Latency:
    """The time of one batch in ms, with its 95 % interval.

    `ratio` is the median of candidate / reference over `pairs` timings. The interval is that
    of the ratio times the reference's latency: it says how well candidates compare, not how
    well the reference itself is known.
    """

    ms: float
    low: float
    high: float
    ratio: float
    pairs: int


def measure_latency(
    device: Device,
    candidates: Sequence[nn.Module],
    reference: nn.Module,
    input_shape: InputShape,
    *,
    rng: np.random.Generator,
    reference_ms: float | None = None,
    bound_ms: float = math.inf,
    target_interval: float = 0.01,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> list[Latency]:
    """The candidates' latencies, each relative to the reference timed beside it.

    Rounds go over the candidates in random order, until each one's interval is narrower than
    `target_interval` times its median or `max_seconds` a candidate have passed (by `now`;
    the device's own clock is what times). A candidate whose whole interval lies above
    `bound_ms` is settled however wide the interval is: it will be rejected.

    `reference_ms` is the reference's latency from an earlier `measure_reference`: latencies
    measured at different times compare if they share it. Without it, the median of the
    reference's timings in this call is taken.
    """
    if not candidates:
        return []
    with _undisturbed(device):
        ends = now() + int(max_seconds * 1e9 * len(candidates))
        timers = [_Timer(device.prepare(c, input_shape), device.clock) for c in candidates]
        against = _Timer(device.prepare(reference, input_shape), device.clock)
        references = [against.ns_per_call()]
        ratios: list[list[float]] = [[] for _ in timers]
        unsettled = list(range(len(timers)))
        rounds, look = 0, _LEAST_PAIRS
        while unsettled and (rounds == 0 or now() < ends):
            for index in rng.permutation(unsettled):
                own = timers[index].ns_per_call()
                references.append(against.ns_per_call())
                ratios[index].append(2 * own / (references[-2] + references[-1]))
            rounds += 1
            if rounds == look:
                look = _next_look(look)
                known_ms = reference_ms or float(np.median(references)) / 1e6
                unsettled = [
                    i
                    for i in unsettled
                    if not _narrow(ratios[i], target_interval)
                    and median_interval(ratios[i])[0] * known_ms <= bound_ms
                ]
    if reference_ms is None:
        reference_ms = float(np.median(references)) / 1e6
    return [_latency(found, reference_ms) for found in ratios]


def measure_reference(
    device: Device,
    reference: nn.Module,
    input_shape: InputShape,
    *,
    target_interval: float = 0.01,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> Latency:
    """The reference network's own latency: its median with a 95 % interval, ratio 1.

    Measured once a run; it is what turns the run's ratios into milliseconds.
    """
    with _undisturbed(device):
        ends = now() + int(max_seconds * 1e9)
        timer = _Timer(device.prepare(reference, input_shape), device.clock)
        timings, look = [timer.ns_per_call()], _LEAST_PAIRS
        while now() < ends:
            timings.append(timer.ns_per_call())
            if len(timings) == look:
                look = _next_look(look)
                if _narrow(timings, target_interval):
                    break
    low, high = median_interval(timings)
    return Latency(float(np.median(timings)) / 1e6, low / 1e6, high / 1e6, 1.0, len(timings))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the median, from order statistics.

    It assumes nothing of the distribution: how many values lie below the median is binomial
    (n, 1/2). Fewer than 6 values carry no such interval: it is then their range.
    """
    ordered = np.sort(values)
    outside = max(int(binom.ppf((1 - _CONFIDENCE) / 2, len(ordered), 0.5)) - 1, 0)
    return float(ordered[outside]), float(ordered[-1 - outside])


class _Timer:
    """One prepared, warm network; short inferences are repeated within a timing."""

    def __init__(self, run: Callable[[], None], clock: Clock) -> None:
        self._run, self._clock = run, clock
        began, calls, fastest = self._clock(), 0, float("inf")
        while calls < _WARM_UP_CALLS or self._clock() - began < _WARM_UP_SECONDS * 1e9:
            before = self._clock()
            self._run()
            fastest = min(fastest, self._clock() - before)
            calls += 1
        self._repeats = max(1, round(_LEAST_TIMING_NS / max(fastest, 1)))

    def ns_per_call(self) -> float:
        run, repeats = self._run, range(self._repeats)
        began = self._clock()
        for _ in repeats:
            run()
        return (self._clock() - began) / len(repeats)


def _next_look(look: int) -> int:
    return int(look * _MORE_PAIRS) + 1


def _narrow(values: Sequence[float], target: float) -> bool:
    low, high = median_interval(values)
    return high - low <= target * float(np.median(values))


def _latency(ratios: Sequence[float], reference_ms: float) -> Latency:
    ratio = float(np.median(ratios))
    low, high = median_interval(ratios)
    return Latency(
        ratio * reference_ms, low * reference_ms, high * reference_ms, ratio, len(ratios)
    )


@contextmanager
def _undisturbed(device: Device) -> Iterator[None]:
    """No garbage collection meanwhile, and what the device asks for."""
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        with device.measuring():
            yield
    finally:
        if collecting:
            gc.enable()
