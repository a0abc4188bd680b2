import gc

import numpy as np
import pytest
import torch
from torch import nn

from attnas.evaluator import device
from attnas.evaluator.latency.instances import Instances, Pace, fresh_instances

from .made_up import MS, SHAPE, MadeUpDevice, Timed


@pytest.fixture(autouse=True)
def _as_while_measuring():
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def on():
    opened = MadeUpDevice()
    with opened.measuring():
        yield opened


@pytest.mark.parametrize(
    ("ms", "calls", "pairs"),
    [(0, 5, 4), (0.3, 5, 4), (2, 3, 4), (3, 2, 4), (12, 2, 2), (50, 2, 2), (51, 1, 1)],
)
def test_the_longer_a_call_takes_the_fewer_there_are(ms, calls, pairs):
    assert Pace.of(ms * MS) == Pace(calls, pairs)


def test_a_network_is_warmed_up_for_two_calls_and_20_ms_at_least(on):
    assert Instances(on, Timed(650.0), SHAPE).call_ns == 650 * MS
    assert on.calls == [650.0] * 2
    Instances(on, Timed(3.0), SHAPE)
    assert on.calls[2:] == [3.0] * 7


def test_a_timing_is_the_fastest_of_the_calls(on):
    instance = Instances(on, Timed(3.0), SHAPE).fresh()
    on.slowness = lambda ns: 1 + len(on.calls) % 3
    assert instance.fastest_ns(3) == 3 * MS
    on.slowness = lambda ns: 2.0
    assert instance.fastest_ns(1) == 6 * MS


def test_a_short_inference_is_repeated_within_a_call(on):
    instance = Instances(on, Timed(0.01), SHAPE).fresh()
    before = len(on.calls)
    assert instance.fastest_ns(2) == 0.01 * MS
    assert len(on.calls) - before == 2 * 10


def test_instances_are_prepared_anew_in_random_order_and_given_in_order(on):
    made = [Instances(on, Timed(ms), SHAPE) for ms in (1.0, 2.0, 3.0)]
    orders = set()
    rng = np.random.default_rng(0)
    for _ in range(20):
        before = len(on.prepared)
        instances, _ = fresh_instances(made, rng)
        orders.add(tuple(on.prepared[before:]))
        assert [one.fastest_ns(1) / MS for one in instances] == [1.0, 2.0, 3.0]
    assert {tuple(sorted(order)) for order in orders} == {(1.0, 2.0, 3.0)}
    assert len(orders) >= 4


def test_instances_are_somewhere_else_in_memory_each_time():
    places = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(64))

        def forward(self, x):
            places.append((self.weight.data_ptr(), (made := x + 1).data_ptr()))
            return made

    real = device("torch-cpu")
    with real.measuring():
        made = [Instances(real, Watched(), SHAPE)]
        places.clear()
        rng = np.random.default_rng(0)
        for _ in range(50):
            fresh_instances(made, rng)  # which runs each once; nothing of it is kept
    weights, activations = zip(*places, strict=True)
    assert len(set(weights)) >= 5
    assert len(set(activations)) >= 5
