"""Latency as an experiment: candidates are timed beside a reference network.

What makes two measurements of one network differ, and what is done about it:

- **Drift.** A processor's speed changes by several percent within seconds (clock rate, other
  programs), so times compare only if they were taken at the same moment. Each timing of a
  candidate stands between two of the reference network, in a chain reference, candidate,
  reference, candidate, ..., reference, and what is kept are ratios.
- **Interruptions and cold caches.** A program that takes the core away leaves cold caches behind,
  and so does the candidate before; the chain's rhythm may even agree with the scheduler's, which
  then hits the same network each time. A timing consists of a few calls in a row, of which the
  first fills the caches, and the fastest call of an instance counts: noise only ever adds (Chen
  and Revels 2016, "Robust benchmarking in noisy environments", arXiv:1608.04295).
- **Memory.** One built network is one sample of where its weights and activations lie. Several
  fresh instances of the candidates and of the reference are timed, and the instance is the unit
  of the interval.
- **The moment.** Instances that are measured within a second share what the machine does then.
  The interval has a part for that which does not shrink with more instances (`SHARED`).
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import nn

from ..devices import Device
from .instances import InputShape, Instances, Pace, fresh_instances
from .interval import Interval, interval

Clock = Callable[[], int]  # nanoseconds

LEAST_INSTANCES = 6
"""So many instances of a network are measured however long they take."""
MOST_INSTANCES = 32
"""More would not make the interval narrower: what the moment shares is then most of it."""
SHARED = 0.15
"""Variance of the ratio to the reference that instances of one measurement share, as a multiple of
the variance between them. By `benchmarks/coverage`, where it is a tenth on simulated machines, 0.1
covers 90 to 95 % (measuring stops where the variance looks small) and 0.15 93 to 96 %."""
SHARED_ABSOLUTE = 0.8
"""The same of absolute times, in which nothing cancels: whole processes are faster than others."""

_MORE_INSTANCES = 1.25  # between two looks at the interval: looking often would stop by luck


@dataclass(frozen=True)
class Latency:
    """The time of one batch in ms, with its 95 % interval.

    `ratio` is candidate / reference: the trimmed mean over `instances` fresh instances of the
    ratio of their fastest calls, from `pairs` timings of both. The interval covers what a user
    meets who measures again: other instances, another moment, another process. It is that of the
    ratio times the reference's latency: it says how well candidates compare, not how well the
    reference itself is known.

    `settled`: the interval is as narrow as was asked for, or clear of the bound that was given;
    if not, the time was up before. `in_one_process`: why it was not measured in fresh processes,
    where it should have been.
    """

    ms: float
    low: float
    high: float
    ratio: float
    pairs: int
    instances: int = 1
    processes: int = 1
    settled: bool = True
    in_one_process: str = ""


@dataclass(frozen=True)
class Samples:
    """Logarithms, one per instance: of the reference's nanoseconds, of the others' ratios to it."""

    reference: list[float]
    ratios: list[list[float]]
    pairs: int
    """Pairs of timings behind each ratio."""


def measure_latency(
    device: Device,
    candidates: Sequence[nn.Module],
    reference: nn.Module,
    input_shape: InputShape,
    *,
    rng: np.random.Generator,
    reference_ms: float | None = None,
    bound_ms: float = math.inf,
    target_interval: float = 0.02,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> list[Latency]:
    """The candidates' latencies, each relative to the reference timed beside it.

    After a warm-up, rounds go over fresh instances of the candidates in random order, until each
    one's interval is settled, `max_seconds` a candidate have passed (by `now`; the device's own
    clock is what times) or there were `MOST_INSTANCES`; but never before `LEAST_INSTANCES`, of at
    least one pair each.

    An interval is settled if it is narrower than `target_interval` times the latency and does
    not contain `bound_ms`, or if it lies wholly above `bound_ms`, however wide: the candidate
    will be rejected. So what is near the bound is measured further.

    `reference_ms` is the reference's latency from an earlier `measure_reference`: latencies
    measured at different times compare if they share it. Without it, the reference's timings in
    this call are taken.
    """
    if not candidates:
        return []

    def judged(found: Samples, index: int) -> Latency:
        known_ms = reference_ms or interval(found.reference).exp(1e-6).centre
        within = interval(found.ratios[index], shared=SHARED).exp(known_ms)
        settled = is_settled(within, target_interval, bound_ms)
        return _latency(within, known_ms, found.pairs, len(found.ratios[index]), settled)

    found = sample(
        device,
        candidates,
        reference,
        input_shape,
        rng=rng,
        settled=lambda found, index: judged(found, index).settled,
        max_seconds=max_seconds * len(candidates),
        now=now,
    )
    return [judged(found, index) for index in range(len(candidates))]


def measure_reference(
    device: Device,
    reference: nn.Module,
    input_shape: InputShape,
    *,
    target_interval: float = 0.05,
    max_seconds: float = 10.0,
    now: Clock = time.monotonic_ns,
) -> Latency:
    """The reference network's own latency over fresh instances, with its 95 % interval, ratio 1.

    Measured once a run; it is what turns the run's ratios into milliseconds. No ratio makes up
    for the moment and the process here, so the interval is wider than that of a candidate.
    """

    def judged(found: Samples) -> Latency:
        within = interval(found.reference, shared=SHARED_ABSOLUTE).exp(1e-6)
        settled = is_settled(within, target_interval, math.inf)
        return _latency(within, within.centre, found.pairs, len(found.reference), settled)

    found = sample(
        device,
        [],
        reference,
        input_shape,
        rng=np.random.default_rng(0),  # it only shifts memory
        settled=lambda found, _: judged(found).settled,
        max_seconds=max_seconds,
        now=now,
    )
    return judged(found)


def sample(
    device: Device,
    candidates: Sequence[nn.Module],
    reference: nn.Module,
    input_shape: InputShape,
    *,
    rng: np.random.Generator,
    settled: Callable[[Samples, int], bool],
    max_seconds: float,
    least_instances: int = LEAST_INSTANCES,
    now: Clock = time.monotonic_ns,
) -> Samples:
    """The logarithms of fresh instances of the candidates, each timed beside the reference.

    It goes on until `settled(samples, index)` holds of each candidate, `max_seconds` have passed
    after the warm-up, or there were `MOST_INSTANCES`, but not before `least_instances`.

    Without candidates the reference is asked about, as index 0.
    """
    with _undisturbed(device):
        made = [Instances(device, network, input_shape) for network in (reference, *candidates)]
        pace = _pace(made)
        found = Samples([], [[] for _ in candidates], pace.pairs)
        unsettled = list(range(len(candidates) or 1))
        ends, look = now() + int(max_seconds * 1e9), least_instances
        while unsettled and (done := len(found.reference)) < MOST_INSTANCES:
            if done >= least_instances and now() >= ends:
                break
            timed = unsettled if candidates else []
            beside, ratios = _block([made[0], *(made[1 + i] for i in timed)], pace, rng)
            found.reference.append(beside)
            for i, ratio in zip(timed, ratios, strict=True):
                found.ratios[i].append(ratio)
            gc.collect(0)  # what is left of the instances, should a network have cycles
            if done + 1 == look:
                look = int(look * _MORE_INSTANCES) + 1
                unsettled = [i for i in unsettled if not settled(found, i)]
    return found


def is_settled(within: Interval, target: float, bound: float) -> bool:
    """Whether an interval is narrow enough and clear of the bound, or wholly above the bound."""
    if within.low > bound:
        return True
    return within.width <= target * within.centre and within.high <= bound


def _pace(made: Sequence[Instances]) -> Pace:
    """The reference's, so that all candidates of a run share it; but for far slower ones."""
    reference, *candidates = made
    slowest = max((candidate.call_ns for candidate in candidates), default=0)
    return Pace.of(max(reference.call_ns, slowest / 4))


def _block(
    made: Sequence[Instances], pace: Pace, rng: np.random.Generator
) -> tuple[float, list[float]]:
    """Times one fresh instance of each network; the first is the reference.

    Logarithms: of the reference's nanoseconds, and of the others' ratios to it.
    """
    (against, *others), ballast = fresh_instances(made, rng)
    chain = [against.fastest_ns(pace.calls)]
    own: list[list[float]] = [[] for _ in others]
    beside: list[list[float]] = [[] for _ in others]
    sides = rng.integers(2, size=len(others)).tolist()
    for _ in range(pace.pairs):
        for index in rng.permutation(len(others)):
            own[index].append(others[index].fastest_ns(pace.calls))
            chain.append(against.fastest_ns(pace.calls))
            beside[index].append(_beside(chain, pace, sides[index]))
        if not others:
            chain.append(against.fastest_ns(pace.calls))
    del ballast  # it was to stay until here
    ratios = [min(one) / min(other) for one, other in zip(own, beside, strict=True)]
    return math.log(min(chain)), [math.log(ratio) for ratio in ratios]


def _beside(chain: Sequence[float], pace: Pace, side: int) -> float:
    """The reference's timing that belongs to the candidate's between the last two of the chain.

    Of several calls the fastest counts, and so it is one of the two: the fastest of as many calls
    as the candidate had. `side`, drawn for each instance, says which; were it drawn for each
    timing, some of the reference's would count twice, and their fastest be slower than that of
    as many different ones. A single slow call is compared with the mean of both.
    """
    if pace.calls == 1:
        return (chain[-2] + chain[-1]) / 2
    return chain[-1 - side]


def _latency(
    within: Interval, reference_ms: float, pairs: int, instances: int, settled: bool
) -> Latency:
    """Of an interval in ms; `pairs` of each instance."""
    return Latency(
        ms=within.centre,
        low=within.low,
        high=within.high,
        ratio=within.centre / reference_ms,
        pairs=pairs * instances,
        instances=instances,
        settled=settled,
    )


@contextmanager
def _undisturbed(device: Device) -> Iterator[None]:
    """No garbage collection meanwhile, and what the device asks for."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        with device.measuring():
            yield
    finally:
        if collecting:
            gc.enable()
