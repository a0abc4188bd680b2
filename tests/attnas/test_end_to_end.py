"""Whole searches through the command: other decisions, other tasks, a training of one's own."""

import csv
import io
import json
import linecache
import sys
from functools import partial

import pytest
import torch
import yaml

import attnas
from attnas import front_latency
from attnas.core import METRICS
from attnas.entry import run_command
from attnas.evaluator import screening
from attnas.results import Run
from attnas.search_space import DECISIONS

OWN = """
import numpy as np
import torch
from dataclasses import dataclass
from torch import nn
from sklearn.datasets import load_digits

from attnas.evaluator import Pool, Pools
from attnas.search_space import Decision, register_decision


def pixels():
    return torch.from_numpy((load_digits().images * 15).astype("uint8"))[:400, None]


def brightness():
    images = pixels()
    halves = images.float().mean((2, 3)), images[:, :, :4].float().mean((2, 3))
    return Pools(Pool(images, torch.cat(halves, 1)), ("whole", "upper"))


@register_decision("size")
@dataclass(frozen=True)
class Size(Decision):
    '''Width and depth together.'''

    name: str
    wide: int

    structural = True

    def plain(self, backbone):
        return "plain"

    def arguments(self, option):
        return {} if option == "plain" else {"width": self.wide, "depth": 8}

    def details(self, option, backbone, *, identity_start):
        return {"wide": self.wide if option == "wide" else None}


def fit(*, network, epochs, seed, split, device):
    '''Learns to give the mean of an image; the mean absolute error and one an item.'''
    x = torch.rand(64, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(5 * epochs):
        optimizer.zero_grad()
        (network(x)[:, 0] - x.mean((1, 2, 3))).square().mean().backward()
        optimizer.step()
    drawn = torch.Generator().manual_seed(1000 + (split == "test"))
    x = torch.rand(50, 1, 6, 6, generator=drawn)
    with torch.no_grad():
        error = (network(x)[:, 0] - x.mean((1, 2, 3))).abs()
    return {"mean_error": error.mean().item(), "worst": error.max().item()}, error


def fit_alone(*, network, epochs):
    return {"mean_error": 1.0 / (epochs + sum(p.numel() for p in network.parameters()))}


class Means(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.first = nn.Conv2d(1, hidden, 3)
        self.unit = nn.Sequential(nn.Conv2d(hidden, hidden, 3))
        self.last = nn.Linear(hidden, 1)

    def forward(self, x):
        return self.last(self.unit(self.first(x).relu()).mean((2, 3)))


def means(hidden=8):
    return Means(hidden)
"""
COMMON = {
    "training": {"epochs": 1, "precision": "float32", "learning_rate": 0.1, "batch_size": 32},
    "seed": 1,
}
DECIDED = {
    **COMMON,
    "name": "decided",
    "data": {"source": "digits", "train": 300, "validation": 100, "test": 100},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 14, "width": 8},
        "blocks": ["none", "se", "eca"],
        "ratios": [4],
        "placements": ["residual", "post"],
        "arguments": {"width": [4, 8]},
        "stages": {
            "layer1": {"per": "unit"},
            "layer2": {"depth": [1, 2]},
            "layer3": {"choice": "none"},
        },
    },
    "objectives": {"accuracy": "max", "params": "min"},
    "budget": {"trials": 5},
}
NAMES = ["width", "layer1.0", "layer1.1", "layer2.depth", "layer2", "layer3"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with the modules of one's own; what they register is gone after the test."""
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(METRICS, "_provided", dict(METRICS._provided))
    brief = partial(screening.measure_reference, max_seconds=0.1)  # latencies do not count here
    monkeypatch.setattr(screening, "measure_reference", brief)
    monkeypatch.setattr(screening, "SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(front_latency, "SECONDS_A_TRIAL", 0.05)
    monkeypatch.setattr("attnas.feasible_share.MEASURED", 2)
    yield tmp_path
    sys.modules.pop("own", None)
    for registered in (DECISIONS._found, DECISIONS._defined):
        registered.pop("size", None)


@pytest.fixture
def attnas_says(here, capsys):
    """Runs a command that must succeed; what it printed on standard output and error."""

    def said(*arguments):
        capsys.readouterr()
        code = run_command(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert code == 0, err
        return out, err

    return said


@pytest.fixture
def search(here, attnas_says):
    """Writes a config and searches by it; the run."""

    def search(config, **changes):
        path = here / f"{config['name']}.yaml"
        path.write_text(yaml.safe_dump({**config, **changes}))
        attnas_says("search", path)
        return Run.open(config["name"])

    return search


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("strategy", ["random", "evolution", "nsga2", "tpe"])
def test_arguments_depth_and_units_are_decided_by_any_strategy(search, strategy):
    run = search(DECIDED, strategy={"name": strategy}, budget={"trials": 6})
    assert [decision.name for decision in run.decisions] == NAMES
    trained = [trial for trial in run.trials if trial.state == "complete"]
    assert len(trained) == len({trial.architecture for trial in trained}) == 6
    assert trained[0].architecture.is_plain
    assert len({trial.architecture.by_name["width"] for trial in trained}) == 2
    for trial in trained:
        network = attnas.build(trial.architecture, seed=0)
        assert parameters(network) == trial.metrics["params"]
        first = network.layer1[0].conv1.out_channels
        assert str(first) == trial.architecture.by_name["width"]


def test_a_search_over_other_decisions_is_shown_exported_trained_and_confirmed(
    search, attnas_says, here
):
    run = search(DECIDED)
    best = run.best()
    rows = json.loads(attnas_says("pareto", "decided", "--json")[0])
    assert [list(row)[1:7] for row in rows] == [NAMES] * len(rows)
    for row in rows:
        options = run.trials[row["trial"]].architecture.by_name
        assert {name: row[name] for name in NAMES} == options
    table = list(csv.DictReader(io.StringIO(attnas_says("pareto", "decided", "--csv")[0])))
    assert [{n: row[n] for n in NAMES} for row in table] == [
        {n: row[n] for n in NAMES} for row in rows
    ]
    printed = attnas_says("pareto", "decided")[0]
    assert all(name in printed for name in NAMES)

    cut = next(t for t in run.trials if t.architecture.by_name["layer2.depth"] == "1")
    shown = json.loads(attnas_says("show", "decided", cut.number, "--json")[0])
    decided = {row["decision"]: row for row in shown["decisions"]}
    assert decided["layer2.depth"]["skipped"] == ["layer2.1"]
    assert decided["width"] == {
        "decision": "width",
        "kind": "argument",
        "option": cut.architecture.by_name["width"],
        "plain": cut.architecture.by_name["width"] == "8",
    }
    assert "layer2.1 skipped" in attnas_says("show", "decided", cut.number)[0]
    attnas_says("report", "decided")
    assert "layer2.depth" in (here / "runs/decided/report.html").read_text()

    attnas_says("export", "decided", "--trial", cut.number, "-o", "cut.json", "--python", "net.py")
    exported = json.loads((here / "cut.json").read_text())
    assert exported["architecture"] == cut.architecture.by_name
    module: dict = {}
    exec(compile((here / "net.py").read_text(), "net.py", "exec"), module)
    networks = attnas.build("cut.json", seed=3), module["network"](seed=3)
    images = torch.randn(2, 1, 8, 8)
    first, second = (network.eval()(images) for network in networks)
    assert torch.equal(first, second)
    assert parameters(networks[0]) == exported["metrics"]["params"]["value"]
    out, err = attnas_says("train", "cut.json", "--epochs", 1)
    assert 0 <= json.loads(out)["test_accuracy"] <= 1
    assert err.startswith(f"{cut.architecture}: ")
    assert (here / "cut.safetensors").exists()

    confirmed = json.loads(attnas_says("confirm", "decided", "--seeds", 2, "--json")[0])
    assert confirmed["winner"] == (None if best.architecture.is_plain else best.number)
    assert {e["trial"] for e in confirmed["front"]} == {
        t.number for t in run.front() if not t.architecture.is_plain
    }
    for entry in confirmed["front"]:
        assert entry["architecture"] == run.trials[entry["trial"]].architecture.by_name


def test_the_same_command_goes_on_with_other_decisions(search, here):
    whole = search({**DECIDED, "name": "whole"}, strategy={"name": "evolution"})
    search(DECIDED, strategy={"name": "evolution"}, budget={"trials": 2})
    resumed = search(DECIDED, strategy={"name": "evolution"})
    assert [t.architecture for t in resumed.trials] == [t.architecture for t in whole.trials]


def test_a_bound_on_a_count_holds_for_other_decisions(search, attnas_says):
    run = search(DECIDED, constraints={"params": "<= 0.5x"}, budget={"trials": 3})
    plain, *others = run.trials
    assert plain.violations  # trained as the reference all the same
    feasible = [trial for trial in others if trial.feasible]
    assert feasible
    assert all(t.metrics["params"] <= 0.5 * plain.metrics["params"] for t in feasible)
    assert {trial.architecture.by_name["width"] for trial in feasible} == {"4"}
    assert "Constraints: params <= 0.5x." in attnas_says("pareto", "decided")[0]


@pytest.mark.parametrize("name", ["oneshot", "darts"])
def test_a_supernet_refuses_what_it_cannot_hold_before_a_run_is_made(here, capsys, name):
    path = here / "decided.yaml"
    path.write_text(yaml.safe_dump({**DECIDED, "strategy": {"name": name}}))
    assert run_command(["search", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "width" in err
    assert not (here / "runs").exists()


def test_a_kind_of_decision_of_ones_own_is_searched_shown_and_rebuilt(search, attnas_says):
    config = {
        **DECIDED,
        "name": "own-kind",
        "plugins": ["own"],
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 14, "width": 8},
            "blocks": ["none", "eca"],
            "stages": {stage: {"choice": "none"} for stage in ("layer2", "layer3")},
            "decisions": {"build": {"kind": "size", "wide": 12, "options": ["plain", "wide"]}},
        },
        "budget": {"trials": 3},
        "strategy": {"name": "random"},
    }
    run = search(config)
    wide = next(t for t in run.trials if t.architecture.by_name["build"] == "wide")
    shown = json.loads(attnas_says("show", "own-kind", wide.number, "--json")[0])
    [row] = [row for row in shown["decisions"] if row["decision"] == "build"]
    assert row == {
        "decision": "build", "kind": "size", "option": "wide", "plain": False, "wide": 12,
    }  # fmt: skip
    attnas_says("export", "own-kind", "--trial", wide.number, "-o", "wide.yaml")
    network = attnas.build("wide.yaml", seed=0)
    assert network.layer1[0].conv1.out_channels == 12
    assert len(network.layer1) == 1
    assert parameters(network) == wide.metrics["params"]


REGRESSION = {
    **COMMON,
    "name": "brightness",
    "data": {"source": "own:brightness", "train": 200, "validation": 100, "test": 100},
    "task": {"name": "regression", "loss_function": "absolute"},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8, "width": 4},
        "blocks": ["none", "eca", "sse"],
        "stages": {"layer3": {"choice": "none"}},
    },
    "budget": {"trials": 3},
    "strategy": {"name": "random"},
}


def test_a_regression_is_searched_confirmed_and_trained(search, attnas_says, here):
    run = search(REGRESSION)
    assert {o.metric: o.direction for o in run.objectives} == {"r2": "max", "latency_ms": "min"}
    assert run.scored == "r2"
    trained = [trial for trial in run.trials if trial.state == "complete"]
    assert len(trained) == 3
    for trial in trained:
        assert {"r2", "mean_absolute_error", "validation_loss"} <= trial.metrics.keys()
        assert (trial.scores.metric, trial.scores.items) == ("r2", 100)
        assert trial.scores.mean == pytest.approx(trial.metrics["r2"], abs=1e-4)
    rows = json.loads(attnas_says("pareto", "brightness", "--json")[0])
    assert {"r2", "r2_difference", "r2_difference_se"} <= rows[0].keys()
    for row in rows:
        difference = row["r2"] - run.plain.metrics["r2"]
        assert row["r2_difference"] == pytest.approx(difference, abs=1e-4)
    table = attnas_says("pareto", "brightness")[0]
    assert table.startswith("Nothing was learned: the best of ")  # one epoch is too few
    assert "trial r2 vs plain" in " ".join(table.split())
    attnas_says("report", "brightness")
    assert "Task" in (here / "runs/brightness/report.html").read_text()
    confirmed = json.loads(attnas_says("confirm", "brightness", "--seeds", 2, "--json")[0])
    assert (confirmed["metric"], confirmed["test_items"]) == ("r2", 100)
    attnas_says("export", "brightness", "-o", "best.yaml")
    out, _ = attnas_says("train", "best.yaml", "--epochs", 1)
    assert set(json.loads(out)) == {"test_r2", "test_mean_absolute_error", "test_loss"}
    exported = yaml.safe_load((here / "best.yaml").read_text())
    assert exported["task"] == {"name": "regression", "loss_function": "absolute"}


def test_an_error_as_the_objective_of_a_regression_is_pushed_down(search, attnas_says):
    run = search(
        {**REGRESSION, "name": "error"},
        objectives={"mean_absolute_error": "min", "params": "min"},
    )
    assert run.main_objective.metric == "mean_absolute_error"
    best = run.best()
    trained = [t.metrics["mean_absolute_error"] for t in run.trials if t.state == "complete"]
    assert best.metrics["mean_absolute_error"] == min(trained)
    out, _ = attnas_says("pareto", "error")
    assert "trial mean absolute error params layer1" in " ".join(out.split())
    assert "vs plain" not in out  # what the items' scores average to is no objective


FUNCTION = {
    "name": "means",
    "training": {"function": "own:fit", "epochs": 2},
    "search_space": {
        "backbone": {
            "factory": "own:means",
            "arguments": {"hidden": 8},
            "stages": {"unit": {"units": ["unit"], "sites": {"post": {"after": "0"}}}},
            "input_shape": [1, 6, 6],
        },
        "blocks": ["none"],
        "placements": ["post"],
        "arguments": {"hidden": [4, 8, 16]},
    },
    "objectives": {"mean_error": "min", "params": "min"},
    "strategy": {"name": "grid"},
    "budget": {"trials": 3},
}


def test_a_training_of_ones_own_is_searched_and_confirmed_by_its_metric(search, attnas_says):
    run = search(FUNCTION)
    assert len(run.trials) == 3
    assert [t.state for t in run.trials] == ["complete"] * 3
    assert (run.scored, run.main_objective.metric) == ("mean_error", "mean_error")
    best = min(run.trials, key=lambda t: t.metrics["mean_error"])
    assert run.best() == best
    rows = json.loads(attnas_says("pareto", "means", "--json")[0])
    assert rows[0]["trial"] == best.number
    assert rows[0]["mean_error_difference"] <= 0
    assert attnas_says("pareto", "means")[0].split()[:5] == [
        "trial",
        "mean",
        "error",
        "vs",
        "plain",
    ]
    attnas_says("report", "means")
    confirmed = json.loads(attnas_says("confirm", "means", "--seeds", 2, "--json")[0])
    assert (confirmed["metric"], confirmed["test_items"]) == ("mean_error", 50)
    attnas_says("export", "means", "-o", "best.json")
    assert run_command(["train", "best.json"]) == 2


def test_a_training_that_was_edited_is_told_when_a_run_goes_on(search, attnas_says, here):
    config = {**FUNCTION, "training": {"function": "own:fit_alone", "epochs": 1}}
    search(config, budget={"trials": 2})
    (here / "means.yaml").write_text(yaml.safe_dump({**config, "budget": {"trials": 3}}))
    (here / "own.py").write_text(OWN.replace("1.0 / (epochs +", "1.5 / (epochs +"))
    sys.modules.pop("own")
    for registered in (DECISIONS._found, DECISIONS._defined):
        registered.pop("size", None)
    linecache.checkcache()
    said = attnas_says("search", "means.yaml")[1]
    assert "Note: the source of own:fit_alone is not as when the run began" in said


def test_a_training_without_scores_is_searched_but_cannot_be_confirmed(search, attnas_says, capsys):
    function = {**FUNCTION["training"], "function": "own:fit_alone"}
    run = search({**FUNCTION, "name": "alone"}, training=function)
    assert run.best().architecture.by_name["hidden"] == "16"
    assert {trial.scores for trial in run.trials} == {None}
    assert "mean error" in attnas_says("pareto", "alone")[0]
    attnas_says("report", "alone")
    capsys.readouterr()
    assert run_command(["confirm", "alone", "--seeds", "2"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "attnas: training.function: the training gives no scores of single items, which a "
        "confirmation compares. Return a pair: metrics, and one score an item."
    )


def test_what_a_search_of_a_function_lacks_is_told(here, capsys):
    for changes, message in (
        ({"objectives": None}, "objectives: is missing: name a metric that your training returns, "
         "and its direction."),
        ({"training": {"function": "own:fti"}}, "training.function: 'own' has no function 'fti'. "
         "Did you mean 'fit'?"),
    ):  # fmt: skip
        path = here / "means.yaml"
        path.write_text(yaml.safe_dump({**FUNCTION, **changes}))
        assert run_command(["search", str(path)]) == 2
        assert capsys.readouterr().err == f"attnas: {path}: {message}\n"
    assert not (here / "runs").exists()
