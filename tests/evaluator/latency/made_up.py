"""A device whose time is made up, so that the truth is known."""

import gc
from contextlib import contextmanager

import numpy as np
from torch import nn

SHAPE = (3, 8, 8)
MS = 1_000_000


class Timed(nn.Module):
    """A network that is nothing but its time on the made-up device."""

    def __init__(self, ms: float) -> None:
        super().__init__()
        self.ms = ms


class MadeUpDevice:
    """Inferences only move the clock.

    `slowness(ns)` is how slow the machine is at a time; `noise` is the mean of what a call's
    logarithm gets on top, `instance` the standard deviation of an instance's.
    """

    name, threads, batch_size = "made-up", 1, 1

    def __init__(self, slowness=lambda ns: 1.0, noise=0.0, instance=0.0, seed=0):
        self.ns, self.calls, self.prepared, self.measures = 0, [], [], False
        self.slowness, self.noise, self.instance = slowness, noise, instance
        self.rng = np.random.default_rng(seed)

    def prepare(self, network, input_shape):
        self.prepared.append(network.ms)
        own = network.ms * MS * np.exp(self.instance * self.rng.standard_normal())

        def run():
            assert self.measures
            assert not gc.isenabled()
            self.calls.append(network.ms)
            noise = np.exp(self.noise * self.rng.standard_exponential()) if self.noise else 1.0
            self.ns += int(own * self.slowness(self.ns) * noise)

        return run

    @contextmanager
    def measuring(self):
        self.measures = True
        yield
        self.measures = False

    def clock(self):
        return self.ns

    def describe(self):
        return {}
