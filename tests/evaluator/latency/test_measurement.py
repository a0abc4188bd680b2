"""The measuring protocol on a device whose time is made up, so that the truth is known."""

import gc

import numpy as np
import pytest
import torch
from torch import nn

from attnas.evaluator import device, measure_latency, measure_reference
from attnas.evaluator.latency import instances
from attnas.evaluator.latency.interval import Interval
from attnas.evaluator.latency.measurement import LEAST_INSTANCES, MOST_INSTANCES, is_settled

from .made_up import MS, SHAPE, MadeUpDevice, Timed


@pytest.fixture
def no_ballast(monkeypatch):
    """A made-up device has no memory to be shifted; that takes most of the time."""
    monkeypatch.setattr(instances, "_BALLAST", (0, 0))


def drifting(ns):
    """From 1 to 4 times as slow and back, once in two seconds."""
    return 2.5 - 1.5 * np.cos(np.pi * ns / 1e9)


def interrupted(ns):
    return 30.0 if int(ns / MS) % 47 == 0 else 1.0


def measure(on, times, *, reference=4.0, **settings):
    settings = {"rng": np.random.default_rng(0), "now": on.clock, **settings}
    return measure_latency(on, [Timed(ms) for ms in times], Timed(reference), SHAPE, **settings)


def covered(times, *, repeats, **machine):
    """The share of latencies whose interval contains the network's true time."""
    held = 0
    for seed in range(repeats):
        on = MadeUpDevice(seed=seed, **machine)
        rng = np.random.default_rng(seed)
        found = measure(on, times, reference=times[0] / 1.1, reference_ms=times[0] / 1.1, rng=rng)
        held += sum(x.low <= ms <= x.high for x, ms in zip(found, times, strict=True))
    return held / repeats / len(times)


def test_the_latency_is_the_ratio_times_the_given_reference():
    [found] = measure(MadeUpDevice(), [6.0], reference_ms=5.0)
    assert (found.ms, found.low, found.high) == pytest.approx((7.5, 7.5, 7.5))
    assert found.ratio == pytest.approx(1.5)
    assert (found.pairs, found.instances, found.processes) == (24, 6, 1)
    assert found.settled


def test_without_a_given_reference_its_own_timings_are_taken():
    assert [x.ms for x in measure(MadeUpDevice(), [6.0, 2.0])] == pytest.approx([6.0, 2.0])


def test_ratios_cancel_a_drift_that_spoils_plain_timings():
    on = MadeUpDevice(drifting)
    found = measure(on, [4.0, 4.1, 4.2, 4.3], reference_ms=4.0)
    assert [x.ms for x in found] == pytest.approx([4.0, 4.1, 4.2, 4.3], rel=0.02)
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
    slowing = MadeUpDevice(lambda ns: 1 + ns / 3e9)  # by 2 % from one inference to the next
    [found] = measure(slowing, [60.0], reference=60.0, reference_ms=60.0)
    assert found.ms == pytest.approx(60.0, rel=0.001)


def test_a_few_interruptions_do_not_move_the_figure():
    [found] = measure(MadeUpDevice(interrupted), [5.0], reference_ms=4.0)
    assert found.ms == pytest.approx(5.0, rel=0.001)


def test_cold_caches_after_another_network_do_not_count():
    class Cold(MadeUpDevice):
        """The first inference after another network's takes twice as long."""

        def prepare(self, network, input_shape):
            run = super().prepare(network, input_shape)

            def colder():
                cold = self.calls[-1:] != [network.ms]
                self.slowness = lambda ns: 2.0 if cold else 1.0
                run()

            return colder

    alone = measure(Cold(), [3.0], reference=2.0, reference_ms=2.0)
    together = measure(Cold(), [3.0, 5.0, 7.0], reference=2.0, reference_ms=2.0)
    assert [x.ms for x in alone] == pytest.approx([3.0])
    assert [x.ms for x in together] == pytest.approx([3.0, 5.0, 7.0])


@pytest.mark.parametrize("ms", [0.3, 3.0, 30.0, 650.0])
@pytest.mark.parametrize(
    "machine",
    [
        {"noise": 0.02},
        {"noise": 0.02, "instance": 0.04},
        {"noise": 0.1, "slowness": interrupted},
        {"noise": 0.01, "slowness": lambda ns: 1.2 - 0.2 * np.cos(np.pi * ns / 20e9)},
    ],
    ids=["calls vary", "instances vary", "interrupted", "drifting"],
)
def test_the_interval_holds_the_truth_nineteen_times_in_twenty(ms, machine, no_ballast):
    # 57 of 60 are meant, with a standard error of 1.7; `benchmarks.coverage` looks closer
    assert covered([ms], repeats=60, **machine) >= 53 / 60


def test_the_intervals_hold_the_truth_when_networks_are_measured_together(no_ballast):
    assert covered([0.33, 0.4, 0.7, 1.2], repeats=20, noise=0.05, instance=0.02) >= 0.9


def test_a_slow_network_has_six_pairs_and_an_interval_without_any_time():
    on = MadeUpDevice(noise=0.02, seed=1)
    [found] = measure(on, [650.0], reference=600.0, reference_ms=600.0, max_seconds=0)
    assert (found.pairs, found.instances) == (6, 6)
    assert found.low < 650 < found.high
    assert 0.01 < (found.high - found.low) / found.ms < 0.1


def test_what_warms_up_does_not_take_from_the_time():
    class Compiling(MadeUpDevice):
        """The first inference of each network takes ten seconds."""

        def prepare(self, network, input_shape):
            first = network.ms not in self.prepared
            run = super().prepare(network, input_shape)

            def slowly():
                nonlocal first
                self.ns += 10_000 * MS * first
                first = False
                run()

            return slowly

    found = measure(
        Compiling(noise=0.1), [5.0, 6.0], target_interval=1e-6, max_seconds=1.0, reference_ms=4.0
    )
    assert all(x.instances > LEAST_INSTANCES for x in found)


def test_measuring_stops_when_the_interval_is_narrow_enough():
    coarse, fine = (
        measure(MadeUpDevice(instance=0.01), [5.0], reference_ms=4.0, target_interval=width)[0]
        for width in (0.08, 0.025)
    )
    for found, width in ((coarse, 0.08), (fine, 0.025)):
        assert found.settled
        assert found.high - found.low <= width * found.ms
        assert found.low < 5.0 < found.high
    assert LEAST_INSTANCES == coarse.instances < fine.instances < MOST_INSTANCES


def test_measuring_stops_when_the_time_is_up_and_says_that_it_is_not_settled():
    on = MadeUpDevice(noise=0.5)
    found = measure(on, [5.0, 6.0], target_interval=1e-6, max_seconds=1.5)
    assert 3.0e9 <= on.ns < 4.0e9  # a second and a half for each of the two
    assert [x.settled for x in found] == [False, False]
    assert all(x.instances < MOST_INSTANCES for x in found)


def test_measuring_stops_where_more_instances_would_tell_nothing():
    found = measure(MadeUpDevice(noise=0.5), [0.3, 0.4], reference=0.3, max_seconds=1e6)
    assert [x.instances for x in found] == [MOST_INSTANCES] * 2
    assert [x.settled for x in found] == [False, False]


def test_settled_candidates_are_left_out_of_further_rounds():
    class OneIsNoisy(MadeUpDevice):
        def prepare(self, network, input_shape):
            run = super().prepare(network, input_shape)

            def noisily():
                self.noise = 0.5 if network.ms == 6.0 else 0.0
                run()

            return noisily

    quiet, noisy = measure(OneIsNoisy(), [5.0, 6.0], target_interval=0.05, reference_ms=4.0)
    assert quiet.instances == LEAST_INSTANCES
    assert noisy.instances > LEAST_INSTANCES


def test_what_is_surely_beyond_the_bound_is_not_measured_finely_and_what_is_near_it_further():
    settings = {"reference_ms": 4.0, "target_interval": 0.03, "bound_ms": 5.0, "max_seconds": 60}
    within, beyond, near = measure(MadeUpDevice(noise=0.02), [4.5, 8.0, 5.01], **settings)
    assert beyond.instances == LEAST_INSTANCES
    assert beyond.low > 5.0
    assert within.high - within.low <= 0.03 * within.ms
    assert within.high < 5.0
    assert near.instances == MOST_INSTANCES > within.instances
    assert near.low < 5.0 < near.high
    assert (within.settled, beyond.settled, near.settled) == (True, True, False)


@pytest.mark.parametrize(
    ("ends", "target", "bound", "settled"),
    [
        ((9.9, 10.1), 0.02, 11, True),
        ((9.9, 10.1), 0.01, 11, False),
        ((9.9, 10.1), 0.02, 10.05, False),
        ((9.0, 11.0), 0.02, 8.9, True),
    ],
    ids=["narrow", "wide", "on the bound", "beyond"],
)
def test_settled_is_narrow_and_clear_of_the_bound_or_beyond_it(ends, target, bound, settled):
    assert is_settled(Interval(10.0, *ends), target, bound) is settled


def test_each_candidate_stands_between_references_in_random_order():
    on = MadeUpDevice()
    measure(on, [1.0, 2.0, 3.0])
    block = 4 * 3  # pairs of one instance of each candidate; two calls a timing
    orders = []
    for instance in range(6):
        end = len(on.calls) - instance * (2 * (2 * block + 1) + 4)
        chain = on.calls[end - 2 * (2 * block + 1) : end : 2]
        assert set(chain[::2]) == {4.0}
        rounds = [tuple(chain[start : start + 6 : 2]) for start in range(1, len(chain), 6)]
        assert len(rounds) == 4
        assert all(sorted(one) == [1.0, 2.0, 3.0] for one in rounds)
        orders += rounds
    assert len(set(orders)) >= 4


def test_the_order_comes_from_the_generator_alone():
    def calls(seed):
        on = MadeUpDevice()
        measure(on, [1.0, 2.0, 3.0], rng=np.random.default_rng(seed))
        return on.calls

    assert calls(3) == calls(3)
    assert calls(3) != calls(4)


def test_candidates_share_the_references_pace_unless_they_are_far_slower():
    def chain(candidate):
        on = MadeUpDevice()
        measure(on, [candidate], reference=0.5)
        return on.calls[on.calls.index(candidate) :]

    assert chain(1.9)[-15:] == [0.5] * 5 + [1.9] * 5 + [0.5] * 5
    assert chain(10.0)[-6:] == [0.5] * 2 + [10.0] * 2 + [0.5] * 2


def test_garbage_collection_and_the_device_are_given_back_even_after_an_error():
    on = MadeUpDevice()
    gc.enable()
    with pytest.raises(AttributeError):
        measure_latency(
            on, [nn.Identity()], Timed(1.0), SHAPE, rng=np.random.default_rng(0), now=on.clock
        )
    assert gc.isenabled()


def test_no_candidates_are_no_latencies():
    on = MadeUpDevice()
    assert measure(on, []) == []
    assert on.calls == []


def test_the_reference_itself_is_known_over_instances():
    on = MadeUpDevice(interrupted)
    found = measure_reference(on, Timed(5.0), SHAPE, now=on.clock)
    assert (found.ms, found.ratio) == (pytest.approx(5.0), 1.0)
    assert (found.instances, found.settled) == (LEAST_INSTANCES, True)
    noisy = MadeUpDevice(noise=0.02, instance=0.01)
    found = measure_reference(noisy, Timed(5.0), SHAPE, now=noisy.clock)
    assert found.low < 5.0 < found.high
    assert found.high - found.low > 0.02 * found.ms  # other processes are faster or slower


def test_the_time_for_the_reference_is_limited():
    on = MadeUpDevice(noise=0.1)
    found = measure_reference(
        on, Timed(5.0), SHAPE, target_interval=1e-9, max_seconds=0.5, now=on.clock
    )
    assert 0.5e9 <= on.ns < 0.7e9
    assert LEAST_INSTANCES < found.instances < MOST_INSTANCES
    assert not found.settled


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
    assert found.pairs >= 6
    assert wide.training
    assert torch.is_grad_enabled()
