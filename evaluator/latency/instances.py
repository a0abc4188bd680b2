"""Instances: fresh copies of a network, each somewhere else in memory, and how they are timed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..devices import Device

InputShape = tuple[int, ...]

_WARM_UP_CALLS = 2
_WARM_UP_NS = 20_000_000
_LEAST_CALL_NS = 100_000  # hundreds of times the clock's resolution
_BALLAST = (60, 400)  # tensors and lists that are allocated, of which half stay
_LARGEST_BALLAST = 2**16  # floats


@dataclass(frozen=True)
class Pace:
    """How an instance is timed: `pairs` timings of `calls` calls in a row.

    The fastest call counts, so networks that are compared share the pace: the fastest of twenty
    is a little faster than the fastest of four.
    """

    calls: int
    pairs: int

    @classmethod
    def of(cls, call_ns: float) -> "Pace":
        """The pace for a reference whose call takes so long.

        Of several calls the first finds cold caches, and some are interrupted; both weigh less
        the longer a call takes, while repeating becomes dear. From 50 ms on there is one call
        and one pair an instance: more instances tell more than more pairs.
        """
        if call_ns > 50e6:
            return cls(calls=1, pairs=1)
        calls = min(max(round(6e6 / call_ns), 2), 5) if call_ns > 0 else 5
        return cls(calls, pairs=4 if call_ns <= 10e6 else 2)


class Instance:
    """One prepared copy; inferences shorter than the clock is good for are repeated in a call."""

    def __init__(self, device: Device, run: Callable[[], None], repeats: int) -> None:
        self._clock, self._run, self._repeats = device.clock, run, repeats
        run()  # the first inference touches its memory for the first time

    def fastest_ns(self, calls: int) -> float:
        """Nanoseconds an inference in the fastest of so many calls in a row."""
        return min(self._call() for _ in range(calls))

    def _call(self) -> float:
        run, repeats = self._run, range(self._repeats)
        began = self._clock()
        for _ in repeats:
            run()
        return (self._clock() - began) / len(repeats)


class Instances:
    """Makes fresh instances of one network, each somewhere else in memory.

    The first one warms up what instances share: the processor's clock rate, code, the
    kernels that a library compiles for these shapes. `call_ns` is what an inference took then.
    """

    def __init__(self, device: Device, network: nn.Module, input_shape: InputShape) -> None:
        self._device, self._network, self._input_shape = device, network, input_shape
        self.call_ns = self._warmed_up()
        self._repeats = max(1, math.ceil(_LEAST_CALL_NS / max(self.call_ns, 1)))

    def fresh(self) -> Instance:
        run = self._device.prepare(self._network, self._input_shape)
        return Instance(self._device, run, self._repeats)

    def _warmed_up(self) -> float:
        run, clock = self._device.prepare(self._network, self._input_shape), self._device.clock
        began, calls, fastest = clock(), 0, math.inf
        while calls < _WARM_UP_CALLS or clock() - began < _WARM_UP_NS:
            before = clock()
            run()
            fastest = min(fastest, clock() - before)
            calls += 1
        return fastest


def fresh_instances(
    made: Sequence[Instances], rng: np.random.Generator
) -> tuple[list[Instance], object]:
    """One fresh instance of each, in the given order, and the ballast that shifts them.

    They are made in random order with random allocations in between, half of which are freed
    again, so that addresses, alignments and the holes that activations go into are others each
    time. The ballast is to be kept as long as the instances are timed.

    Source: Curtsinger and Berger 2013, "Stabilizer: statistically sound performance
    evaluation", ASPLOS; Mytkowicz et al. 2009, "Producing wrong data without doing anything
    obviously wrong", ASPLOS.
    """
    found: dict[int, Instance] = {}
    ballast = []
    for index in rng.permutation(len(made)).tolist():
        ballast.append(_ballast(rng))
        found[index] = made[index].fresh()
    return [found[index] for index in range(len(made))], ballast


def _ballast(rng: np.random.Generator) -> list[object]:
    tensors, lists = _BALLAST
    sizes = np.exp(rng.uniform(np.log(16), np.log(_LARGEST_BALLAST), tensors)).astype(int)
    allocated: list[object] = [torch.empty(size) for size in sizes.tolist()]
    allocated += [[None] * length for length in rng.integers(1, 60, lists).tolist()]
    return [allocated[i] for i in rng.permutation(len(allocated))[::2].tolist()]
