"""The latency that attnas measured before: medians of pairs on one instance of each network.

The baseline of `benchmarks.coverage` and `benchmarks.latency`, kept as it was: the time limit
begins before the warm-up, one pair is enough, a timing is the mean of about a millisecond of
calls, and the interval is that of the median over the pairs.
"""

import gc
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import binom
from torch import nn

from attnas.evaluator import Device, Latency

Clock = Callable[[], int]  # nanoseconds

CONFIDENCE = 0.95
WARM_UP_SECONDS = 0.05
WARM_UP_CALLS = 5
LEAST_TIMING_NS = 1_000_000
LEAST_PAIRS = 16
MORE_PAIRS = 1.25


def measure_latency(
    device: Device,
    candidates: Sequence[nn.Module],
    reference: nn.Module,
    input_shape: tuple[int, int, int],
    *,
    rng: np.random.Generator,
    reference_ms: float | None = None,
    bound_ms: float = math.inf,
    target_interval: float = 0.01,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> list[Latency]:
    """The candidates' latencies, each relative to the reference timed beside it."""
    gc.collect()
    with device.measuring():
        ends = now() + int(max_seconds * 1e9 * len(candidates))
        timers = [_Timer(device.prepare(c, input_shape), device.clock) for c in candidates]
        against = _Timer(device.prepare(reference, input_shape), device.clock)
        references = [against.ns_per_call()]
        ratios: list[list[float]] = [[] for _ in timers]
        unsettled = list(range(len(timers)))
        rounds, look = 0, LEAST_PAIRS
        while unsettled and (rounds == 0 or now() < ends):
            for index in rng.permutation(unsettled):
                own = timers[index].ns_per_call()
                references.append(against.ns_per_call())
                ratios[index].append(2 * own / (references[-2] + references[-1]))
            rounds += 1
            if rounds == look:
                look = int(look * MORE_PAIRS) + 1
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
    input_shape: tuple[int, int, int],
    *,
    target_interval: float = 0.01,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> Latency:
    """The reference network's own latency: its median with a 95 % interval."""
    gc.collect()
    with device.measuring():
        ends = now() + int(max_seconds * 1e9)
        timer = _Timer(device.prepare(reference, input_shape), device.clock)
        timings, look = [timer.ns_per_call()], LEAST_PAIRS
        while now() < ends:
            timings.append(timer.ns_per_call())
            if len(timings) == look:
                look = int(look * MORE_PAIRS) + 1
                if _narrow(timings, target_interval):
                    break
    low, high = median_interval(timings)
    return Latency(float(np.median(timings)) / 1e6, low / 1e6, high / 1e6, 1.0, len(timings))


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % confidence interval of the median, from order statistics."""
    ordered = np.sort(values)
    outside = max(int(binom.ppf((1 - CONFIDENCE) / 2, len(ordered), 0.5)) - 1, 0)
    return float(ordered[outside]), float(ordered[-1 - outside])


class _Timer:
    """One prepared, warm network; short inferences are repeated within a timing."""

    def __init__(self, run: Callable[[], None], clock: Clock) -> None:
        self._run, self._clock = run, clock
        began, calls, fastest = self._clock(), 0, float("inf")
        while calls < WARM_UP_CALLS or self._clock() - began < WARM_UP_SECONDS * 1e9:
            before = self._clock()
            self._run()
            fastest = min(fastest, self._clock() - before)
            calls += 1
        self._repeats = max(1, round(LEAST_TIMING_NS / max(fastest, 1)))

    def ns_per_call(self) -> float:
        run, repeats = self._run, range(self._repeats)
        began = self._clock()
        for _ in repeats:
            run()
        return (self._clock() - began) / len(repeats)


def _narrow(values: Sequence[float], target: float) -> bool:
    low, high = median_interval(values)
    return high - low <= target * float(np.median(values))


def _latency(ratios: Sequence[float], reference_ms: float) -> Latency:
    ratio = float(np.median(ratios))
    low, high = median_interval(ratios)
    return Latency(
        ratio * reference_ms, low * reference_ms, high * reference_ms, ratio, len(ratios)
    )
