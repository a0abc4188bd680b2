"""The configs of the examples, on few images and for little time."""

import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from attnas import setup
from attnas.config import load_config
from attnas.evaluator import Data, Pool
from attnas.evaluator import evaluator as evaluation
from attnas.search_loop import search

ROOT = Path(__file__).parents[2]
SMALL = ["budget.trials=2", "training.epochs=1"] + [
    f"data.{part}=100" for part in ("train", "validation", "test")
]


@pytest.fixture
def short_measuring(monkeypatch):
    """Latencies are measured for a moment only, and few architectures looked at beforehand."""
    brief = partial(evaluation.measure_reference, max_seconds=0.1)
    monkeypatch.setattr(evaluation, "measure_reference", brief)
    monkeypatch.setattr(evaluation, "SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(sys.modules["attnas.search_loop"], "SHARE_SAMPLES", 2)


def trained(run):
    return [trial for trial in run.trials if trial.state != "infeasible"]


def test_the_demo_runs(tmp_path, short_measuring):
    config = load_config(ROOT / "examples/demo.yaml", SMALL)
    run = search(config, runs=tmp_path)
    assert run.folder == tmp_path / "demo"
    assert [trial.state for trial in trained(run)] == ["complete", "complete"]
    assert run.trials[0].architecture.is_plain
    assert all({"accuracy", "latency_ms"} <= trial.metrics.keys() for trial in trained(run))


def test_a_network_of_ones_own_is_searched_with_its_weights(tmp_path, short_measuring, monkeypatch):
    monkeypatch.chdir(ROOT)  # the config names its factory from there
    monkeypatch.setattr(sys, "path", list(sys.path))
    weights = tmp_path / "bars.pt"
    override = f"search_space.backbone.arguments.weights={weights}"
    config = load_config("examples/own_network.yaml", [*SMALL, override])
    run = search(config, runs=tmp_path)
    assert weights.is_file()
    assert [trial.state for trial in trained(run)] == ["complete", "complete"]
    assert run.backbone.stage_names == ("early", "late")
    plain = run.trials[0].metrics["params"]
    assert all(trial.metrics["params"] <= 1.1 * plain for trial in trained(run))


def test_the_config_for_cifar10_describes_a_search(monkeypatch):
    images = Pool(torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10))
    data = Data(images, images, images, tuple("abcdefghij"), facts={})
    asked = []
    monkeypatch.setattr(setup, "read_data", lambda wanted: asked.append(wanted) or data)
    config = load_config(ROOT / "examples/cifar10.yaml")
    problem = setup.make_problem(config)
    assert [(data.source, data.train, data.validation) for data in asked] == [
        ("parquet", 20000, 5000)
    ]
    assert problem.space.backbone.input_shape == (3, 32, 32)
    assert problem.space.plain in problem.space
    assert problem.space.size > 10_000
    assert [str(bound) for bound in problem.constraints] == ["<= 1.15x"]
    strategy = setup.make_searcher(config, problem)
    assert strategy.epochs == setup.make_recipe(config).epochs == config.training.epochs
