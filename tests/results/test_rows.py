import json
import math

import numpy as np
import pytest

from attnas.results import nothing_feasible, pareto_rows, show_rows
from attnas.results.details import details_of
from attnas.results.rows import decision_rows, flatten, plain_metrics, recommended
from attnas.search_space import Architecture, build


def test_the_front_comes_best_first_with_what_is_recommended(filled):
    rows = pareto_rows(filled)
    assert [row["trial"] for row in rows] == [1, 0]
    assert [row["best"] for row in rows] == [True, False]
    assert sum(row["knee"] for row in rows) == 1
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_the_keys_of_a_front_row_are_stable(filled):
    first = pareto_rows(filled)[0]
    assert list(first) == [
        *("trial", "layer1", "layer2", "layer3", "epochs", "accuracy"),
        *("latency_ms", "latency_ms_low", "latency_ms_high", "params"),
        *("accuracy_difference", "accuracy_difference_se", "seconds", "seed", "seeds", "started"),
        *("within_noise", "best", "knee", "baseline"),
    ]
    assert first["accuracy_difference"] == pytest.approx(0.1)
    assert first["accuracy_difference_se"] == pytest.approx(math.sqrt(2) / 20)
    assert first["within_noise"] is True
    assert isinstance(first["params"], int)
    assert (first["latency_ms_low"], first["latency_ms_high"]) == (1.9, 3.1)


def test_a_run_without_a_feasible_trial_has_no_rows(run, trial):
    assert pareto_rows(run) == []
    run.append(trial(0, state="failed", reason="diverged: the loss is NaN"))
    assert pareto_rows(run) == []
    assert recommended(run) is None


def test_without_the_plain_backbone_differences_are_null(run, trial, values):
    texts = ["none", "eca@post", "none"]
    architecture = Architecture.read(values["backbone"], values["decisions"], texts)
    run.append(trial(0, architecture=architecture))
    [row] = pareto_rows(run)
    assert row["accuracy_difference"] is None
    assert row["within_noise"] is None


def test_the_parameters_of_the_decisions_are_those_that_the_network_gained(values):
    backbone = values["backbone"]
    texts = ["se:r8@residual", "none", "eca@post"]
    architecture = Architecture.read(backbone, values["decisions"], texts)
    gained = _size(architecture) - _size(Architecture.plain(backbone))
    rows = decision_rows(architecture, details_of(architecture))
    assert sum(row["params"] for row in rows) == gained
    assert [row["decision"] for row in rows] == ["layer1", "layer2", "layer3"]
    assert {row["kind"] for row in rows} == {"attention"}
    assert [row["option"] for row in rows] == texts
    assert [row["plain"] for row in rows] == [False, True, False]
    assert [row["widths"] for row in rows] == [[[4]], [], []]  # 16 / 8 = 2, but at least 4
    assert [len(row["sites"]) for row in rows] == [1, 0, 1]
    modules = dict(build(Architecture.plain(backbone)).named_modules())
    assert all(site in modules for row in rows for site in row["sites"])


def _size(architecture: Architecture) -> int:
    return sum(parameter.numel() for parameter in build(architecture).parameters())


def test_showing_a_trial_compares_each_metric_to_the_plain_backbone(filled):
    rows = show_rows(filled, filled.trials[1])
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    metrics = {row["metric"]: row for row in rows["metrics"]}
    assert metrics["latency_ms"] == {
        "metric": "latency_ms",
        "value": 2.2,
        "low": 1.9,
        "high": 3.1,
        "plain": 2.0,
        "difference": pytest.approx(0.2),
        "ratio": pytest.approx(1.1),
        "standard_error": None,
        "within_noise": None,
    }
    assert metrics["accuracy"]["difference"] == pytest.approx(0.1)
    assert metrics["accuracy"]["standard_error"] == pytest.approx(math.sqrt(2) / 20)
    assert metrics["accuracy"]["within_noise"] is True


def test_showing_an_untrained_trial_says_what_it_broke(filled):
    rows = show_rows(filled, filled.trials[2])
    assert (rows["state"], rows["feasible"]) == ("infeasible", False)
    assert rows["violations"] == {"latency_ms <= 1.15x": 0.125}
    assert [row["metric"] for row in rows["metrics"]] == ["latency_ms"]


def test_accuracy_of_the_plain_backbone_counts_only_after_equal_epochs(filled, trial):
    assert plain_metrics(filled, trial(9, epochs=2)) == {"latency_ms": 2.0, "params": 77000}
    assert plain_metrics(filled, trial(9, epochs=6))["accuracy"] == 0.5


def test_nothing_feasible_is_explained(run, trial):
    assert nothing_feasible(run) == "No trial has finished yet."
    run.append(trial(0, state="failed", reason="diverged: the loss is NaN"))
    assert nothing_feasible(run) == (
        "No trial has succeeded: 1 of 1 failed. The last reason: diverged: the loss is NaN."
    )
    for number, excess in ((1, 0.5), (2, 0.125)):
        broken = {"latency_ms <= 1.15x": excess}
        run.append(trial(number, state="infeasible", violations=broken))
    assert nothing_feasible(run) == (
        "Nothing is feasible: 'latency_ms <= 1.15x' rejected 2 of 3 trials. The nearest, trial 2 "
        f"({run.trials[2].architecture}), misses latency_ms <= 1.15x by 12.5%."
    )


def test_flattening_joins_keys_with_dots():
    assert flatten({"a": {"b": 1, "c": [2, 3]}, "d": None}) == {"a.b": 1, "a.c": [2, 3], "d": None}


def test_numpy_values_become_plain_ones(run, trial, values):
    plain = Architecture.plain(values["backbone"])
    metrics = {"accuracy": np.float64(0.5), "latency_ms": np.float64(2), "params": np.int64(7)}
    run.append(trial(0, architecture=plain, metrics=metrics))
    json.dumps(show_rows(run, run.trials[0]))
    json.dumps(pareto_rows(run))
