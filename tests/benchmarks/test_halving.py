"""The benchmark's quick form runs, and counts as its docstring says."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

from attnas.evaluator import measure_reference
from benchmarks import halving
from benchmarks.record_table import recorded_space, resnet8


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of formulas: the noise of an early rung shrinks with the epochs."""
    path = tmp_path_factory.mktemp("tables") / "rungs.parquet"
    rng, rows = np.random.default_rng(0), []
    for architecture in recorded_space(resnet8()).enumerate():
        score, cost = 0.1 * rng.random(), rng.random()
        for epochs in (1, 3, 9):
            rows.append(
                {
                    **architecture.by_name,
                    "epochs": epochs,
                    "accuracy": 0.5 + score + 0.02 * epochs + 0.05 * rng.random() / epochs,
                    "latency_ms": 1 + cost * (not architecture.is_plain),
                    "params": 1000,
                    "seconds": float(epochs),
                }
            )
    pd.DataFrame(rows).to_parquet(path)
    return path


def test_the_quick_comparison_writes_what_it_prints(table, tmp_path, capsys):
    out = tmp_path / "halving.json"
    halving.main(["--quick", "--tables", str(table), "--out", str(out)])
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())["replayed"]
    assert (result["seeds"], result["trials"]) == (2, 8)
    found = result["tables"]["rungs"]
    assert (found["architectures"], found["rungs"]) == (340, [1, 3, 9])
    assert list(found["searches"]) == [
        "random from 1",
        "random from 3",
        "local from 1",
        "local from 3",
    ]
    for name, rows in found["searches"].items():
        assert all(row["ratio"] == row["halving"] / row["full"] for row in rows)
        assert all(row["full"] <= 72 and row["full"] % 9 == 0 for row in rows)
        assert name in printed
    assert "Kendall's tau between epochs 1 and 9" in printed


def test_a_curve_is_read_at_a_volume_and_at_epochs():
    curve = [(9, 0.5), (18, 0.7), (27, 0.7)]
    assert halving.reached(curve, 0.7) == 18
    assert halving.reached(curve, 0.8) is None
    assert halving.at(curve, 17) == 0.5
    assert halving.at(curve, 4) == 0.0


def test_all_architectures_trained_fully_cover_the_whole_front(table):
    replay = halving.load(table)
    trials = [replay.trial(a, i, epochs, None) for i, (a, epochs) in enumerate(replay.figures)]
    assert replay.volume(trials) == pytest.approx(1)
    assert replay.volume([t for t in trials if t.epochs < 9]) == 0
    shares = np.mean([t.feasible for t in trials])
    assert 0.45 < shares < 0.55


def test_both_kinds_of_search_train_for_real(tmp_path, capsys, monkeypatch):
    module = "attnas.evaluator.screening"  # its latencies do not count here
    monkeypatch.setattr(f"{module}.SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(f"{module}.measure_reference", partial(measure_reference, max_seconds=0.1))
    out = tmp_path / "halving.json"
    arguments = ["--quick", "--source", "digits", "--runs", str(tmp_path), "--out", str(out)]
    halving.main(arguments)
    full, halved = json.loads(out.read_text())["trained"]["trained"]
    assert (full["epochs"], full["fully trained"]) == (9, 3)
    assert halved["epochs"] >= 4
    assert "best accuracy" in capsys.readouterr().out
