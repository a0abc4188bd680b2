"""Faults of a whole search through the command line: killed, interrupted, disk and clock."""

import datetime
import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from attnas.entry import run_command
from attnas.results import Run
from attnas.search_loop import Observer, search

KILLS = 30


def proposals(run):
    return [(t.number, str(t.architecture), t.epochs, t.state) for t in run.trials]


def forked(config, runs):
    """A process that runs the command, forked from this one: the imports are done already."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            code = run_command(["search", str(config), "--runs", str(runs)])
        finally:
            os._exit(code)
    return child


@pytest.fixture
def config(settings, tmp_path):
    """A config of 60 trials on the table; nsga2 looks far back in the history."""
    content = {**settings, "budget": {"trials": 60}, "strategy": {"name": "nsga2"}}
    path = tmp_path / "replay.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def undisturbed():
    """The proposals of an undisturbed run, once there are any."""
    return []


@pytest.fixture
def whole(config, tmp_path, undisturbed):
    """The proposals of an undisturbed run."""
    if not undisturbed:
        undisturbed.extend(proposals(search(config, runs=tmp_path / "whole")))
    return undisturbed


def test_30_kills_at_random_moments_lose_and_double_nothing(config, whole, tmp_path):
    rng, folder, seen = random.Random(0), tmp_path / "runs" / "replayed", 0
    kills = 0
    for _ in range(KILLS):
        child = forked(config, tmp_path / "runs")
        # half of them at once, where a run is made or opened; the others after a trial
        moment = rng.uniform(0.0, 0.1)
        until = time.monotonic() + moment
        while time.monotonic() < until and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
        except (ProcessLookupError, ChildProcessError):
            break  # it was done
        if (folder / "run.json").exists():
            with Run.open(folder) as run:
                kept = proposals(run)
            assert len(kept) >= seen
            assert kept == whole[: len(kept)]
            seen = len(kept)
    assert kills > 3
    child = forked(config, tmp_path / "runs")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert proposals(Run.open(folder)) == whole


def test_a_killed_process_of_the_real_command_goes_on(config, whole, tmp_path):
    command = [sys.executable, "-m", "attnas", "search", str(config), "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for line in process.stderr:  # one a trial
            if line.lstrip().startswith(b"5"):
                break
        process.kill()
    folder = tmp_path / "replayed"
    with Run.open(folder) as run:
        assert 5 <= len(run.trials) < len(whole)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == 0
    assert proposals(Run.open(folder)) == whole


@contextmanager
def memory_disk(folder, size):
    """A disk of `size` bytes on the folder, if that is allowed; else files can be so large."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(["mount", *options], capture_output=True).returncode
    )
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, before[1]))

    def free():
        if mounted:
            subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    try:
        yield free
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_in_mid_run_is_told_and_with_space_the_same_command_goes_on(
    config, whole, tmp_path, capsys
):
    with memory_disk(tmp_path / "disk", 600_000) as free:
        command = ["search", str(config), "--runs", str(tmp_path / "disk")]
        assert run_command(command) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith(f"attnas: {tmp_path}/disk/replayed/trials.db: ")
        assert said.endswith("run the command again; all finished trials are kept.")
        with Run.open(tmp_path / "disk" / "replayed") as run:
            kept = proposals(run)
        assert 0 < len(kept) < len(whole)
        assert kept == whole[: len(kept)]
        free()
        assert run_command(command) == 0
        with Run.open(tmp_path / "disk" / "replayed") as run:
            assert proposals(run) == whole


class _BackInTime(datetime.datetime):
    """A clock that someone sets back by an hour at each look."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        cls.looks += 1
        return datetime.datetime.now(tz) - datetime.timedelta(hours=cls.looks)


def test_a_clock_that_is_set_back_changes_no_trial_and_no_duration(
    config, whole, tmp_path, monkeypatch
):
    seconds = iter(range(10**9, 0, -3600))
    with monkeypatch.context() as clock:
        clock.setattr("time.time", lambda: float(next(seconds)))
        clock.setattr("attnas.evaluation.datetime", _BackInTime)
        clock.setattr("attnas.results.record.datetime", _BackInTime)
        run = search(config, runs=tmp_path)
    assert _BackInTime.looks >= len(whole)
    assert proposals(run) == whole
    assert all(trial.seconds >= 0 for trial in run.trials)
    assert max(trial.seconds for trial in run.trials if trial.state == "complete") < 60
    again = [t.started for t in Run.open(run.folder).trials]
    assert again == sorted(again, reverse=True)


class _Stopping(Observer):
    """Stops the database server at a trial, and starts it again a second later."""

    def __init__(self, server, number):
        self.server, self.number, self.notes = server, number, []

    def trial(self, trial):
        if trial.number == self.number:
            self.server.stop()
            self.back = threading.Timer(1.0, self.server.start)
            self.back.start()

    def note(self, text):
        self.notes.append(text)


def test_a_server_stopped_and_started_in_mid_run_loses_and_doubles_nothing(
    config, whole, tmp_path, postgresql
):
    content = {**json.loads(config.read_text()), "storage": postgresql.database()}
    config.write_text(json.dumps(content))
    observer = _Stopping(postgresql, 20)
    run = search(config, runs=tmp_path, observer=observer)
    observer.back.join()
    assert proposals(run) == whole
    assert proposals(Run.open(run.folder)) == whole
    assert any("cannot be reached. Trying again for 60 seconds." in n for n in observer.notes)
