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
from attnas.results.storage import TrialStore, decode, encode, shown
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
    assert found.scores == trial.scores


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
    written = [decode(n, encode(trial), BACKBONE, DECISIONS) for n, trial in enumerate(stored)]
    assert list(map(repr, found)) == list(map(repr, written))
    assert [trial.scores for trial in found] == [trial.scores for trial in stored]


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


def test_a_trial_that_lacks_an_entry_is_named(file, append, trial):
    with closing(TrialStore(file, "small")) as store:
        append(store, trial(0))
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(
                "UPDATE trial_user_attributes SET value_json = replace(value_json, 'epochs', 'e')"
            )
        with pytest.raises(AttnasError) as caught:
            store.load(BACKBONE, STAGES)
    assert str(caught.value) == f"{file}: trial 0 is damaged ('epochs'). Restore a copy."


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
