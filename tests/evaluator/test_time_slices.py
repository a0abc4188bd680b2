"""Turns of real processes: their entries and exits are written to one log."""

import multiprocessing
import os
import signal
import time

import pytest

from attnas.evaluator import TimeSlices, take_turns
from attnas.evaluator.time_slices import training_turn

FORK = multiprocessing.get_context("fork")


def train(folder, batches, seconds):
    slices = TimeSlices(folder)
    for _ in range(batches):
        with slices.shared():
            write(folder, "train begins")
            time.sleep(seconds)
            write(folder, "train ends")


def measure(folder, times):
    slices = TimeSlices(folder)
    for _ in range(times):
        with slices.alone():
            write(folder, "measure begins")
            time.sleep(0.005)
            write(folder, "measure ends")
        time.sleep(0.005)


def hold(folder, kind, held):
    with getattr(TimeSlices(folder), kind)():
        held.set()
        time.sleep(60)


def write(folder, text):
    with open(folder / "log", "a") as log:  # short appends are atomic
        log.write(f"{text}\n")


def started(target, *arguments):
    process = FORK.Process(target=target, args=arguments)
    process.start()
    return process


def test_nobody_trains_while_another_process_measures_and_trainings_overlap(tmp_path):
    trainers = [started(train, tmp_path, 40, 0.004) for _ in range(3)]
    measurer = started(measure, tmp_path, 10)
    for process in (*trainers, measurer):
        process.join()
        assert process.exitcode == 0
    training, measuring, most = 0, 0, 0
    for line in (tmp_path / "log").read_text().splitlines():
        who, what = line.split()
        step = 1 if what == "begins" else -1
        training += step if who == "train" else 0
        measuring += step if who == "measure" else 0
        most = max(most, training)
        assert measuring == 0 or (measuring == 1 and training == 0)
    assert (training, measuring) == (0, 0)
    assert most > 1


def test_a_measurement_comes_in_between_trainings_that_never_leave_a_gap(tmp_path):
    trainers = [started(train, tmp_path, 10_000, 0.01) for _ in range(3)]
    while not (tmp_path / "log").exists():
        time.sleep(0.01)
    with TimeSlices(tmp_path).alone():
        assert all(trainer.is_alive() for trainer in trainers)  # none had to end for it
    for trainer in trainers:
        trainer.kill()
        trainer.join()


@pytest.mark.parametrize("kind", ["shared", "alone"])
def test_the_turn_of_a_killed_process_is_free_again(tmp_path, kind):
    held = FORK.Event()
    holder = started(hold, tmp_path, kind, held)
    assert held.wait(30)
    os.kill(holder.pid, signal.SIGKILL)
    with TimeSlices(tmp_path).alone():
        pass
    holder.join()


def test_a_turn_ends_with_an_error(tmp_path):
    slices = TimeSlices(tmp_path)
    for turn in (slices.shared, slices.alone):
        with pytest.raises(ZeroDivisionError), turn():
            1 / 0  # noqa: B018
    with slices.alone():
        pass


def test_trainings_take_turns_only_where_the_process_was_told_to(tmp_path):
    with training_turn(), TimeSlices(tmp_path).alone():
        pass
    take_turns(TimeSlices(tmp_path))
    try:
        with training_turn():
            reader = started(train, tmp_path, 1, 0)
            reader.join()
            assert reader.exitcode == 0
            measurer = started(measure, tmp_path, 1)
            measurer.join(0.2)
            assert measurer.is_alive()
        measurer.join()
        assert measurer.exitcode == 0
    finally:
        take_turns(None)
