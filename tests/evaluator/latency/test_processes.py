"""Fresh processes: two tests start real ones, the others talk to the worker's loop."""

import io
import json
import sys
from dataclasses import dataclass

import pytest

from attnas.core import hand_over
from attnas.evaluator import device
from attnas.evaluator.devices.torch_cpu import TorchCpu
from attnas.evaluator.latency import processes, worker
from attnas.evaluator.latency.interval import interval
from attnas.evaluator.latency.processes import NoFreshProcess, described, in_fresh_processes, read
from attnas.search_space import Architecture, Backbone, SearchSpace, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (1, 8, 8), (10,))
PLAIN = Architecture.plain(BACKBONE)
WITH_SE = Architecture.read(
    BACKBONE, stage_decisions(BACKBONE), ["se:r4@post", "none", "eca@residual"]
)

OWN = """
from attnas.evaluator.devices.torch_cpu import TorchCpu
from attnas.search_space.backbones.resnet_cifar import resnet_cifar

print("a line that is no answer")

def network(classes, in_channels):
    return resnet_cifar(depth=8, classes=classes, in_channels=in_channels)

class OwnDevice(TorchCpu):
    name = "own"
"""


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.delenv(processes.VARIABLE, raising=False)


def measured(architectures=(WITH_SE,), on=None, plain=PLAIN, **settings):
    settings = {"reference_ms": 2.0, "max_seconds": 0.01, "processes": 2, "seed": 0, **settings}
    return in_fresh_processes(on or device("torch-cpu"), architectures, plain, **settings)


def request(**changes):
    return {
        "path": sys.path,
        "plugins": [],
        "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
        "plain": described(PLAIN),
        "architectures": [described(WITH_SE)],
        "seed": 0,
        "number": 0,
        "seconds": 0.0,
        **changes,
    }


def answers(*lines):
    heard = io.StringIO()
    worker._serve(io.StringIO("".join(f"{line}\n" for line in lines)), heard)
    return [json.loads(line) for line in heard.getvalue().splitlines()]


def test_fresh_processes_measure_what_lies_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(OWN)
    (tmp_path / "queue.py").write_text("raise SystemExit('shadows a module of Python')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    import own_network

    backbone = Backbone("own_network:network", (), (1, 8, 8), (10,))
    with_se, with_eca = (
        Architecture.read(backbone, stage_decisions(backbone), [option, "none", "none"])
        for option in ("se:r4@post", "eca@residual")
    )
    found = measured(
        [with_se, with_eca],
        own_network.OwnDevice(),
        Architecture.plain(backbone),
        plugins=["own_network"],
    )
    assert [latency.processes for latency in found] == [2, 2]
    assert all(latency.instances >= 2 and latency.pairs >= 8 for latency in found)
    assert all(latency.ms == pytest.approx(2 * latency.ratio) for latency in found)
    assert all(latency.low < latency.ms < latency.high for latency in found)
    assert not any(latency.in_one_process for latency in found)


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text(
        "import os, sys; print('no space left', file=sys.stderr, flush=True); os._exit(3)"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoFreshProcess) as raised:
        measured(plugins=["dying"], processes=1)
    assert str(raised.value) == "a fresh process cannot measure: no space left"


def test_without_python_there_is_no_process(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(NoFreshProcess, match=r"no process can be started: .*No such file"):
        measured()


def test_a_device_must_allow_it(monkeypatch):
    @dataclass(frozen=True)
    class Gpu:
        name: str = "gpu"

    with pytest.raises(NoFreshProcess, match="latencies on 'gpu' are measured in one process"):
        measured(on=Gpu())
    monkeypatch.setenv(processes.VARIABLE, "0")
    with pytest.raises(NoFreshProcess, match="ATTNAS_FRESH_PROCESSES is 0"):
        measured()


def test_a_device_is_made_again_from_its_settings():
    settings = {"name": "torch-cpu", "threads": 1, "batch_size": 3}
    assert processes._described_device(TorchCpu(batch_size=3)) == settings
    assert device(**settings) == TorchCpu(batch_size=3)


def test_an_architecture_is_read_as_it_was_described():
    space = SearchSpace.create(
        Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 8, 8), (10,)),
        blocks=["none", "se"],
        ratios=[4],
        placements=["post"],
        arguments={"width": [8, 16]},
    )
    for architecture in (WITH_SE, space.at(space.size - 1)):
        assert read(json.loads(json.dumps(described(architecture)))) == architecture


def test_a_backbone_that_was_handed_over_is_in_this_process_alone():
    name = hand_over(lambda: None, "0123456789abcdef", "network")
    backbone = Backbone(name, (), (1, 8, 8), (10,))
    with pytest.raises(NoFreshProcess, match="the backbone was handed over as an object"):
        measured(plain=Architecture.plain(backbone, ()))


def test_the_worker_waits_for_its_turn_and_answers_logarithms_of_ratios():
    ready, answer = answers(json.dumps(request()), "go")
    assert ready == {"ready": True}
    [ratio] = answer["ratios"]
    assert (ratio["pairs"], ratio["instances"]) == (4, 1)
    assert -1 < ratio["log"] < 3


def test_the_worker_ends_when_nobody_waits_any_more():
    assert answers(json.dumps(request())) == [{"ready": True}]


def test_the_figure_is_a_mean_over_processes(monkeypatch):
    logs = [0.30, 0.31, 0.29, 0.33, 0.30, 0.32]
    given = iter(logs)

    def in_turn(request, first, count):
        return [
            {"ratios": [{"log": next(given), "pairs": 8, "instances": 2}]} for _ in range(count)
        ]

    monkeypatch.setattr(processes, "_measured", in_turn)
    [found] = measured(processes=6, target_interval=0.1)
    within = interval(logs, shared=processes.SHARED_PROCESSES).exp(2.0)
    assert (found.ms, found.low, found.high) == (within.centre, within.low, within.high)
    assert (found.pairs, found.instances, found.processes) == (48, 12, 6)
    assert found.settled


def test_more_processes_are_started_until_the_figures_are_settled(monkeypatch):
    waves = []

    def widely(request, first, count):
        waves.append((first, count))
        return [
            {"ratios": [{"log": 0.1 * ((first + i) % 3), "pairs": 4, "instances": 1}]}
            for i in range(count)
        ]

    monkeypatch.setattr(processes, "_measured", widely)
    monkeypatch.setattr(processes, "cores", lambda: 3)
    [found] = measured(processes=5, max_seconds=100.0)
    assert waves == [(0, 3), (3, 2), (5, 3), (8, 3), (11, 1)]
    assert (found.processes, found.settled) == (12, False)
    waves.clear()
    [found] = measured(processes=5, max_seconds=0.0)
    assert waves == [(0, 3), (3, 2)]
