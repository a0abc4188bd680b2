"""docs/json.md against what the commands print."""

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from attnas.entry import run_command
from attnas.results import METRICS, Confirmation, Confirmed, ConfirmedScore, Run
from attnas.search_loop import search

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
    """The documented keys of pareto with the run's own stages and metrics."""
    taken = {name for trial in run.trials for name in trial.metrics}
    with_ends = {name for trial in run.trials for name in trial.intervals}
    found = set(names) - {"STAGE", "METRIC", "METRIC_low", "METRIC_high"}
    found |= set(run.backbone.stage_names) | taken
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
    assert empty == {"accuracy_difference", "accuracy_difference_se", "within_noise"}

    monkeypatch.setattr(Run, "open", lambda *_, **__: with_intervals(run))
    [first, *_] = json.loads(printed("pareto", "one", "--json"))
    assert set(first) == expanded(keys("pareto"), run)
    assert first["accuracy_low"] == 0.1


def test_what_pareto_gives_as_null_is_documented_as_such(printed):
    allowed = {key for key, null in documented("pareto").items() if null != "never"}
    for row in json.loads(printed("pareto", "one", "--json")):
        unknown = {key for key, value in row.items() if value is None}
        assert unknown <= allowed | METRICS.keys()


def test_show_has_the_documented_keys(printed):
    shown = json.loads(printed("show", "one", "1", "--json"))
    assert list(shown) == keys("show")
    assert [list(row) for row in shown["stages"]] == 3 * [keys("show: stages")]
    assert shown["metrics"]
    assert all(list(row) == keys("show: metrics") for row in shown["metrics"])


def test_compare_has_the_documented_keys(printed):
    rows = json.loads(printed("compare", "one", "two", "--json"))
    assert [list(row) for row in rows] == 2 * [keys("compare")]
    assert [list(row["covers"]) for row in rows] == [["two"], ["one"]]


def test_confirm_has_the_documented_keys(printed, monkeypatch):
    def confirmed(number, choice, bits):
        correct = np.packbits(bits).tobytes()
        scores = tuple(ConfirmedScore(seed, float(np.mean(bits)), correct) for seed in (1, 2))
        return Confirmed(number, {"layer1": choice}, scores)

    made = Confirmation(
        plain=confirmed(0, "none", [1, 0, 0, 1]),
        front=(confirmed(3, "eca@post", [1, 1, 0, 1]),),
        winner=3,
        epochs=2,
        images=4,
    )
    monkeypatch.setattr("attnas.confirm.confirm", lambda *_, **__: made)
    summary = json.loads(printed("confirm", "one", "--json"))
    assert list(summary) == keys("confirm")
    assert [list(row) for row in summary["front"]] == [keys("confirm: front")]


def test_train_has_the_documented_keys(tmp_path, capsys, monkeypatch):
    score = SimpleNamespace(accuracy=0.5, loss=1.5)
    monkeypatch.setattr("attnas.full_training.train_exported", lambda *_, **__: score)
    assert run_command(["train", str(tmp_path / "best.yaml")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"test_accuracy": 0.5, "test_loss": 1.5}
    assert list(printed) == keys("train")


@pytest.mark.parametrize("command", ["blocks", "strategies", "devices"])
def test_listings_have_the_documented_keys(command, capsys):
    assert run_command([command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(list(row) == keys(command) for row in rows)
