"""A device whose time is made up, so that the true ratio of two networks is known."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

MS = 1_000_000


class Timed(nn.Module):
    """A network that is nothing but its time."""

    def __init__(self, ms: float) -> None:
        super().__init__()
        self.ms = ms


@dataclass
class SimulatedMachine:
    """Inferences only move the clock. One object is one process at one moment.

    A call takes the network's time, times exp of: a normal draw of standard deviation `instance`
    for the instance, one of `moment` for the network on this machine, an exponential draw of
    mean `noise` for the call, and up to `drift`, by which the machine slows and recovers once in
    10 seconds. Interruptions, `interruptions` a millisecond, cost 0.2 ms each.
    """

    rng: np.random.Generator
    noise: float = 0.02
    instance: float = 0.0
    moment: float = 0.0
    drift: float = 0.0
    interruptions: float = 0.0
    ns: int = 0
    moments: dict[int, float] = field(default_factory=dict)

    name, threads, batch_size = "simulated", 1, 1

    def prepare(self, network: Timed, input_shape: tuple[int, ...]) -> Callable[[], None]:
        factor = np.exp(self.instance * self.rng.standard_normal() + self._moment_of(network))
        own = network.ms * MS * factor
        draws = iter(())

        def run() -> None:
            nonlocal draws
            if (draw := next(draws, None)) is None:
                draws = iter(self._calls(own, 200))
                draw = next(draws)
            slowness = np.exp(self.drift * (1 - np.cos(2 * np.pi * self.ns / 10e9)) / 2)
            self.ns += int(draw * slowness)

        return run

    def _moment_of(self, network: Timed) -> float:
        return self.moments.setdefault(id(network), self.moment * self.rng.standard_normal())

    def _calls(self, own: float, count: int) -> list[float]:
        """Nanoseconds of some calls, without drift."""
        noise = np.exp(self.noise * self.rng.exponential(size=count))
        interruptions = self.rng.poisson(self.interruptions * own / MS, count)
        return (own * noise + 0.2 * MS * interruptions).tolist()

    @contextmanager
    def measuring(self) -> Iterator[None]:
        yield

    def clock(self) -> int:
        return self.ns

    def describe(self) -> dict[str, Any]:
        return {}
