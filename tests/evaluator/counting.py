"""A device whose time is made up: a network takes as long as it has parameters."""

from contextlib import contextmanager

import numpy as np


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


class CountingDevice:
    """Moves its clock by `ms_a_parameter` for each parameter of the network."""

    name, threads, batch_size = "counting", 1, 1

    def __init__(self, ms_a_parameter, noise=0.0):
        self.ms_a_parameter, self.noise = ms_a_parameter, noise
        self.ns, self.prepared, self.rng = 0, [], np.random.default_rng(0)

    def prepare(self, network, input_shape):
        assert not network.training
        count = parameters(network)
        self.prepared.append((count, input_shape))
        ns = count * self.ms_a_parameter * 1e6

        def run():
            self.ns += round(ns * np.exp(self.noise * self.rng.standard_exponential()))

        return run

    @contextmanager
    def measuring(self):
        yield

    def clock(self):
        return self.ns

    def describe(self):
        return {"device": self.name}
