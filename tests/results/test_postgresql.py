"""The store on a PostgreSQL server: shared by machines, and away for a while."""

import multiprocessing
import os
import shutil
import socket
import threading
import time

import optuna
import psycopg
import pytest
from optuna.trial import TrialState

from attnas.core import AttnasError, InputError
from attnas.results import Run
from attnas.results.database import from_environment


@pytest.fixture
def url(postgresql):
    return postgresql.database()


@pytest.fixture
def create(tmp_path, values):
    """Makes a run in a folder under tmp_path."""

    def create(folder, storage):
        made = {"config": values["config"], "facts": values["facts"], "environment": {}}
        return Run.create(tmp_path / folder, storage=storage, **made)

    return create


def numbers(url, study):
    """The numbers of a study's trials, read without attnas."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT number FROM trials JOIN studies USING (study_id) WHERE study_name = %s "
            "ORDER BY trial_id",
            [study],
        )
        return [number for (number,) in rows]


def without_password(url):
    return url.replace("p%40ss%20word", "***").replace("postgresql+psycopg", "postgresql")


def test_a_run_is_made_appended_to_and_opened_again(create, url, trial, tmp_path):
    with create("one", url) as run:
        for number in range(3):
            run.append(trial(number))
    with Run.open(tmp_path / "one") as run:
        assert run.trials == (trial(0), trial(1), trial(2))
        run.append(trial(3))
    assert numbers(url, "one") == [0, 1, 2, 3]
    assert not (tmp_path / "one" / "trials.db").exists()


def test_runs_of_a_database_do_not_mix(create, url, trial, tmp_path):
    with create("one", url) as one, create("two", url) as two:
        one.append(trial(0))
        two.append(trial(0, seconds=7.0))
        one.append(trial(1))
    with Run.open(tmp_path / "one") as one, Run.open(tmp_path / "two") as two:
        assert one.trials == (trial(0), trial(1))
        assert two.trials == (trial(0, seconds=7.0),)


def test_optuna_reads_trials_values_and_constraints(create, url, trial):
    infinite = {"accuracy": 0.5, "latency_ms": float("inf")}
    with create("one", url) as run:
        run.append(trial(0))
        broken = {"latency_ms <= 1.15x": 0.25}
        run.append(trial(1, state="infeasible", violations=broken))
        run.append(trial(2, metrics=infinite))
    study = optuna.load_study(
        study_name="one", storage=url.replace("postgresql:", "postgresql+psycopg:")
    )
    complete, infeasible, endless = study.get_trials()
    assert [t.state for t in study.trials] == [
        TrialState.COMPLETE, TrialState.PRUNED, TrialState.COMPLETE,
    ]  # fmt: skip
    assert [t.number for t in study.trials] == [0, 1, 2]
    assert complete.values == [trial(0).metrics["accuracy"], trial(0).metrics["latency_ms"]]
    assert complete.params == trial(0).architecture.by_name
    assert infeasible.system_attrs["constraints"] == [0.25]
    assert endless.values == [0.5, float("inf")]
    assert study.metric_names == ["accuracy", "latency_ms"]


def test_a_password_comes_from_the_environment_and_is_never_shown(
    create, postgresql, trial, tmp_path, monkeypatch, url
):
    monkeypatch.setenv("TRIALS_PASSWORD", "p@ss word")
    hidden = url.replace("p%40ss%20word", "$TRIALS_PASSWORD")
    with create("one", hidden) as run:
        run.append(trial(0))
    assert all("ss word" not in path.read_text() for path in (tmp_path / "one").glob("*.json"))
    monkeypatch.setenv("TRIALS_PASSWORD", "wrong")
    with pytest.raises(InputError) as caught:
        Run.open(tmp_path / "one")
    assert caught.value.exit_code == 2
    assert "the server refuses the user or the password. Correct the URL." in str(caught.value)
    assert "wrong" not in str(caught.value)
    monkeypatch.delenv("TRIALS_PASSWORD")
    with pytest.raises(InputError) as caught:
        Run.open(tmp_path / "one")
    assert "the environment variable TRIALS_PASSWORD in the database URL is not set" in (
        str(caught.value)
    )


def test_variables_stand_for_parts_of_a_url_or_the_whole(monkeypatch):
    monkeypatch.setenv("WORD", "a@b/c")
    monkeypatch.setenv("HOST", "db.example")
    expected = "postgresql://me:a%40b%2Fc@db.example/x"
    assert from_environment("postgresql://me:$WORD@$HOST/x") == expected
    assert from_environment("postgresql://me:${WORD}@${HOST}/x") == expected
    monkeypatch.setenv("WHOLE", expected)
    assert from_environment("$WHOLE") == expected


def test_what_is_wrong_with_a_url_is_said(create, postgresql, url):
    said = {}
    for name, wrong in {
        "password": url.replace("p%40ss%20word", "wrong"),
        "database": postgresql.url("nosuch"),
        "host": "postgresql://attnas:wrong@localhost:1/x",
        "folder": url.replace("host=", "host=/nosuch"),
    }.items():
        with pytest.raises(AttnasError) as caught:
            create(name, wrong)
        said[name] = caught.value.exit_code, str(caught.value)
        assert "wrong" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert said["password"][0] == said["database"][0] == 2
    assert said["password"][1].endswith(
        ": the server refuses the user or the password. Correct the URL."
    )
    assert said["database"][1].endswith(
        ": there is no such database on the server. Make it with `createdb`, or correct the URL."
    )
    for name in ("host", "folder"):
        assert said[name][0] == 1
        assert said[name][1].endswith(
            ": the database server cannot be reached. Check the host in the URL and that the "
            "server runs, and run the command again; all finished trials are kept."
        )


def test_a_study_of_another_folder_is_refused(create, url, trial):
    with create("a/one", url) as run:
        run.append(trial(0))
        with pytest.raises(InputError, match="already has a study 'one' with trials"):
            create("b/one", url)


def test_a_folder_whose_empty_study_was_taken_over_is_refused(create, url, tmp_path):
    create("a/one", url).close()
    create("b/one", url).close()
    with pytest.raises(AttnasError) as caught:
        Run.open(tmp_path / "a/one")
    assert str(caught.value).endswith(
        "the study 'one' belongs to another run folder. Give this run another name."
    )


def _hold(folder, ready):
    with Run.open(folder).lock():
        ready.set()
        time.sleep(60)


def test_a_search_on_another_machine_is_refused_until_the_first_one_dies(
    create, url, trial, tmp_path
):
    create("here/one", url).close()
    shutil.copytree(tmp_path / "here", tmp_path / "there")  # no lock file in common
    spawn = multiprocessing.get_context("fork")
    ready = spawn.Event()
    holder = spawn.Process(target=_hold, args=(tmp_path / "there" / "one", ready))
    holder.start()
    assert ready.wait(30)
    with Run.open(tmp_path / "here" / "one") as run:
        with pytest.raises(AttnasError) as caught:
            run.append(trial(0))
        process = f"(process {holder.pid} on {socket.gethostname()})"
        assert f"another search works on this run {process}" in str(caught.value)
        assert "***" in str(caught.value)
        holder.kill()
        holder.join()
        for _ in range(100):  # the server must notice
            try:
                run.append(trial(0))
                break
            except AttnasError:
                time.sleep(0.05)
    assert numbers(url, "one") == [0]


def cut(url):
    """Ends all other connections to the database."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_that_broke_is_made_anew_with_its_lock(create, url, trial, tmp_path):
    notes = []
    with create("one", url) as run, run.lock(notes.append):
        run.append(trial(0))
        cut(url)
        run.append(trial(1))
        shutil.copytree(tmp_path / "one", tmp_path / "there" / "one")
        with (
            Run.open(tmp_path / "there" / "one") as other,
            pytest.raises(AttnasError, match="another search works on this run"),
        ):
            other.append(trial(2))
    assert numbers(url, "one") == [0, 1]
    assert "cannot be reached. Trying again for 60 seconds." in notes[0]
    assert "is there again; nothing was lost." in notes[1]


def test_a_run_that_was_taken_over_while_away_is_left_to_the_other(create, url, trial, tmp_path):
    create("here/one", url).close()
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    with Run.open(tmp_path / "here/one") as run, run.lock():
        with Run.open(tmp_path / "there/one") as other:
            cut(url)
            with other.lock():
                other.append(trial(0))
                with pytest.raises(AttnasError, match="another search works on this run"):
                    run.append(trial(0, seconds=9.0))
            with pytest.raises(AttnasError, match="trial 0 cannot be the next"):
                run.append(trial(0, seconds=9.0))
        run.append(trial(0))  # the very trial that is stored: nothing to do
        with pytest.raises(AttnasError, match="another search works on this run"):
            Run.open(tmp_path / "there/one").append(trial(1))  # the lock is held again
    assert numbers(url, "one") == [0]


def test_a_commit_whose_answer_was_lost_stores_a_trial_once(create, url, trial, tmp_path):
    with create("one", url) as run, run.lock():
        run.append(trial(0))
        dialect = run._store._storage.engine.dialect
        commit, lost = dialect.do_commit, []

        def commit_and_break(connection):
            commit(connection)
            if len(lost) < 1:
                lost.append(True)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        dialect.do_commit = commit_and_break
        run.append(trial(1))
        run.append(trial(2))
        assert lost
    assert numbers(url, "one") == [0, 1, 2]
    assert Run.open(tmp_path / "one").trials == (trial(0), trial(1), trial(2))


def test_a_server_that_comes_back_is_waited_for(create, url, trial, postgresql):
    notes = []
    with create("one", url) as run, run.lock(notes.append):
        run.append(trial(0))
        postgresql.stop()
        back = threading.Timer(1.0, postgresql.start)
        back.start()
        run.append(trial(1))
        back.join()
        run.append(trial(2))
    assert numbers(url, "one") == [0, 1, 2]
    assert len(notes) == 2


def test_a_server_that_stays_away_ends_the_search_and_loses_nothing(
    create, url, trial, postgresql, tmp_path, monkeypatch
):
    monkeypatch.setattr("attnas.results.database.SERVER_SECONDS", 0.3)
    with create("one", url) as run, run.lock():
        run.append(trial(0))
        postgresql.stop()
        with pytest.raises(AttnasError) as caught:
            run.append(trial(1))
    assert caught.value.exit_code == 1
    assert str(caught.value).endswith("run the command again; all finished trials are kept.")
    with pytest.raises(AttnasError, match="the database server cannot be reached"):
        Run.open(tmp_path / "one")
    postgresql.start()
    with Run.open(tmp_path / "one") as run:
        assert run.trials == (trial(0),)
        run.append(trial(1))
    assert numbers(url, "one") == [0, 1]


def _append_all(folder, count, make):
    try:
        with Run.open(folder) as run, run.lock():
            for number in range(len(run.trials), count):
                run.append(make(number))
    except AttnasError:
        os._exit(1)


def test_two_searches_at_once_store_each_trial_once(create, url, trial, tmp_path):
    create("here/one", url).close()
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    fork = multiprocessing.get_context("fork")
    both = [
        fork.Process(target=_append_all, args=(tmp_path / where / "one", 30, trial))
        for where in ("here", "there")
    ]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert min(process.exitcode for process in both) == 0
    assert numbers(url, "one") == list(range(30))
