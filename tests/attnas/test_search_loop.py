import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from attnas import search_loop
from attnas.config import parse_config
from attnas.core import AttnasError, InputError, Screening
from attnas.facts import make_facts
from attnas.problem import make_problem
from attnas.results import Run
from attnas.search_loop import Observer, search
from attnas.strategies import preparing_strategies


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def proposals(run):
    return [(str(trial.architecture), trial.epochs, trial.state) for trial in run.trials]


def test_a_search_spends_its_budget_on_feasible_architectures_alone(settings, tmp_path):
    notes = Notes()
    run = search(settings, runs=tmp_path, observer=notes)
    trained = [trial for trial in run.trials if trial.state == "complete"]
    assert len(trained) == 25
    assert trained[0].architecture.is_plain
    assert all(trial.metrics["latency_ms"] <= 1.6 for trial in trained)
    rejected = [trial for trial in run.trials if trial.state == "infeasible"]
    assert all(trial.metrics["latency_ms"] > 1.6 for trial in rejected)
    assert all("accuracy" not in trial.metrics for trial in rejected)
    assert len({trial.architecture for trial in run.trials}) == len(run.trials)
    assert notes.texts[-1] == "Budget used: 25 trials."
    assert notes.texts[1].startswith("Feasible: ")


def test_the_same_call_goes_on_with_a_larger_budget(settings, tmp_path):
    whole = search({**settings, "name": "whole"}, runs=tmp_path)
    search({**settings, "budget": {"trials": 9}}, runs=tmp_path)
    resumed = search(settings, runs=tmp_path)
    assert proposals(resumed) == proposals(whole)


@pytest.mark.parametrize("strategy", ["random", "nsga2", "local", "model"])
def test_a_space_that_is_used_up_ends_the_search_and_is_told(settings, tmp_path, strategy):
    settings["search_space"] = {**settings["search_space"], "blocks": ["none", "eca"]}
    settings["budget"] = {"trials": 40}
    notes = Notes()
    run = search({**settings, "strategy": {"name": strategy}}, runs=tmp_path, observer=notes)
    assert len(run.trials) == 27
    assert notes.texts[-1] == (
        "The search space is used up: of its 27 architectures 27 were trained, 0 broke a "
        "constraint, 0 failed."
    )


def test_when_nothing_is_feasible_the_constraint_and_the_nearest_are_named(settings, tmp_path):
    settings["constraints"] = {"latency_ms": "<= 0.5"}
    with pytest.raises(AttnasError) as caught:
        search(settings, runs=tmp_path)
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith(
        "300 proposals in a row broke a constraint. Loosen the bound, or run the same command "
        "again to look further. Nothing is feasible: "
    )
    assert "'latency_ms <= 0.5' rejected 301 of 301 trials. The nearest, trial 0 (" in (
        str(caught.value)
    )
    assert "misses latency_ms <= 0.5 by 100.0%" in str(caught.value)
    assert len(Run.open(tmp_path / "replayed").trials) == 301


def test_a_run_of_another_config_is_refused(settings, tmp_path):
    search({**settings, "budget": {"trials": 2}}, runs=tmp_path)
    other = {"seed": 4, "storage": f"sqlite:///{tmp_path}/secret.db"}
    with pytest.raises(InputError) as caught:
        search({**settings, **other, "constraints": {}}, runs=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'replayed'}: was made by another config: constraints.latency_ms was "
        '"<= 1.6x" and is not given, seed was 0 and is 4, storage is another. Give this search '
        "another 'name', or restore the config."
    )


SMALL = {
    "name": "small",
    "data": {"source": "digits", "train": 100, "validation": 100},
    "search_space": {"backbone": {"name": "resnet_cifar", "depth": 8, "width": 4}},
    "objectives": {"accuracy": "max"},
}
WRONG_REFERENCES = [
    (
        {"storage": "mysql://x"},
        "storage: the database 'mysql' is not supported, only PostgreSQL is. Write "
        "'postgresql://user:password@host/name', or leave it out: then a SQLite file in the run's "
        "folder keeps the trials.",
    ),
    (
        {"storage": "$NOPE"},
        "storage: the environment variable NOPE in the database URL is not set. Set it, or write "
        "%24 for a dollar sign.",
    ),
    ({"warm_start": "nope"}, "warm_start: there is no run 'nope'. "),
    ({"device": {"name": "cuda"}}, "unknown device 'cuda'. "),
    ({"init": "nofile.pt"}, "init: there is no file 'nofile.pt'. "),
]


def test_a_wrong_reference_is_told_before_anything_is_measured_or_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(search_loop, "engine", lambda config: nullcontext())  # it would measure
    for wrong, said in WRONG_REFERENCES:
        with pytest.raises(InputError) as caught:
            search({**SMALL, **wrong}, runs=tmp_path)
        assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    config = parse_config({**SMALL, "seed": 5})
    facts = make_facts(config, make_problem(config), Screening({}))
    made = config.model_dump(mode="json", exclude_none=True)
    Run.create(tmp_path / "small", config=made, facts=facts, environment={}).close()
    for wrong, said in WRONG_REFERENCES:
        with pytest.raises(InputError) as caught:
            search({**SMALL, **wrong}, runs=tmp_path)
        assert said in str(caught.value)


def test_an_architecture_that_the_table_lacks_becomes_a_failed_trial(settings, tmp_path, table):
    lines = table.read_text().splitlines()
    kept = [lines[0], *(line for i, line in enumerate(lines[1:]) if i % 3 == 0)]
    (tmp_path / "thin.csv").write_text("\n".join(kept))
    settings["evaluator"] = {"table": str(tmp_path / "thin.csv")}
    run = search(settings, runs=tmp_path)
    failed = [trial for trial in run.trials if trial.state == "failed"]
    assert failed
    assert all("thin.csv has no row for" in trial.reason for trial in failed)
    assert sum(trial.state != "infeasible" for trial in run.trials) == 25


def test_three_like_failures_at_the_start_stop_the_search(settings, tmp_path, table):
    lines = table.read_text().splitlines()
    (tmp_path / "head.csv").write_text("\n".join([lines[0], lines[-1]]))
    settings["evaluator"] = {"table": str(tmp_path / "head.csv")}
    settings["constraints"] = {}
    with pytest.raises(AttnasError) as caught:
        search(settings, runs=tmp_path)
    assert "the first 3 trials failed in the same way (raised: NotRecorded: " in str(caught.value)


def _search_in_child(settings, runs):
    os.setsid()
    search(parse_config(settings), runs=runs)


def test_a_run_killed_at_30_random_moments_proposes_what_an_unbroken_one_does(settings, tmp_path):
    settings = {**settings, "budget": {"trials": 60}, "strategy": {"name": "nsga2"}}
    whole = search({**settings, "name": "whole"}, runs=tmp_path)
    rng = random.Random(0)
    fork = multiprocessing.get_context("fork")
    seen = 0
    for _ in range(30):
        child = fork.Process(target=_search_in_child, args=(settings, tmp_path))
        child.start()
        time.sleep(rng.uniform(0.02, 0.4))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        if (tmp_path / "replayed" / "run.json").exists():
            kept = proposals(Run.open(tmp_path / "replayed"))
            assert len(kept) >= seen
            assert kept == proposals(whole)[: len(kept)]
            seen = len(kept)
    assert proposals(search(settings, runs=tmp_path)) == proposals(whole)


def test_a_search_on_real_images_gives_the_same_accuracies_to_the_last_digit(tmp_path):
    settings = {
        "name": "digits",
        "data": {"source": "digits", "train": 400, "validation": 200, "test": 200},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
            "blocks": ["none", "se", "simam"],
            "ratios": [2],
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1},
        "budget": {"trials": 3},
    }
    first = search(settings, runs=tmp_path / "a")
    again = search(settings, runs=tmp_path / "b")
    for trial, other in zip(first.trials, again.trials, strict=True):
        assert trial.architecture == other.architecture
        assert trial.metrics["accuracy"] == other.metrics["accuracy"]
        assert trial.scores == other.scores
        assert set(trial.metrics) >= {"latency_ms", "flops", "activations", "peak_memory_mb"}
    frame = first.frame()
    assert frame.loc[0, "accuracy_difference"] == 0
    assert frame.loc[1, "accuracy_difference"] == pytest.approx(
        frame.loc[1, "accuracy"] - frame.loc[0, "accuracy"]
    )


def test_a_search_that_finds_nothing_more_feasible_ends_well(settings, tmp_path):
    settings["constraints"] = {"latency_ms": "<= 1.05"}
    notes = Notes()
    run = search(settings, runs=tmp_path, observer=notes)
    assert [trial.number for trial in run.front()] == [0]
    assert notes.texts[-1] == (
        "300 proposals in a row broke a constraint. What is feasible is probably used up. Loosen "
        "the bound, or run the same command again to look further."
    )
    nearest = "'latency_ms <= 1.05' rejects 20 of the 20 looked at; the nearest: "
    assert any(text.startswith(nearest) for text in notes.texts)


def test_failures_after_a_resumption_do_not_count_as_those_at_the_start(settings, tmp_path, table):
    lines = table.read_text().splitlines()
    thin = [lines[0], *lines[1:4], *(line for i, line in enumerate(lines) if i % 9 == 0 and i)]
    (tmp_path / "thin.csv").write_text("\n".join(dict.fromkeys(thin)))
    settings["evaluator"] = {"table": str(tmp_path / "thin.csv")}
    settings["constraints"] = {}
    whole = search({**settings, "name": "whole"}, runs=tmp_path)
    for trials in range(4, 25):
        resumed = search({**settings, "budget": {"trials": trials}}, runs=tmp_path)
        assert proposals(resumed) == proposals(whole)[: len(resumed.trials)]
    assert sum(trial.state == "failed" for trial in whole.trials) > 10


def test_a_run_built_of_plugins_is_resumed_and_rebuilt_in_a_fresh_process(
    settings, tmp_path, table
):
    (tmp_path / "own_blocks.py").write_text(
        "from attnas.search_space import register_block\n"
        "from attnas.search_space.blocks.efficient_channel import EfficientChannelAttention\n\n"
        "@register_block('mine')\n"
        "class Mine(EfficientChannelAttention):\n    pass\n"
    )
    text = table.read_text().replace("eca@", "mine@")
    (tmp_path / "mine.csv").write_text(text)
    settings["search_space"] = {**settings["search_space"], "blocks": ["none", "mine"]}
    settings["evaluator"] = {"table": "mine.csv"}
    settings["plugins"] = ["own_blocks"]
    (tmp_path / "mine.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "attnas"]
    for arguments in (
        ["search", "mine.json", "--set", "budget.trials=5"],
        ["search", "mine.json", "--set", "budget.trials=9"],
        ["show", "replayed", "4"],
        ["export", "replayed", "--trial", "4", "-o", "best.yaml", "--python", "net.py"],
    ):
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    rebuild = (
        "import attnas, net; "
        "a = attnas.build('best.yaml', seed=1); b = net.network(seed=1); "
        "assert list(a.state_dict()) == list(b.state_dict())"
    )
    subprocess.run([sys.executable, "-c", rebuild], cwd=tmp_path, check=True)


@pytest.mark.parametrize("name", preparing_strategies())
def test_a_strategy_that_trains_images_is_refused_before_a_table_makes_a_run(
    name, settings, tmp_path
):
    with pytest.raises(InputError) as caught:
        search({**settings, "strategy": {"name": name}}, runs=tmp_path)
    assert caught.value.key == "strategy.name"
    assert caught.value.problem == (
        f"'{name}' trains a network of its own by the built-in training. Leave out 'evaluator', or "
        "take another strategy."
    )
    assert not list(tmp_path.iterdir())
