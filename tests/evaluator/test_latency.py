"""The measuring protocol on a device whose time is made up, so that the truth is known."""

import gc
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from attnas.evaluator import device
from attnas.evaluator.latency import Latency, measure_latency, measure_reference, median_interval

SHAPE = (3, 8, 8)
MS = 1_000_000


class Timed(nn.Module):
    """A network that is nothing but its time on the made-up device."""

    def __init__(self, ms: float) -> None:
        super().__init__()
        self.ms = ms


class MadeUpDevice:
    """Inferences only move the clock; `slowness(ns)` is how slow the machine is at a time."""

    name, threads, batch_size = "made-up", 1, 1

    def __init__(self, slowness=lambda ns: 1.0, noise=0.0):
        self.ns, self.calls, self.measures = 0, [], False
        self.slowness, self.noise = slowness, noise
        self.rng = np.random.default_rng(0)

    def prepare(self, network, input_shape):
        def run():
            assert self.measures
            assert not gc.isenabled()
            self.calls.append(network.ms)
            own = network.ms * MS * self.slowness(self.ns)
            self.ns += int(own * np.exp(self.noise * self.rng.standard_normal()))

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


def drifting(ns):
    """From 1 to 4 times as slow and back, once in two seconds."""
    return 2.5 - 1.5 * np.cos(np.pi * ns / 1e9)


def measure(on, times, **settings):
    settings = {"rng": np.random.default_rng(0), "now": on.clock, **settings}
    return measure_latency(on, [Timed(ms) for ms in times], Timed(4.0), SHAPE, **settings)


def test_the_latency_is_the_ratio_times_the_given_reference():
    [found] = measure(MadeUpDevice(), [6.0], reference_ms=5.0)
    assert found == Latency(ms=7.5, low=7.5, high=7.5, ratio=1.5, pairs=16)


def test_without_a_given_reference_its_own_timings_are_taken():
    assert [x.ms for x in measure(MadeUpDevice(), [6.0, 2.0])] == [6.0, 2.0]


def test_ratios_cancel_a_drift_that_spoils_plain_timings():
    on = MadeUpDevice(drifting)
    found = measure(on, [4.0, 4.1, 4.2, 4.3], reference_ms=4.0)
    assert [x.ms for x in found] == pytest.approx([4.0, 4.1, 4.2, 4.3], rel=0.004)
    plain = []
    with on.measuring():
        gc.disable()
        run = on.prepare(Timed(4.0), SHAPE)
        for _ in range(4):  # the same network, four times a while
            before = on.ns
            for _ in range(50):
                run()
            plain.append((on.ns - before) / 50 / MS)
        gc.enable()
    assert max(plain) / min(plain) > 1.5


def test_a_steady_slowing_cancels_between_the_two_neighbours():
    slowing = MadeUpDevice(lambda ns: 1 + ns / 0.2e9)  # by 2 % from one inference to the next
    [found] = measure(slowing, [4.0], reference_ms=4.0)
    assert found.ms == pytest.approx(4.0, rel=0.001)


def test_a_few_interruptions_do_not_move_the_figure():
    interrupted = MadeUpDevice(lambda ns: 30.0 if int(ns / MS) % 47 == 0 else 1.0)
    [found] = measure(interrupted, [5.0], reference_ms=4.0)
    assert found.ms == pytest.approx(5.0, rel=0.01)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    sides = [median_interval(rng.lognormal(0, 0.5, size=25)) for _ in range(2000)]
    covered = np.mean([low <= 1.0 <= high for low, high in sides])
    assert 0.945 < covered < 0.985  # exactly 0.957, and 4 standard errors of 2000 trials


@pytest.mark.parametrize("n", [6, 7, 15, 16, 40, 101, 1000])
def test_the_interval_is_the_narrowest_of_at_least_95_percent(n):
    low, high = median_interval(np.arange(n)[::-1])
    outside = int(low)  # values left out on either side
    assert high == n - 1 - outside
    assert 1 - 2 * binom.cdf(outside, n, 0.5) >= 0.95 - 1e-12 or outside == 0
    assert 1 - 2 * binom.cdf(outside + 1, n, 0.5) < 0.95


def test_too_few_values_give_their_range():
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_measuring_stops_when_the_interval_is_narrow_enough():
    coarse, fine = (
        measure(MadeUpDevice(noise=0.05), [5.0], reference_ms=4.0, target_interval=width)[0]
        for width in (0.08, 0.02)
    )
    for found, width in ((coarse, 0.08), (fine, 0.02)):
        assert found.high - found.low <= width * found.ms
        assert found.low < 5.0 < found.high
    assert 16 <= coarse.pairs < fine.pairs < 5000


def test_measuring_stops_when_the_time_is_up():
    on = MadeUpDevice(noise=0.5)
    found = measure(on, [5.0, 6.0], target_interval=1e-6, max_seconds=0.5)
    assert 1.0e9 <= on.ns < 1.3e9  # half a second for each of the two
    assert all(x.high - x.low > 1e-6 * x.ms for x in found)


def test_each_candidate_is_timed_once_even_without_time():
    found = measure(MadeUpDevice(), [5.0, 6.0], max_seconds=0)
    assert [x.pairs for x in found] == [1, 1]
    assert [x.ms for x in found] == [5.0, 6.0]


def test_settled_candidates_are_left_out_of_further_rounds():
    class OneIsNoisy(MadeUpDevice):
        def prepare(self, network, input_shape):
            run = super().prepare(network, input_shape)

            def noisily():
                self.noise = 0.1 if network.ms == 6.0 else 0.0
                run()

            return noisily

    quiet, noisy = measure(OneIsNoisy(), [5.0, 6.0], target_interval=0.03)
    assert quiet.pairs == 16
    assert noisy.pairs > 50


def test_a_candidate_that_is_surely_beyond_the_bound_is_not_measured_finely():
    settings = {"reference_ms": 4.0, "target_interval": 0.01, "bound_ms": 5.0}
    within, beyond, near = measure(MadeUpDevice(noise=0.03), [4.5, 8.0, 5.02], **settings)
    assert beyond.pairs == 16
    assert beyond.low > 5.0
    assert within.high - within.low <= 0.01 * within.ms
    assert near.pairs > beyond.pairs


def test_each_candidate_stands_between_references_in_random_order():
    on = MadeUpDevice()
    measure(on, [1.0, 2.0, 3.0])
    chain = on.calls[-(2 * 3 * 16 + 1) :]
    assert set(chain[::2]) == {4.0}
    rounds = [tuple(chain[start : start + 6 : 2]) for start in range(1, len(chain), 6)]
    assert len(rounds) == 16
    assert all(sorted(one) == [1.0, 2.0, 3.0] for one in rounds)
    assert len(set(rounds)) >= 4


def test_the_order_comes_from_the_generator_alone():
    def calls(seed):
        on = MadeUpDevice()
        measure(on, [1.0, 2.0, 3.0], rng=np.random.default_rng(seed))
        return on.calls

    assert calls(3) == calls(3)
    assert calls(3) != calls(4)


def test_a_short_inference_is_repeated_within_a_timing():
    on = MadeUpDevice()
    [found] = measure(on, [0.01], reference_ms=4.0)
    assert found.ratio == pytest.approx(0.0025)
    assert on.calls[-102:] == [4.0] + [0.01] * 100 + [4.0]


def test_garbage_collection_and_the_device_are_given_back_even_after_an_error():
    on = MadeUpDevice()
    gc.enable()
    with pytest.raises(AttributeError):
        measure_latency(
            on, [nn.Identity()], Timed(1.0), SHAPE, rng=np.random.default_rng(0), now=on.clock
        )
    assert gc.isenabled()


def test_no_candidates_are_no_latencies():
    assert measure(MadeUpDevice(), []) == []


def test_the_reference_itself_is_the_median_of_its_timings():
    on = MadeUpDevice(lambda ns: 30.0 if int(ns / MS) % 47 == 0 else 1.0)
    found = measure_reference(on, Timed(5.0), SHAPE, now=on.clock)
    assert (found.ms, found.ratio) == (5.0, 1.0)
    assert found.low <= 5.0 <= found.high
    noisy = MadeUpDevice(noise=0.05)
    found = measure_reference(noisy, Timed(5.0), SHAPE, target_interval=0.02, now=noisy.clock)
    assert found.high - found.low <= 0.02 * found.ms
    assert found.low < 5.0 < found.high


def test_the_time_for_the_reference_is_limited():
    on = MadeUpDevice(noise=0.5)
    found = measure_reference(
        on, Timed(5.0), SHAPE, target_interval=1e-9, max_seconds=0.5, now=on.clock
    )
    assert 0.5e9 <= on.ns < 0.6e9
    assert found.pairs > 50


def test_a_real_device_gives_figures_that_fit_together():
    wide, narrow = (
        nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 8, 3))
        for width in (256, 8)
    )
    [found] = measure_latency(
        device("torch-cpu"),
        [wide],
        narrow,
        (3, 16, 16),
        rng=np.random.default_rng(0),
        reference_ms=2.0,
        max_seconds=0.2,
    )
    assert found.low <= found.ms <= found.high
    assert found.ms == pytest.approx(2.0 * found.ratio)
    assert found.pairs >= 1
    assert wide.training
    assert torch.is_grad_enabled()
