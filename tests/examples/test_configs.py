"""The configs of the examples, on few images and for little time."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
import torch

import attnas
from attnas import front_latency, problem, setup
from attnas.config import load_config
from attnas.entry import run_command
from attnas.evaluator import Data, Pool, screening
from attnas.search_loop import search
from attnas.search_space import BLOCKS, Family

ROOT = Path(__file__).parents[2]
SMALL = ["budget.trials=2", "training.epochs=1"] + [
    f"data.{part}=100" for part in ("train", "validation", "test")
]


@pytest.fixture
def short_measuring(monkeypatch):
    """Latencies are measured for a moment only, and few architectures looked at beforehand."""
    brief = partial(screening.measure_reference, max_seconds=0.1)
    monkeypatch.setattr(screening, "measure_reference", brief)
    monkeypatch.setattr(screening, "SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(front_latency, "SECONDS_A_TRIAL", 0.05)
    monkeypatch.setattr(sys.modules["attnas.feasible_share"], "MEASURED", 2)


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


@pytest.mark.parametrize(
    ("example", "bound", "sizes"),
    [("cifar10", "<= 1.15x", (10000, 20000)), ("families", "<= 2x", (20000, 5000))],
)
def test_a_config_for_cifar10_describes_a_search(example, bound, sizes, monkeypatch):
    images = Pool(torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10))
    data = Data(images, images, images, tuple("abcdefghij"), facts={})
    asked = []
    monkeypatch.setattr(
        problem, "read_data", lambda config, task: asked.append(config.data) or data
    )
    config = load_config(ROOT / f"examples/{example}.yaml")
    made = problem.make_problem(config)
    assert [(data.source, data.train, data.validation) for data in asked] == [("parquet", *sizes)]
    assert made.space.backbone.input_shape == (3, 32, 32)
    assert made.space.plain in made.space
    assert made.space.size > 10_000
    assert [str(constraint) for constraint in made.constraints] == [bound]
    strategy = setup.make_searcher(config, made)
    assert strategy.epochs == config.training.epochs


def test_the_families_are_gates_mixers_and_units_of_all_kinds():
    lists = load_config(ROOT / "examples/families.yaml").search_space
    found = [BLOCKS[name] for name in lists.blocks if name != "none"]
    assert len(found) == 12
    assert {entry.kind for entry in found} == {"gate", "mixer", "unit"}
    assert {entry.family for entry in found} == set(get_args(Family))


def test_keep_or_replace_asks_for_each_attention_that_the_network_has(monkeypatch, libraries):
    libraries("timm")
    images = Pool(torch.zeros(10, 3, 64, 64, dtype=torch.uint8), torch.arange(10))
    data = Data(images, images, images, tuple("abcdefghij"), facts={})
    monkeypatch.setattr(problem, "read_data", lambda config, task: data)
    config = load_config(ROOT / "examples/keep_or_replace.yaml")
    made = problem.make_problem(config)
    decided = [options for options in made.space.options if len(options) > 1]
    assert len(decided) == 9  # the SE of mobilenetv3_small_100
    for options in decided:
        assert {"keep", "none", "eca@attention"} <= set(options)
        assert any(option.startswith("se:r") for option in options)
    assert set(made.space.plain.options) == {"keep", "none"}  # two units have none
    assert config.training.learning_rate_scale == {"new": 10}
    assert [str(constraint) for constraint in made.constraints] == ["<= 1x"]


IMAGES = ["data.items=240", "training.epochs=1", "budget.trials=3"]
DIGITS = [f"data.{part}=100" for part in ("train", "validation", "test")]
LITTLE = {
    "segmentation": IMAGES,
    "multi_label": IMAGES,
    "regression": IMAGES,
    "width_depth": [*DIGITS, "training.epochs=1", "budget.trials=4"],
    "per_unit": [*DIGITS, "training.epochs=1", "budget.trials=4"],
    "signals": ["data.items=240", "training.epochs=1", "budget.trials=3"],
    "own_training": ["strategy.min_epochs=1", "strategy.max_epochs=3", "budget.epochs=9"],
}


@pytest.mark.parametrize(("example", "changes"), LITTLE.items())
def test_an_example_ends_in_a_front_a_confirmation_and_an_export_that_rebuilds(
    example, changes, tmp_path, short_measuring, monkeypatch, capsys
):
    monkeypatch.chdir(ROOT)  # one config names its module from there
    monkeypatch.setattr(sys, "path", list(sys.path))
    sets = [part for change in changes for part in ("--set", change)]
    name = example.replace("_", "-")
    runs = ["--runs", str(tmp_path)]

    def said(*arguments):
        capsys.readouterr()
        code = run_command([*arguments, *runs])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    said("search", f"examples/{example}.yaml", *sets)
    rows = json.loads(said("pareto", name, "--json"))
    run = attnas.load_run(name, runs=tmp_path)
    assert [row["trial"] for row in rows if row["best"]] == [run.best().number]
    assert "plain" in said("confirm", name, "--seeds", "2")
    exported = tmp_path / "best.yaml"
    said("export", name, "--output", str(exported))
    network = attnas.build(exported)
    found = run.best()
    assert sum(p.numel() for p in network.parameters()) == found.metrics["params"]
    assert network(torch.zeros(2, *run.backbone.input_shape)).shape[0] == 2
    assert tuple(attnas.build(found.architecture).state_dict()) == tuple(network.state_dict())
