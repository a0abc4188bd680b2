import json
import os
import shutil
import sqlite3
import string
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import numpy as np
import optuna
import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna.trial import TrialState

from attnas.core import AttnasError, InputError, ItemScores, Objective, Trial
from attnas.results import Run
from attnas.results.database import shown
from attnas.results.storage import TrialStore
from attnas.results.trial_record import attributes, decode, encode
from attnas.search_space import (
    Architecture,
    Argument,
    AttentionOption,
    Backbone,
    Depth,
    stage_decisions,
)

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
STAGES = stage_decisions(BACKBONE)
DECISIONS = (*STAGES, Argument("depth"), Depth("layer1"))

names = st.text(string.ascii_lowercase + "_ <=.%é", min_size=1, max_size=8)
numbers = st.floats() | st.integers(0, 2**53)
options = st.builds(
    AttentionOption,
    st.sampled_from(["se", "eca", "scse"]),
    st.none() | st.integers(1, 64),
    st.sampled_from(["pre", "residual"]),
) | st.just(AttentionOption("none"))
attention = options.map(str)
depths = st.integers(1, 99).map(str)
scores = st.builds(
    ItemScores.of,
    st.sampled_from(["accuracy", "r2"]),
    arrays(bool, st.integers(1, 40)) | arrays("float32", st.integers(1, 40)),
)
trials = st.builds(
    Trial,
    number=st.integers(0, 10**6),
    architecture=st.builds(
        Architecture,
        st.just(BACKBONE),
        st.just(DECISIONS),
        st.tuples(attention, attention, attention, depths, depths),
        st.booleans(),
    ),
    epochs=st.integers(1, 1000),
    state=st.sampled_from(["complete", "infeasible", "failed"]),
    metrics=st.dictionaries(names, numbers, max_size=4),
    intervals=st.dictionaries(names, st.tuples(st.floats(), st.floats()), max_size=3),
    violations=st.dictionaries(names, st.floats(0), max_size=3),
    reason=st.text(max_size=20),
    seconds=st.floats(),
    seed=st.integers(0, 2**63),
    started=st.datetimes(datetime(2000, 1, 1)).map(lambda moment: moment.isoformat() + "+00:00"),
    scores=st.none() | scores,
    schedule_epochs=st.none() | st.integers(1, 1000),
    half_size=st.booleans(),
    uncounted=st.lists(names, max_size=3).map(tuple),
)


@given(trials)
def test_a_trial_comes_back_from_strict_json_as_it_was(trial):
    text = json.dumps(encode(trial), allow_nan=False)
    found = decode(trial.number, json.loads(text), BACKBONE, DECISIONS)
    assert repr(found) == repr(trial)  # NaN is not equal to itself, but reads the same


def test_numpy_numbers_are_stored_as_what_they_mean(trial):
    measured = {"accuracy": np.float32(0.5), "params": np.int64(7), "flops": np.float64("inf")}
    text = json.dumps(encode(trial(0, metrics=measured)), allow_nan=False)
    metrics = decode(0, json.loads(text), BACKBONE, STAGES).metrics
    assert metrics == {"accuracy": 0.5, "params": 7, "flops": float("inf")}
    assert [type(value) for value in metrics.values()] == [float, int, float]


@pytest.fixture
def file(folder):
    return folder / "trials.db"


@pytest.fixture
def append(values):
    """Appends to a store as a run does."""

    def append(store, trial):
        store.append(trial, values["options"], OBJECTIVES, ["latency_ms <= 1.15x", "params <= 9"])

    return append


@settings(max_examples=8)
@given(stored=st.lists(trials, min_size=1, max_size=2))
def test_a_store_gives_back_what_was_appended(template, tmp_path_factory, values, stored):
    file = tmp_path_factory.mktemp("store") / "trials.db"
    shutil.copy(template / "trials.db", file)
    with closing(TrialStore(file, "small")) as store:
        for number, trial in enumerate(stored):
            numbered = replace(trial, number=number)
            store.append(numbered, values["options"], OBJECTIVES, ["latency_ms <= 1.15x"])
        found = store.load(BACKBONE, DECISIONS)
        assert store.count() == len(stored)
        assert [trial.scores for trial in found] == [trial.scores for trial in stored]
        assert list(store.examined()) == [(n, "", True) for n in range(len(stored))]
        assert store.changed == set()
    written = [decode(n, encode(trial), BACKBONE, DECISIONS) for n, trial in enumerate(stored)]
    assert list(map(repr, found)) == list(map(repr, written))


def test_optuna_sees_params_values_states_and_constraints(file, append, trial, values):
    broken = {"latency_ms <= 1.15x": 0.25}
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        append(store, trial(1, state="infeasible", violations=broken))
        append(store, trial(2, state="failed", reason="out of memory"))
        append(store, trial(3, metrics={"accuracy": float("nan"), "latency_ms": 2.0}))
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{file}")
    complete, infeasible, failed, unknown = study.get_trials()
    states = [t.state for t in study.get_trials()]
    pruned = TrialState.PRUNED
    assert states == [TrialState.COMPLETE, pruned, TrialState.FAIL, pruned]
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "latency_ms"]
    expected = trial(0)
    assert complete.params == expected.architecture.by_name
    assert {tuple(d.choices) for d in complete.distributions.values()} == {
        tuple(texts) for texts in values["options"].values()
    }
    assert complete.values == [expected.metrics["accuracy"], expected.metrics["latency_ms"]]
    assert complete.system_attrs["constraints"] == [0.0, 0.0]
    assert infeasible.system_attrs["constraints"] == [0.25, 0.0]
    assert failed.user_attrs["trial"]["reason"] == "out of memory"
    assert unknown.values is None
    assert [t.number for t in study.best_trials] == [0]


def test_an_option_outside_the_space_is_stored_without_a_param(file, append, trial):
    outside = Architecture.read(
        BACKBONE, STAGES, {"layer1": "cbam:r4@pre", "layer2": "none", "layer3": "none"}
    )
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0, architecture=outside))
        assert store.load(BACKBONE, STAGES)[0].architecture == outside
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{file}")
    assert set(study.trials[0].params) == {"layer2", "layer3"}


def test_the_file_is_in_wal_mode(file):
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_study_with_trials_is_not_taken_over(file, append, trial):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
    with pytest.raises(InputError) as caught:
        TrialStore.create(file, "small", OBJECTIVES)
    assert str(caught.value) == (
        f"storage: {file} already has a study 'small' with trials. Give the run another name."
    )


def damaged(file):
    content = bytearray(file.read_bytes())
    content[100:] = os.urandom(len(content) - 100)
    file.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda file: file.write_bytes(b"not a database at all, by no means" * 100),
            "is no database, or a damaged one. Restore a copy of it, or start a run of another "
            "name.",
        ),
        (
            lambda file: file.write_bytes(b""),
            "the database has lost its tables. Restore a copy of it, or start a run of another "
            "name.",
        ),
        (
            damaged,
            "the database is damaged. Restore a copy of it, or start a run of another name.",
        ),
        (
            lambda file: file.unlink(),
            "cannot be opened. Check that the folder is there and can be written.",
        ),
    ],
)
def test_a_database_that_is_none_any_more_says_so(file, damage, said):
    damage(file)
    with pytest.raises(AttnasError) as caught:
        TrialStore(file, "small").load(BACKBONE, STAGES)
    assert str(caught.value) == f"{file}: {said}"


def test_a_schema_that_is_no_text_any_more_is_a_damaged_database(file):
    content = file.read_bytes()
    assert b"CREATE TABLE trials" in content
    file.write_bytes(content.replace(b"CREATE TABLE trials", b"CREATE TABLE \xa8\xff\xa8"))
    with pytest.raises(AttnasError, match="the database is damaged"):
        TrialStore(file, "small").load(BACKBONE, STAGES)


def test_a_database_without_the_study_says_so(file):
    with pytest.raises(AttnasError) as caught:
        TrialStore(file, "other")
    assert str(caught.value) == f"{file}: the trials of this run (study 'other') are not in it."


def test_a_trial_that_attnas_did_not_write_is_named(file):
    study = optuna.load_study(study_name="small", storage=f"sqlite:///{file}")
    study.add_trial(optuna.create_trial(values=[0.5, 1.0]))
    with closing(TrialStore(file, "small")) as store, pytest.raises(AttnasError) as caught:
        store.load(BACKBONE, STAGES)
    assert str(caught.value) == (
        f"{file}: trial 0 of the study 'small' was not written by attnas. "
        "Remove it with Optuna, or restore a copy."
    )


def rewritten(file, change, *, key="trial"):
    """Changes the text of all trials by SQL."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            f"UPDATE trial_user_attributes SET value_json = {change} WHERE key = ?", (key,)
        )


@pytest.mark.parametrize(
    "change",
    [
        "replace(value_json, 'epochs', 'e')",
        "replace(value_json, '\"epochs\": 6', '\"epochs\": 7')",
        "'no JSON'",
        "'[]'",
        "x'ff00'",
        "7",
    ],
)
def test_a_changed_trial_stands_as_failed_and_the_others_as_they_were(file, append, trial, change):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        rewritten(file, change)
        append(store, trial(1))
        first, second = store.load(BACKBONE, STAGES)
        assert store.changed == {0}
        assert (first.state, first.metrics, first.scores) == ("failed", {}, None)
        assert second == trial(1)
        assert [n for n, what, _ in store.examined() if what] == [0]


def test_a_trial_without_its_checksum_was_changed(file, append, trial):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM trial_user_attributes WHERE key = 'checksum'")
    with closing(TrialStore(file, "small")) as store:
        store.load(BACKBONE, STAGES)
        assert store.changed == {0}


def test_trials_that_changed_places_are_no_longer_what_was_written(file, append, trial):
    with closing(TrialStore(file, "small")) as store:
        for number in range(3):
            append(store, trial(number))
        with closing(sqlite3.connect(file)) as connection, connection:
            for before, after in ((1, 99), (2, 1), (99, 2)):
                connection.execute(f"UPDATE trials SET number = {after} WHERE number = {before}")
        store.load(BACKBONE, STAGES)
        assert store.changed == {1, 2}


@pytest.mark.parametrize("key", ["scores", "details"])
def test_changed_scores_and_details_are_named_and_not_used(file, append, trial, key):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        told = store.details(trial(0))
        rewritten(file, "replace(value_json, 'A', 'B') || ' '", key=key)
        [found] = store.load(BACKBONE, STAGES)
        assert found.metrics == trial(0).metrics
        assert list(store.examined()) == [(0, f"its {key} are not as they were written.", True)]
        assert store.details(found) == told  # from the network itself
        if key == "scores":
            with pytest.raises(AttnasError, match="the scores of trial 0 were changed"):
                found.scores.content  # noqa: B018


def test_scores_are_read_when_they_are_looked_at(file, append, trial, monkeypatch):
    with closing(TrialStore(file, "small")) as store:
        for number in range(3):
            append(store, trial(number))
        read = []
        monkeypatch.setattr(
            type(store.stored), "scores", lambda self, number: read.append(number) or attributes(
                trial(number))["scores"]
        )  # fmt: skip
        found = store.load(BACKBONE, STAGES)
        assert read == []
        assert found[2].scores == trial(2).scores
        assert read == [2]


@pytest.fixture
def impatient(monkeypatch):
    """Does not wait for locks, nor between Optuna's tries."""
    monkeypatch.setattr("attnas.results.database.BUSY_SECONDS", 0.0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_says_so_and_keeps_what_it_has(file, append, trial):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(AttnasError) as caught:
                append(store, trial(1))
            assert store.load(BACKBONE, STAGES) == [trial(0)]
        append(store, trial(1))
        assert store.load(BACKBONE, STAGES) == [trial(0), trial(1)]
    assert str(caught.value) == (
        f"{file}: the database is locked by another program. Close that and run the command "
        "again; all finished trials are kept."
    )


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "PRAGMA max_page_count = 1",  # no more than there are: a full disk
            "PRAGMA max_page_count = 1000000",
            "no space is left on the disk. Free some and run the command again; all finished "
            "trials are kept.",
        ),
        (
            "PRAGMA query_only = ON",
            "PRAGMA query_only = OFF",
            "cannot be written: file or folder are read-only. Make them writable and run the "
            "command again; all finished trials are kept.",
        ),
    ],
)
def test_a_full_or_read_only_disk_loses_nothing(file, append, trial, before, after, said):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        pragma = before
        sqlalchemy.event.listen(
            store._storage.engine, "checkout", lambda connection, *_: connection.execute(pragma)
        )
        with pytest.raises(AttnasError) as caught:
            append(store, trial(1, reason="x" * 100_000))
        pragma = after
        append(store, trial(1))
        assert store.load(BACKBONE, STAGES) == [trial(0), trial(1)]
    assert str(caught.value) == f"{file}: {said}"


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "left by a killed search"])
def test_a_run_in_a_read_only_folder_can_be_read(file, append, trial, monkeypatch, closed):
    store = TrialStore(file, "small")
    append(store, trial(0))
    if closed:
        store.close()
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    with closing(TrialStore(file, "small")) as reader:
        assert reader.load(BACKBONE, STAGES) == [trial(0)]
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with pytest.raises(AttnasError, match="cannot be written: file or folder are read-only"):
            append(reader, trial(1))
    store.close()


@pytest.mark.parametrize("url", ["nonsense", "postgresql+nosuch://host/name"])
def test_a_database_url_that_cannot_be_read_is_refused(url):
    with pytest.raises(InputError) as caught:
        TrialStore(url, "small")
    assert str(caught.value) == (
        "storage: cannot read the database URL. Write 'postgresql://user:password@host/name'."
    )


def test_a_database_that_cannot_be_used_leaves_no_folder(tmp_path, values):
    folder = tmp_path / "new"
    with pytest.raises(InputError, match="the database 'mysql' is not supported, only PostgreSQL"):
        Run.create(folder, config={}, facts=values["facts"], environment={}, storage="mysql://x")
    assert not folder.exists()


def test_the_password_of_a_database_is_never_shown():
    assert shown("postgresql://me:secret@host/name") == "postgresql://me:***@host/name"
