import math

import numpy as np
import pandas as pd
import pytest

from attnas.results import Run
from attnas.results.frame import pareto_frame
from attnas.search_space import Architecture


def test_one_row_a_trial_with_its_figures(filled):
    table = filled.frame()
    assert table.columns.tolist() == [
        "trial", "state", "layer1", "layer2", "layer3", "epochs", "accuracy", "latency_ms",
        "latency_ms_low", "latency_ms_high", "params", "accuracy_difference",
        "accuracy_difference_se", "violations", "feasible", "on_front", "reason", "seconds",
        "seed", "seeds", "started",
    ]  # fmt: skip
    assert table["trial"].tolist() == [0, 1, 2, 3, 4]
    states = ["complete", "complete", "infeasible", "failed", "complete"]
    assert table["state"].tolist() == states
    for trial in filled.trials:
        row = table.iloc[trial.number]
        for name, option in trial.architecture.by_name.items():
            assert row[name] == option
        assert row["latency_ms"] == trial.metrics["latency_ms"]
        assert (row["latency_ms_low"], row["latency_ms_high"]) == (1.9, 3.1)
        assert (row["epochs"], row["seconds"], row["seed"]) == (6, 2.5, 3)
        assert row["started"] == "2026-01-31T10:00:00+00:00"
    np.testing.assert_array_equal(table["accuracy"], [0.5, 0.6, math.nan, math.nan, 0.4])
    assert table["feasible"].tolist() == [True, True, False, False, True]
    assert table["on_front"].tolist() == [True, True, False, False, False]
    assert table["violations"].tolist() == ["", "", "latency_ms <= 1.15x by 12.5%", "", ""]
    assert table["reason"].tolist() == ["", "", "", "the loss is NaN", ""]


def test_the_difference_to_the_plain_backbone_is_paired_over_the_items(filled):
    table = filled.frame()
    # trial 1 gets 2 of 20 items right that the plain backbone gets wrong, and none wrong
    assert table["accuracy_difference"][1] == pytest.approx(2 / 20)
    assert table["accuracy_difference_se"][1] == pytest.approx(math.sqrt(2) / 20)
    assert table["accuracy_difference"][0] == 0
    assert table["accuracy_difference"][[2, 3]].isna().all()


def test_no_difference_is_given_to_a_plain_backbone_with_other_epochs(run, trial, values):
    run.append(trial(0, architecture=Architecture.plain(values["backbone"]), epochs=2))
    run.append(trial(1))
    assert run.frame()["accuracy_difference"].isna().tolist() == [False, True]


def test_the_frame_of_an_empty_run_has_its_columns(run):
    table = run.frame()
    assert len(table) == 0
    assert {"trial", "layer1", "accuracy", "latency_ms", "on_front"} < set(table.columns)
    assert table["accuracy"].dtype == np.float64


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_saved_frame_holds_what_a_table_of_results_needs(filled: Run, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    table = filled.frame()
    if suffix == ".csv":
        table.to_csv(path, index=False)
        saved = pd.read_csv(path, keep_default_na=False, na_values=[""])
    else:
        table.to_parquet(path)
        saved = pd.read_parquet(path)
    complete = saved[saved["state"] == "complete"]
    trials = [trial for trial in filled.trials if trial.state == "complete"]
    for (_, row), trial in zip(complete.iterrows(), trials, strict=True):
        options = {decision.name: row[decision.name] for decision in filled.decisions}
        found = Architecture.read(filled.backbone, filled.decisions, options)
        assert found == trial.architecture
        assert {name: row[name] for name in trial.metrics} == trial.metrics
        assert (row["epochs"], row["seconds"]) == (trial.epochs, trial.seconds)


def test_an_empty_front_has_the_columns_of_a_full_one(run, trial):
    run.append(trial(0, state="failed"))
    empty = pareto_frame(run)
    run.append(trial(1))
    full = pareto_frame(run)
    assert (len(empty), len(full)) == (0, 1)
    assert list(empty) == list(full)
