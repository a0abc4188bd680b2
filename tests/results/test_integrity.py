"""A run that was changed since it was written: said with the file and what to do."""

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from attnas.core import AttnasError, ChangedError, read, write_checked
from attnas.entry import run_command
from attnas.results import Remeasured, Run, check, pareto_rows, read_confirmation, show_rows

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture
def whole(filled):
    """The folder of a run with trials and a front that was measured again."""
    with filled:
        filled.remeasure({1: Remeasured(2.1, 2.0, 2.2, {})}, {"ms": 2.0})
    return filled.folder


def changed(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def in_store(folder, old, new, *, trial=1, key="trial"):
    with closing(sqlite3.connect(folder / "trials.db")) as connection, connection:
        done = connection.execute(
            "UPDATE trial_user_attributes SET value_json = replace(value_json, ?, ?) WHERE key = ? "
            "AND trial_id = (SELECT trial_id FROM trials WHERE number = ?) AND value_json LIKE ?",
            (old, new, key, trial, f"%{old}%"),
        )
        assert done.rowcount == 1


@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_a_file_is_read_as_it_was_written_however_it_is_laid_out(tmp_path, name):
    content = {"b": [1, 2.5, None, True, "é: #"], "a": {"x": {}, "y": "2026-01-01"}}
    write_checked(tmp_path / name, content)
    assert read(tmp_path / name) == content
    text = (tmp_path / name).read_text()
    if name == "a.json":
        (tmp_path / name).write_text(json.dumps(json.loads(text)))
        assert read(tmp_path / name) == content
    changed(tmp_path / name, "2.5", "2.6")
    with pytest.raises(ChangedError) as caught:
        read(tmp_path / name)
    assert str(caught.value) == (
        f"{tmp_path / name}: was changed since it was written. Restore a copy."
    )
    assert caught.value.content["b"][1] == 2.6


def test_a_whole_run_has_no_differences(whole):
    found = check(whole)
    assert (found.files, found.trials, found.without_checksum) == (4, 5, 0)
    assert found.differences == ()


def test_a_digit_changed_in_the_store_is_told_and_the_others_stay(whole, caplog):
    in_store(whole, '"accuracy": 0.6', '"accuracy": 0.9')
    with caplog.at_level(logging.WARNING, "attnas"), Run.open(whole) as run:
        assert caplog.messages == list(run.changes)
        assert run.changes == [
            f"{whole}/trials.db: trial 1 was changed since written, and left out as failed. "
            f"Restore a copy. `attnas check {whole}` tells more."
        ]
        assert [t.state for t in run.trials] == [
            "complete", "failed", "infeasible", "failed", "complete"
        ]  # fmt: skip
        assert [row["trial"] for row in pareto_rows(run)] == [0]
        assert show_rows(run, run.trials[1])["reason"].startswith("damaged")
        with pytest.raises(AttnasError, match="trial 1 was changed since written"), run.lock():
            pass
    [found] = check(whole).differences
    assert str(found) == f"{whole}/trials.db: trial 1: is not as it was written. Restore a copy."


def test_changed_scores_leave_out_their_difference_alone(whole):
    with Run.open(whole) as before:
        differences = before.differences
    in_store(whole, '"', ' "', key="scores")
    with Run.open(whole) as run:
        assert run.differences.keys() == differences.keys() - {1}
        assert run.trials[1].metrics["accuracy"] == 0.6
    [found] = check(whole).differences
    assert (found.trial, found.what) == (1, "its scores are not as they were written.")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("run.json", '"params": 77000', '"params": 7700'),
        ("front_latency.json", "2.1", "1.1"),
    ],
)
def test_a_changed_file_that_figures_come_from_is_refused(whole, name, old, new):
    changed(whole / name, old, new)
    with pytest.raises(ChangedError) as caught:
        Run.open(whole)
    assert str(caught.value).startswith(f"{whole / name}: was changed since it was written.")
    assert str(whole / name) in [found.file for found in check(whole).differences]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("config.yaml", "seed: 3", "seed: 4"), ("environment.json", "3.11", "3.12")],
)
def test_a_changed_file_beside_the_trials_is_told_and_no_search_goes_on(whole, name, old, new):
    changed(whole / name, old, new)
    with Run.open(whole) as run:
        assert len(pareto_rows(run)) == 2
        assert len(run.changes) == 1
        with pytest.raises(AttnasError, match=name), run.lock():
            pass
    assert [found.file for found in check(whole).differences] == [str(whole / name)]


def test_latencies_of_the_front_that_are_lost_are_told(whole):
    (whole / "front_latency.json").unlink()
    with Run.open(whole) as run:
        [said] = run.changes
        assert said.startswith(f"{whole}/front_latency.json: is missing: latencies are those of")
        assert run.trials[1].metrics["latency_ms"] == 2.2
        with run.lock():  # the search measures them again
            pass
    [found] = check(whole).differences
    assert found.remedy.endswith("run the search again, which measures the front again.")


def test_a_changed_confirmation_is_refused(whole):
    write_checked(whole / "confirm.json", {"version": 2, "winner": 1})
    changed(whole / "confirm.json", '"winner": 1', '"winner": 4')
    with pytest.raises(AttnasError, match=r"was changed .* or run `attnas confirm` again\."):
        read_confirmation(whole / "confirm.json")
    assert [found.file for found in check(whole).differences] == [str(whole / "confirm.json")]


@pytest.mark.parametrize("name", ["run-format-1", "run-format-2"])
def test_runs_of_before_there_were_checksums_are_read_and_gone_on_with(tmp_path, name, trial):
    folder = Path(shutil.copytree(ASSETS / name, tmp_path / name))
    with Run.open(folder) as run:
        assert run.changes == []
        bare = len(run.trials)
        found = check(folder)
        assert found.differences == ()
        assert found.without_checksum >= bare
        last = run.trials[-1]
        run.append(type(last)(bare, run.plain_architecture, epochs=7, state="failed"))
    in_store(folder, '"epochs": 7', '"epochs": 8', trial=bare)
    assert [found.trial for found in check(folder).differences] == [bare]


def test_the_command_lists_what_differs_and_fails(whole, capsys):
    assert run_command(["check", str(whole)]) == 0
    assert capsys.readouterr().err == "Looked at 4 files and 5 trials: all as written.\n"
    in_store(whole, '"accuracy": 0.6', '"accuracy": 0.9')
    changed(whole / "environment.json", "3.11", "3.12")
    assert run_command(["check", str(whole)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"{whole}/environment.json: was changed since it was written. Restore a copy.",
        f"{whole}/trials.db: trial 1: is not as it was written. Restore a copy.",
    ]
    assert said.err.splitlines()[-1] == "Looked at 4 files and 5 trials: 2 differ."
    assert run_command(["check", str(whole), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["trials"] == 5
    assert [entry["trial"] for entry in content["differences"]] == [None, 1]
    assert run_command(["check", str(whole / "nosuch")]) == 2


def test_trials_that_the_file_has_lost_are_told(whole):
    with closing(sqlite3.connect(whole / "trials.db")) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 4")
    with Run.open(whole) as run:
        assert len(run.trials) == 4
        [said] = run.changes
    assert said.startswith(f"{whole}/trials.db: 1 trial is lost from it.")
    assert str(whole / "trials.db") in [found.file for found in check(whole).differences]


def test_a_run_whose_record_is_no_json_is_checked_as_far_as_it_goes(whole):
    (whole / "run.json").write_text("{")
    differences = check(whole).differences
    assert {found.file for found in differences} == {str(whole / "run.json")}


@pytest.mark.parametrize("place", ["trial", "scores"])
def test_a_store_on_a_server_is_checked_alike(tmp_path, values, trial, postgresql, place):
    made = {"config": values["config"], "facts": values["facts"], "environment": {}}
    with Run.create(tmp_path / "one", **made, storage=postgresql.database()) as run:
        for number in range(3):
            run.append(trial(number))
        with run._store._storage.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE trial_user_attributes SET value_json = replace(value_json, '\"', ' \"') "
                f"WHERE key = '{place}'"
            )
    found = check(tmp_path / "one")
    assert found.trials == 3
    assert {difference.trial for difference in found.differences} <= {0, 1, 2}
    assert found.differences
    assert all("***" in difference.file for difference in found.differences)
