"""docs/json.md against what the commands print."""

import csv
import io
import json
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from attnas.core import METRICS, ItemScores, TrainingResult
from attnas.entry import run_command
from attnas.results import Confirmation, Confirmed, ConfirmedScore, Difference, Run
from attnas.search_loop import search

ASSETS = Path(__file__).parents[1] / "results/assets"
DOCS = (Path(__file__).parents[2] / "docs/json.md").read_text()


def documented(heading):
    """Keys and 'null' cells of the table under a heading of the docs, in its order."""
    _, _, after = DOCS.partition(f"# {heading}\n")
    table = after.split("\n#")[0]
    found = {}
    for line in table.splitlines():
        cells = line.strip("|").split(" | ")
        for key in re.findall("`([A-Za-z_0-9]+)`", cells[0]) if line.startswith("| `") else ():
            found[key] = cells[-1].strip()
    assert found, heading
    return found


def keys(heading):
    return list(documented(heading))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, table):
    """The folder of two finished runs, `one` and `two`."""
    folder = tmp_path_factory.mktemp("runs")
    for name, seed in (("one", 0), ("two", 1)):
        search(
            {
                "name": name,
                "seed": seed,
                "search_space": {
                    "backbone": {"name": "resnet_cifar", "depth": 8},
                    "blocks": ["none", "se", "eca"],
                    "ratios": [4, 8],
                    "placements": ["residual"],
                },
                "constraints": {"latency_ms": "<= 1.3x"},
                "strategy": {"name": "random"},
                "budget": {"trials": 6},
                "evaluator": {"table": str(table)},
            },
            runs=folder,
        )
    return folder


@pytest.fixture
def printed(runs, capsys):
    """What a command prints on standard output."""

    def run(*arguments):
        assert run_command([*arguments, "--runs", str(runs)]) == 0
        return capsys.readouterr().out

    return run


def expanded(names, run):
    """The documented keys of pareto with the run's own decisions and metrics."""
    taken = {name for trial in run.trials for name in trial.metrics}
    with_ends = {name for trial in run.trials for name in trial.intervals}
    found = {name.replace("SCORED", run.scored) for name in names}
    found -= {"DECISION", "METRIC", "METRIC_low", "METRIC_high"}
    found |= {decision.name for decision in run.decisions} | taken
    return found | {f"{name}_{end}" for name in with_ends for end in ("low", "high")}


def with_intervals(run):
    """The same run, of which each trial's accuracy has an interval."""
    for trial in run.trials:
        trial.intervals["accuracy"] = (0.1, 0.9)
    return run


def test_pareto_has_the_documented_keys_and_csv_the_same(printed, runs, monkeypatch):
    run = Run.open("one", runs=runs)
    rows = json.loads(printed("pareto", "one", "--json"))
    assert set(rows[0]) == expanded(keys("pareto"), run)
    lines = list(csv.reader(io.StringIO(printed("pareto", "one", "--csv"))))
    assert lines[0] == list(rows[0])
    assert len(lines) == len(rows) + 1
    empty = {key for key, cell in zip(lines[0], lines[1], strict=True) if cell == ""}
    assert empty == {key for key, value in rows[0].items() if value is None}
    noise = {"accuracy_difference", "accuracy_difference_se", "within_noise"}
    assert empty == {*noise, "baseline"}

    monkeypatch.setattr(Run, "open", lambda *_, **__: with_intervals(run))
    [first, *_] = json.loads(printed("pareto", "one", "--json"))
    assert set(first) == expanded(keys("pareto"), run)
    assert first["accuracy_low"] == 0.1


def test_what_pareto_gives_as_null_is_documented_as_such(printed, runs):
    scored = Run.open("one", runs=runs).scored
    nulls = documented("pareto").items()
    allowed = {key.replace("SCORED", scored) for key, null in nulls if null != "never"}
    for row in json.loads(printed("pareto", "one", "--json")):
        unknown = {key for key, value in row.items() if value is None}
        assert unknown <= allowed | set(METRICS)


def test_show_has_the_documented_keys(printed):
    shown = json.loads(printed("show", "one", "1", "--json"))
    assert list(shown) == keys("show")
    attention = [*keys("show: decisions"), *keys("show: decisions of attention")]
    assert [list(row) for row in shown["decisions"]] == 3 * [attention]
    assert shown["metrics"]
    assert all(list(row) == keys("show: metrics") for row in shown["metrics"])


def test_show_has_the_documented_keys_of_every_kind_of_decision(capsys):
    assert run_command(["show", str(ASSETS / "searched-format-2"), "10", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    of_kind = {
        "argument": [],
        "attention": keys("show: decisions of attention"),
        "depth": keys("show: decisions of depth"),
    }
    assert {row["kind"] for row in shown["decisions"]} == set(of_kind)
    for row in shown["decisions"]:
        assert list(row) == [*keys("show: decisions"), *of_kind[row["kind"]]]


def test_check_has_the_documented_keys(printed):
    assert list(json.loads(printed("check", "one", "--json"))) == keys("check")
    assert [field.name for field in fields(Difference)] == keys("check: differences")


def test_compare_has_the_documented_keys(printed):
    rows = json.loads(printed("compare", "one", "two", "--json"))
    assert [list(row) for row in rows] == 2 * [keys("compare")]
    assert [list(row["covers"]) for row in rows] == [["two"], ["one"]]


def test_confirm_has_the_documented_keys(printed, monkeypatch):
    def confirmed(number, option, bits):
        scores = ItemScores.of("accuracy", np.array(bits, dtype=bool))
        both = tuple(ConfirmedScore(seed, scores) for seed in (1, 2))
        return Confirmed(number, {"layer1": option}, both)

    made = Confirmation(
        plain=confirmed(0, "none", [1, 0, 0, 1]),
        front=(
            confirmed(3, "eca@post", [1, 1, 0, 1]),
            confirmed(1, "se:r8@post", [1, 0, 1, 0]),
        ),
        winner=3,
        epochs=2,
        baselines={"se:r8@post": 1},
    )
    monkeypatch.setattr("attnas.confirmation.confirm", lambda *_, **__: made)
    summary = json.loads(printed("confirm", "one", "--json"))
    assert list(summary) == keys("confirm")
    assert [list(row) for row in summary["front"]] == 2 * [keys("confirm: front")]
    assert [list(row) for row in summary["baselines"]] == [keys("confirm: baselines")]


def test_train_has_the_documented_keys(tmp_path, capsys, monkeypatch):
    result = TrainingResult({"accuracy": 0.5, "validation_loss": 1.5})
    monkeypatch.setattr("attnas.full_training.train_exported", lambda *_, **__: result)
    assert run_command(["train", str(tmp_path / "best.yaml")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"test_accuracy": 0.5, "test_loss": 1.5}
    assert [key.replace("METRIC", "accuracy") for key in keys("train")] == list(printed)


@pytest.mark.parametrize("command", ["blocks", "strategies", "devices"])
def test_listings_have_the_documented_keys(command, capsys):
    assert run_command([command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(list(row) == keys(command) for row in rows)
