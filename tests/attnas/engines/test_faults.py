"""What goes wrong in a search on Ray: every finished trial stays, once, and the search goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from attnas.core import AttnasError
from attnas.observer import Observer
from attnas.results import Run
from attnas.search_loop import search

# A plugin is imported by the search and by its workers; only in these it changes anything.
PLUGIN = """
import os, resource, signal, time
from pathlib import Path
import numpy as np
import ray
from attnas.evaluator import TableEvaluator

FOLDER = Path({folder!r})
honest = TableEvaluator.train

def train(self, architecture, epochs, *rest, **more):
    with open(FOLDER / "begun", "a") as file:
        file.write(f"{{os.getpid()}} {{architecture}}\\n")
    begun = len((FOLDER / "begun").read_text().splitlines())
    {fault}
    return honest(self, architecture, epochs, *rest, **more)

if ray._private.worker.global_worker.mode == ray.WORKER_MODE:
    TableEvaluator.train = train
"""

MISBEHAVIOUR = """
    if begun == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if begun == 5:
        raise RuntimeError("as a network may")
    if begun == 6:
        np.ones((1 << 40, 1 << 10))
    if begun == 7:
        time.sleep(3600)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch, settings, request):
    """Writes the plugin with that fault and returns the settings of a search with it."""

    def written(fault):
        name = f"fault_{abs(hash(request.node.name))}"
        text = PLUGIN.format(folder=str(tmp_path), fault=fault.strip())
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        return {**settings, "plugins": [name], "strategy": {"name": "random"}}

    yield written
    sys.modules.pop(f"fault_{abs(hash(request.node.name))}", None)


def architectures(run):
    return [str(trial.architecture) for trial in run.trials]


def test_trials_that_kill_their_worker_raise_eat_memory_or_hang_cost_no_other_trial(
    plugin, tmp_path, nodes
):
    config = {**plugin(MISBEHAVIOUR), "budget": {"trials": 8}, "constraints": {}}
    whole = search({**config, "name": "whole"}, runs=tmp_path)
    config["training"] = {"time_limit_s": 1}
    run = search({**config, "engine": {"ray": {"workers": 1}}}, runs=tmp_path)
    assert architectures(run) == architectures(whole)
    states = [trial.state for trial in run.trials]
    assert states == ["complete"] * 3 + ["failed"] * 3 + ["complete"] * 2
    raised, memory, hung = (trial.reason for trial in run.trials[3:6])
    assert raised == "raised: RuntimeError: as a network may"
    assert memory.startswith("raised: MemoryError: Unable to allocate 8.00 PiB")
    assert hung.startswith("time limit: it hung, and was ended after ")
    begun = [line.split(maxsplit=1) for line in (tmp_path / "begun").read_text().splitlines()]
    third, again = begun[2], begun[3]
    assert third[1] == again[1] == architectures(run)[2]
    assert third[0] != again[0]  # in another process


# A training on another node than the first does not end; the first node's fourth waits for one.
HANGS_ELSEWHERE = """
    if ray.get_runtime_context().get_node_id() != {first!r}:
        (FOLDER / "hangs").write_text(str(architecture))
        time.sleep(3600)
    until = time.monotonic() + 200
    while begun > 3 and not (FOLDER / "hangs").exists() and time.monotonic() < until:
        time.sleep(0.1)
"""


class Killer(Observer):
    """Kills the second node when 3 trials are stored and one is in training there."""

    def __init__(self, nodes, hangs):
        self.nodes, self.hangs = nodes, hangs
        self.notes, self.stored, self.killed = [], 0, False

    def note(self, text):
        self.notes.append(text)

    def trial(self, trial):
        self.stored += 1
        self.waiting()

    def waiting(self):
        if self.stored >= 3 and self.hangs.exists() and not self.killed:
            self.killed = True
            self.nodes.kill()


def test_the_death_of_a_node_costs_no_trial(plugin, tmp_path, nodes):
    ray = pytest.importorskip("ray")
    fault = HANGS_ELSEWHERE.format(first=ray.get_runtime_context().get_node_id())
    config = {**plugin(fault), "budget": {"trials": 8}, "constraints": {}}
    nodes.add()
    killer = Killer(nodes, tmp_path / "hangs")
    config["engine"] = {"ray": {"workers": 2}}
    run = search(config, runs=tmp_path, observer=killer)
    assert killer.killed
    assert [trial.state for trial in run.trials] == ["complete"] * 8
    assert len(set(architectures(run))) == 8
    begun = [line.split(maxsplit=1) for line in (tmp_path / "begun").read_text().splitlines()]
    lost = killer.hangs.read_text()
    assert lost in architectures(run)
    assert len({process for process, architecture in begun if architecture == lost}) == 2


def test_a_killed_and_an_interrupted_search_go_on_and_no_second_one_comes_between(
    plugin, tmp_path, nodes
):
    """`kill -9` of the driver, then Ctrl-C, each in mid-run."""
    config = {**plugin("time.sleep(0.3)"), "budget": {"trials": 24}}
    config["strategy"] = {"name": "evolution", "population": 4, "tournament": 2}
    whole = search({**config, "name": "whole"}, runs=tmp_path / "runs")
    config["engine"] = {"ray": {"workers": 1, "address": nodes.address}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    folder = tmp_path / "runs" / "replayed"
    first = begin(tmp_path)
    wait_for_trials(folder, 3, first)
    with pytest.raises(AttnasError, match=f"another search works on this run .process {first.pid}"):
        search(config, runs=tmp_path / "runs")
    first.kill()
    first.wait()
    with Run.open(folder) as run:
        kept = architectures(run)
    second = begin(tmp_path)
    wait_for_trials(folder, len(kept) + 2, second)
    second.send_signal(signal.SIGINT)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 130, said
    assert said.endswith("Interrupted. What was finished is saved; the same command goes on.\n")
    assert "Traceback" not in said
    with Run.open(folder) as run:
        after = architectures(run)
    assert len(after) < len(whole.trials)
    assert after[: len(kept)] == kept
    run = search(config, runs=tmp_path / "runs")
    assert architectures(run)[: len(after)] == after
    assert architectures(run) == architectures(whole)


def begin(folder):
    """The command, as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "attnas", "search", "config.yaml"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for_trials(folder: Path, least, process):
    """Returns when the run has so many trials."""
    for _ in range(2000):
        assert process.poll() is None, process.stderr.read()
        if Run.exists(folder):
            with Run.open(folder) as run:
                if len(run.trials) >= least:
                    return
        time.sleep(0.1)
    raise AssertionError(f"no {least} trials")
