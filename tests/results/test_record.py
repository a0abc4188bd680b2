"""Stored runs of every format: read as they were written, shown, and exported."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from rich.console import Console

from attnas.core import Objective, Trial, described
from attnas.results import (
    Run,
    compare,
    export,
    load_export,
    pareto_rows,
    pareto_table,
    read_confirmation,
    report_page,
    show_rows,
    show_table,
    write_export,
)
from attnas.results.frame import pareto_frame
from attnas.search_space import build

ASSETS = Path(__file__).parent / "assets"
MADE = runpy.run_path(str(ASSETS / "make.py"))
STORED = ("run-format-1", "run-format-2", "searched-format-1", "searched-format-2")
SEARCHED = STORED[2:]


@pytest.fixture
def stored(tmp_path):
    """A copy of a stored run, opened."""
    opened = []

    def stored(name):
        folder = tmp_path / name
        if not folder.exists():
            shutil.copytree(ASSETS / name, folder)
        opened.append(Run.open(folder))
        return opened[-1]

    yield stored
    for run in opened:
        run.close()


def printed(table) -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


@pytest.mark.parametrize("number", [1, 2])
def test_a_run_of_every_format_is_read_as_it_was_written_and_appended_to(stored, number):
    run = stored(f"run-format-{number}")
    expected = tuple(MADE[f"trials_{number}"]())
    assert run.trials == expected
    assert run.config == MADE[f"CONFIG_{number}"]
    run.append(Trial(len(expected), run.plain_architecture, epochs=7, state="failed"))
    with Run.open(run.folder) as again:
        assert again.trials == run.trials
        assert again.checkpoints.parent == run.folder


def test_the_facts_of_format_2_are_given_as_they_are(stored):
    run = stored("run-format-2")
    assert run.facts == MADE["FACTS_2"]
    assert run.decisions == MADE["DECISIONS_2"]
    assert run.objectives == (Objective("r2", "max"), Objective("energy_mj", "min"))
    assert (run.scored, run.main_objective) == ("r2", Objective("r2", "max"))
    assert described("energy_mj").heading == "energy (mJ)"
    assert run.best().number == 0


def test_the_facts_of_format_1_are_given_in_the_form_of_format_2(stored):
    then, now = MADE["FACTS_1"], stored("run-format-1").facts
    kept = {key: value for key, value in now.items() if key in then and key != "backbone"}
    assert kept == {key: value for key, value in then.items() if key != "backbone"}
    assert now["backbone"] == MADE["BACKBONE_1"].to_dict()
    assert now["decisions"] == [
        {"kind": "attention", "stage": stage} for stage in ("layer1", "layer2", "layer3")
    ]
    assert now["task"] == {"name": "classification"}
    assert now["scored"] == "accuracy"
    assert now["box"]["accuracy"] == [0.1, 1.0]
    assert now["box"]["validation_loss"] == [pytest.approx(2.302585), 0.0]
    assert stored("run-format-1").best().number == 0


def test_the_label_smoothing_of_format_1_is_the_tasks(stored):
    facts = stored("searched-format-1").facts
    assert facts["task"] == {"name": "classification", "label_smoothing": 0.1}
    assert "label_smoothing" not in facts["recipe"]


@pytest.mark.parametrize("name", STORED)
def test_a_stored_run_is_shown(stored, name):
    run = stored(name)
    rows = pareto_rows(run)
    assert [row["trial"] for row in rows if row["best"]] == [run.best().number]
    table = printed(pareto_table(run))
    for decision in run.decisions:
        assert decision.name in table
    for trial in run.trials:
        shown = show_rows(run, trial)
        assert {row["decision"]: row["option"] for row in shown["decisions"]} == (
            trial.architecture.by_name
        )
        assert json.loads(json.dumps(shown, allow_nan=False)) == shown
        assert f"Trial {trial.number} of {name}" in printed(show_table(run, trial))
    frame = run.frame()
    assert frame["state"].tolist() == [trial.state for trial in run.trials]
    for decision in run.decisions:
        expected = [trial.architecture.by_name[decision.name] for trial in run.trials]
        assert frame[decision.name].tolist() == expected
    assert len(pareto_frame(run)) == len(rows)
    page = report_page(run, read_confirmation(run.folder / "confirm.json"))
    assert f"Made by attnas from {len(run.trials)} trials of {name}." in page
    volumes = run.hypervolumes()
    assert len(volumes) == len(run.trials)
    assert volumes[-1] == pytest.approx(run.hypervolume())
    assert 0 <= volumes[-1] <= 1


def test_the_front_of_a_searched_run_of_format_1_is_what_it_was(stored):
    run = stored("searched-format-1")
    [best, plain] = pareto_rows(run)
    assert (best["trial"], best["best"], plain["knee"]) == (5, True, True)
    assert best["accuracy"] == 0.73
    assert best["latency_ms"] == pytest.approx(0.3359, abs=1e-4)  # as measured again
    assert best["accuracy_difference"] == pytest.approx(0.01)
    assert best["accuracy_difference_se"] == pytest.approx(0.0235, abs=1e-4)
    assert [t.schedule_epochs for t in run.trials] == [2, 2, None, 2, 2, None, 2]
    assert {t.scores.items for t in run.trials} == {200}
    assert {t.scores.metric for t in run.trials} == {"accuracy"}
    assert all(t.scores.mean == t.metrics["accuracy"] for t in run.trials)


def test_the_confirmation_of_a_searched_run_of_format_1_says_what_it_said(stored):
    confirmation = read_confirmation(stored("searched-format-1").folder / "confirm.json")
    assert confirmation.verdict() == (
        "Trial 5 (layer1=none layer2=sse@residual layer3=none) is 1.25 points above the plain "
        "backbone (95 % interval -4.05 to 6.55, 2 seeds, 200 test items): within noise; about 4 "
        "seeds would be needed to tell."
    )
    assert confirmation.plain.value == pytest.approx(0.8175)
    assert confirmation.front[0].value == pytest.approx(0.83)
    assert confirmation.seeds == (6, 7)


def test_the_confirmation_of_a_searched_run_of_format_2_says_what_it_said(stored):
    run = stored("searched-format-2")
    confirmation = read_confirmation(run.folder / "confirm.json")
    assert confirmation.winner == run.best().number == 10
    assert (
        "is 6.00 points above the plain backbone (95 % interval -163.64 to 175.64, 2 seeds, "
        in (confirmation.verdict())
    )


@pytest.mark.parametrize("name", SEARCHED)
def test_a_stored_export_builds_the_network_that_its_run_builds(stored, name, tmp_path):
    run = stored(name)
    architecture, content = load_export(run.folder / "best.yaml")
    best = run.best()
    assert content["provenance"]["trial"] == best.number
    assert architecture == best.architecture
    write_export(run, None, tmp_path / "again.json")
    again, _ = load_export(tmp_path / "again.json")
    assert again == architecture
    networks = [build(found, seed=3).eval() for found in (architecture, again)]
    images = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    first, second = (network(images) for network in networks)
    assert torch.equal(first, second)
    counted = sum(parameter.numel() for parameter in networks[0].parameters())
    assert counted == content["metrics"]["params"]["value"]


def test_what_is_exported_of_a_run_of_format_1_is_of_this_version(stored):
    run = stored("searched-format-1")
    found = export(run)
    old = yaml.safe_load((run.folder / "best.yaml").read_text())
    assert (old["version"], found["version"]) == (1, 2)
    assert found["architecture"] == old["choices"]
    assert found["task"] == {"name": "classification", "label_smoothing": 0.1}
    for part in ("metrics", "constraints", "data", "device", "widths", "identity_start"):
        assert found[part] == old[part]
    assert {**found["recipe"], "label_smoothing": 0.1, "time_limit_s": None} == old["recipe"]


def test_runs_of_both_formats_are_compared_by_what_they_share(stored, tmp_path):
    old = stored("searched-format-1")
    config = {**old.config, "name": "new"}
    with Run.create(
        tmp_path / "new", config=config, facts=old.facts, environment=old.environment
    ) as new:
        for trial in old.recorded:
            new.append(trial)
        assert json.loads((tmp_path / "new" / "run.json").read_text())["format"] == 2
        found = compare([old, new])
    assert found.warnings == ()
    assert [side.best.number for side in found.sides] == [5, 5]


def test_a_table_of_a_run_of_format_1_can_be_replayed(stored, tmp_path):
    frame = stored("searched-format-1").frame()
    frame.to_csv(tmp_path / "table.csv", index=False)
    kept = pd.read_csv(tmp_path / "table.csv", keep_default_na=False, na_values=[""])
    assert kept.columns.tolist() == frame.columns.tolist()
    assert kept["layer2"].tolist() == frame["layer2"].tolist()


def test_the_page_of_a_run_of_format_1_names_the_task_and_no_choices(stored):
    text = re.sub(r"<script>.*?</script>", "", report_page(stored("searched-format-1")), flags=re.S)
    assert "label_smoothing" in text
    assert "choices" not in text
