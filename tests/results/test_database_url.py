"""Passwords that stand in a database's URL: used, and never written down."""

import json

import pytest

from attnas.core import InputError
from attnas.entry import run_command
from attnas.results import Run
from attnas.results.database_url import _TAKEN_OUT, PASSWORD, from_environment, without_literals


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://u:secret@h/d", f"postgresql://u:${{{PASSWORD}}}@h/d"),
        ("postgresql://u:se@cr/et@h/d", f"postgresql://u:${{{PASSWORD}}}@h/d"),
        ("postgresql://u@h/d?password=secret&x=1", f"postgresql://u@h/d?password=${{{PASSWORD}}}&x=1"),
        (
            "postgresql://u:secret@h/d?sslpassword=other",
            f"postgresql://u:${{{PASSWORD}}}@h/d?sslpassword=${{{PASSWORD}_2}}",
        ),
    ],
)  # fmt: skip
def test_a_literal_password_is_taken_out_and_comes_back(url, kept, monkeypatch):
    monkeypatch.delenv(PASSWORD, raising=False)
    assert without_literals(url) == kept
    assert from_environment(kept) == url
    _TAKEN_OUT.clear()  # as in another process
    with pytest.raises(InputError, match=rf"the environment variable {PASSWORD} .* is not set"):
        from_environment(kept)
    monkeypatch.setenv(PASSWORD, "p@ss")
    monkeypatch.setenv(f"{PASSWORD}_2", "x")
    assert "p%40ss" in from_environment(kept) or "password=p@ss" in from_environment(kept)


@pytest.mark.parametrize(
    "url", ["sqlite:///a.db", "postgresql://u:$NAME@h/d", "$URL", "postgresql://u:${NAME}@h/d"]
)
def test_a_url_without_a_literal_password_stays(url):
    assert without_literals(url) == url


def test_no_file_of_a_run_has_the_password_and_the_search_goes_on(
    tmp_path, values, trial, postgresql, monkeypatch, capsys
):
    monkeypatch.delenv(PASSWORD, raising=False)
    url = postgresql.database()
    config = {**values["config"], "storage": url}
    made = {"config": config, "facts": values["facts"], "environment": {}}
    with Run.create(tmp_path / "one", **made, storage=url) as run:
        run.append(trial(0))
    for path in (tmp_path / "one").rglob("*"):
        assert path.is_dir() or b"p%40ss" not in path.read_bytes()
    with Run.open(tmp_path / "one") as run:  # this process knows it
        assert len(run.trials) == 1
    _TAKEN_OUT.clear()
    assert run_command(["pareto", str(tmp_path / "one"), "--json"]) == 2
    assert PASSWORD in capsys.readouterr().err
    monkeypatch.setenv(PASSWORD, "p@ss word")
    assert run_command(["pareto", str(tmp_path / "one"), "--json"]) == 0
    assert [row["trial"] for row in json.loads(capsys.readouterr().out)] == [0]
