import errno
import json
import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import pytest

from attnas.core import AttnasError, InputError
from attnas.results import Run, config_difference
from attnas.search_space import Architecture


def message(kind, call, *arguments, **options):
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def test_a_run_opens_as_it_was_made_and_appended_to(folder, run, trial, values):
    for number in range(3):
        run.append(trial(number))
    with Run.open(folder) as opened:
        assert list(opened.trials) == list(run.trials) == [trial(n) for n in range(3)]
        assert opened.config == values["config"]
        assert opened.facts == values["facts"]
        assert opened.environment == {"python": "3.11"}
        assert opened.backbone == values["backbone"]
        assert [(o.metric, o.direction) for o in opened.objectives] == [
            ("accuracy", "max"),
            ("latency_ms", "min"),
        ]
        assert opened.checkpoints == folder / "checkpoints"
        assert opened.checkpoints.is_dir()
        assert repr(opened).startswith(f"Run small: 3 trials in {folder}\n")


def test_a_run_opens_by_name_or_folder(folder):
    Run.open("small", runs=folder.parent).close()
    Run.open(folder, runs="elsewhere").close()


def test_a_folder_with_odd_characters_holds_a_run(tmp_path, values, trial):
    folder = tmp_path / "50 % {of}?a=b&c #1"
    facts = {**values["facts"], "options": {s: ["eca@post"] for s in values["options"]}}
    plain = Architecture.plain(values["backbone"])
    with Run.create(folder, config={}, facts=facts, environment={}) as run:
        run.append(trial(0, architecture=plain))
    with Run.open(folder) as run:
        assert run.trials == (trial(0, architecture=plain),)
        assert run.facts["options"] == {s: ["none", "eca@post"] for s in values["options"]}
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_trials_can_be_in_a_database_by_url(tmp_path, values, trial, monkeypatch):
    monkeypatch.setenv("PLACE", str(tmp_path))
    made = {
        "config": values["config"],
        "facts": values["facts"],
        "environment": {},
        "storage": "sqlite:///$PLACE/shared.db",
    }
    with Run.create(tmp_path / "a" / "one", **made) as run:
        run.append(trial(0))
    with Run.create(tmp_path / "two", **made) as run:
        assert run.trials == ()
    with Run.open(tmp_path / "a" / "one") as run:
        assert run.trials == (trial(0),)
    assert not (tmp_path / "two" / "trials.db").exists()
    assert message(InputError, Run.create, tmp_path / "b" / "one", **made) == (
        f"storage: sqlite:///{tmp_path}/shared.db already has a study 'one' with trials. "
        "Give the run another name."
    )


def test_a_trial_gets_the_next_number_and_no_other(run, trial):
    assert message(ValueError, run.append, trial(1)) == "trial 1 cannot follow 0 trials"
    run.append(trial(0))
    assert message(ValueError, run.append, trial(0)) == "trial 0 cannot follow 1 trials"
    assert run.trials == (trial(0),)


def test_what_another_process_appended_is_taken_in_before_appending(folder, run, trial):
    with Run.open(folder) as other:
        other.append(trial(0))
    assert run.trials == ()
    with run.lock():
        assert run.trials == (trial(0),)
        run.append(trial(1))
    with Run.open(folder) as reader:
        assert reader.trials == (trial(0), trial(1))


@contextmanager
def child(work):
    """A process that does `work(send)`, killed at the end; yields its id and its pipe."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            work(lambda byte: os.write(writing, byte))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        try:
            yield process, pipe
        finally:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def test_kill_9_at_any_moment_loses_no_trial_that_was_appended(folder, trial):
    def append_for_ever(send):
        with Run.open(folder) as run, run.lock():
            while True:
                run.append(trial(len(run.trials)))
                send(b".")

    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(8):
        with child(append_for_ever) as (process, pipe):
            acknowledged = len(pipe.read(1))
            time.sleep(rng.uniform(0, 0.06))
            os.kill(process, signal.SIGKILL)
            acknowledged += len(pipe.read())
        with Run.open(folder) as run:
            assert run.trials == tuple(trial(n) for n in range(len(run.trials)))
            assert kept + acknowledged <= len(run.trials) <= kept + acknowledged + 1
            kept = len(run.trials)
    assert kept >= 8


def test_kill_9_while_a_run_is_made_leaves_none_or_a_whole_one(tmp_path, values, trial):
    made = {"config": values["config"], "facts": values["facts"], "environment": {}}

    def create(send):
        send(b".")
        Run.create(tmp_path / "new", **made).close()

    rng = np.random.default_rng(1)
    for attempt in range(4):
        folder = tmp_path / "new"
        with child(create) as (_, pipe):
            pipe.read(1)
            time.sleep(rng.uniform(0, 0.15))
        run = Run.open(folder) if Run.exists(folder) else Run.create(folder, **made)
        with run:
            run.append(trial(0))
            assert run.trials == (trial(0),)
        folder.rename(tmp_path / f"done{attempt}")


def test_two_searches_on_one_run_are_refused_and_a_killed_one_frees_it(folder, run, trial):
    def hold(send):
        with Run.open(folder) as own, own.lock():
            send(b".")
            time.sleep(60)

    host = os.uname().nodename
    with child(hold) as (process, pipe):
        pipe.read(1)
        said = message(AttnasError, run.append, trial(0))
        with Run.open(folder) as reader:  # reading needs no lock
            assert reader.trials == ()
    assert said == (
        f"{folder}: another search works on this run (process {process} on {host}). "
        "Wait for it or stop it, or give the run another name."
    )
    run.append(trial(0))


def test_a_second_search_of_the_same_process_is_refused(folder, run, trial):
    with run.lock(), Run.open(folder) as other:
        assert "another search works on this run" in message(AttnasError, other.append, trial(0))
        run.append(trial(0))
    with Run.open(folder) as other:
        other.append(trial(1))


def test_an_error_of_the_search_passes_the_lock_unchanged(run):
    def search():
        with run.lock():
            raise FileNotFoundError("an image")

    assert message(FileNotFoundError, search) == "an image"


def test_a_folder_that_holds_a_run_is_not_made_anew(folder, values):
    assert (
        message(InputError, Run.create, folder, config={}, facts=values["facts"], environment={})
        == f"{folder}: there is a run in this folder already."
    )


def test_there_is_no_such_run(folder, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    assert message(InputError, Run.open, "smal") == (
        "there is no run 'smal'. Did you mean 'small'?"
    )
    assert message(InputError, Run.open, "x") == "there is no run 'x'. Runs in runs: small."
    assert message(InputError, Run.open, "x", runs="no") == (
        "there is no run 'x'. There is no run in no."
    )


def test_a_folder_without_a_run_says_so(tmp_path):
    assert message(InputError, Run.open, tmp_path) == (
        f"{tmp_path}: is not a run: it has no run.json."
    )


def test_a_run_of_another_format_is_refused(folder):
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"format": 3}))
    assert message(InputError, Run.open, folder) == (
        f"{folder}/run.json: format: the run has format 3, this attnas reads formats up to 2. "
        "Use the attnas that made it, or start a run of another name."
    )


@pytest.mark.parametrize("name", ["config.yaml", "environment.json", "trials.db"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    what = "the file with the trials" if name == "trials.db" else "this file of the run"
    end = "Restore a copy of it." if name == "trials.db" else "Restore a copy."
    assert message(AttnasError, Run.open, folder) == f"{folder}/{name}: {what} is missing. {end}"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.json", "{", "Expecting property name enclosed in double quotes"),
        ("run.json", "[1]", "it is no mapping. Restore a copy."),
        ("environment.json", "", "Expecting value"),
        ("config.yaml", "a: [", "while parsing a flow node"),
    ],
)
def test_a_damaged_file_is_named(folder, name, content, said):
    (folder / name).write_text(content)
    found = message(AttnasError, Run.open, folder)
    assert found.startswith(f"{folder}/{name}: the file is damaged: {said}")
    assert found.endswith("Restore a copy.")


def test_a_missing_entry_is_named(folder):
    (folder / "run.json").write_text('{"format": 1, "storage": null, "study": "small"}')
    assert message(AttnasError, Run.open, folder) == (
        f"{folder}/run.json: the entry 'facts' is missing."
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_run_that_cannot_be_written_says_why(tmp_path, values, monkeypatch, number):
    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", fail)
    folder = tmp_path / "new"
    assert message(
        AttnasError, Run.create, folder, config={}, facts=values["facts"], environment={}
    ) == (
        f"{folder}/config.yaml: cannot be written: {os.strerror(number)}. "
        "Correct that or choose another folder; what was finished is kept."
    )
    assert not Run.exists(folder)
    assert [path.name for path in folder.glob(".*")] == []


def test_a_folder_that_cannot_be_made_says_why(tmp_path, values):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "new"
    assert message(
        AttnasError, Run.create, folder, config={}, facts=values["facts"], environment={}
    ) == (
        f"{folder}/checkpoints: cannot be written: Not a directory. "
        "Correct that or choose another folder; what was finished is kept."
    )


def test_config_difference_names_the_keys_that_make_another_run(run, values):
    config = values["config"]
    assert config_difference(run.config, config) == {}
    assert config_difference(config, {**config, "budget": {"hours": 1}, "name": "other"}) == {}
    assert config_difference(config, {**config, "engine": "ray", "evaluator": None}) == {}
    moved = {**config, "data": {"path": "elsewhere"}}
    assert config_difference({**config, "data": {"path": "there"}}, moved) == {}
    other = {
        **config,
        "seed": 4,
        "constraints": {"latency_ms": "<= 1.2x", "params": "<= 9"},
        "data": {"source": "npz"},
    }
    assert config_difference(config, other) == {
        "constraints.latency_ms": ("<= 1.15x", "<= 1.2x"),
        "constraints.params": (None, "<= 9"),
        "data.source": (None, "npz"),
        "seed": (3, 4),
    }


def test_the_plain_trial_is_the_complete_one_with_the_most_epochs(run, trial, values):
    plain = Architecture.plain(values["backbone"])
    assert run.plain is None
    run.append(trial(0, architecture=plain, state="failed"))
    run.append(trial(1, architecture=plain, epochs=2))
    run.append(trial(2, architecture=plain, epochs=6))
    run.append(trial(3, architecture=plain, epochs=6))
    assert run.plain == trial(2, architecture=plain)


def test_front_knee_and_hypervolume_of_a_run(filled):
    assert [t.number for t in filled.front()] == [0, 1]
    assert filled.knee().number == 0  # both are extremes: the first
    # of the box from (accuracy 0.1, 4 ms) to (1, 0 ms): two steps of a stair
    area = (0.5 - 0.1) * (4 - 2.0) + (0.6 - 0.5) * (4 - 2.2)
    assert filled.hypervolume() == pytest.approx(area / (0.9 * 4))
    first = (0.5 - 0.1) * (4 - 2.0) / (0.9 * 4)
    whole = filled.hypervolume()
    np.testing.assert_allclose(filled.hypervolumes(), [first, whole, whole, whole, whole])


def test_a_run_without_a_feasible_trial_has_no_front(run, trial):
    run.append(trial(0, state="failed"))
    assert (run.front(), run.knee(), run.hypervolume()) == ([], None, 0.0)
    assert run.hypervolumes().tolist() == [0.0]
    assert message(AttnasError, run.best) == (
        f"{run.folder}: No trial has succeeded: 1 of 1 failed. The last reason: ."
    )


def test_the_hypervolume_takes_a_cost_unknown_of_the_plain_backbone_from_the_first_trial(
    folder, trial
):
    record = json.loads((folder / "run.json").read_text())
    record["facts"]["plain"]["metrics"] = {}
    del record["checksum"]
    (folder / "run.json").write_text(json.dumps(record))
    with Run.open(folder) as run:
        run.append(trial(0, metrics={"accuracy": 0.55, "latency_ms": 3.0}))
        assert run.hypervolume() == pytest.approx(0.25)


def test_best_within_bounds(filled):
    assert filled.best().number == 1
    assert filled.best(max={"latency_ms": 2.1}).number == 0
    assert message(AttnasError, filled.best, max={"latency_ms": 1.5}, min={"accuracy": 0.3}) == (
        f"{filled.folder}: no feasible trial has latency_ms <= 1.5 and accuracy >= 0.3. "
        "The nearest is trial 0 with latency_ms 2, accuracy 0.5."
    )


def test_best_of_a_run_without_accuracy_goes_by_the_first_objective(folder, trial):
    record = json.loads((folder / "run.json").read_text())
    record["facts"]["objectives"] = {"latency_ms": "min", "params": "min"}
    del record["checksum"]
    (folder / "run.json").write_text(json.dumps(record))
    with Run.open(folder) as run:
        run.append(trial(0, metrics={"latency_ms": 3.0, "params": 1}))
        run.append(trial(1, metrics={"latency_ms": 2.0, "params": 2}))
        assert run.best().number == 1
