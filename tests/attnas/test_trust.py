"""A run and an export of somebody else run no code of theirs until the user says so."""

import shutil
import sys

import pytest
import yaml

import attnas
from attnas.core import InputError
from attnas.entry import run_command

PLUGIN = "print('imported')\n"
REFUSED = (
    "was not made by you and names code that would run here: {}. Look at it, and if you trust it "
    "add --trust (Python: trust=True)."
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATTNAS_STATE", str(tmp_path / "state"))
    yield tmp_path
    sys.modules.pop("blocks_of_mine", None)


@pytest.fixture
def run(here, settings, capsys):
    """A finished run whose plugin lies in the working directory."""
    (here / "blocks_of_mine.py").write_text(PLUGIN)
    config = settings | {"plugins": ["blocks_of_mine"], "budget": {"trials": 2}}
    (here / "c.yaml").write_text(yaml.safe_dump(config))
    assert run_command(["search", "c.yaml"]) == 0
    assert run_command(["export", "replayed", "-o", "best.yaml"]) == 0
    del sys.modules["blocks_of_mine"]  # as in a new process
    capsys.readouterr()
    return here / "runs" / "replayed"


def test_ones_own_run_and_export_are_trusted_also_after_they_were_moved(run, here, capsys):
    shutil.move(here / "runs", here / "moved")
    assert run_command(["pareto", "replayed", "--runs", "moved"]) == 0
    assert "imported" in capsys.readouterr().out
    del sys.modules["blocks_of_mine"]
    shutil.move(here / "best.yaml", here / "moved" / "b.yaml")
    attnas.build(here / "moved" / "b.yaml")
    assert "imported" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [["pareto"], ["show", "0"], ["export"], ["report"], ["confirm"], ["compare", "replayed"]],
)
def test_a_run_of_somebody_else_imports_nothing(run, capsys, monkeypatch, command):
    monkeypatch.setenv("ATTNAS_STATE", "another_users")
    name, *more = command
    assert run_command([name, "replayed", *more]) == 2
    said = capsys.readouterr()
    assert said.err == f"attnas: runs/replayed: {REFUSED.format('blocks_of_mine')}\n"
    assert "imported" not in said.out


def test_trust_imports_it(run, capsys, monkeypatch):
    monkeypatch.setenv("ATTNAS_STATE", "another_users")
    with pytest.raises(InputError, match="add --trust"):
        attnas.load_run("replayed")
    with pytest.raises(InputError, match="add --trust"):
        attnas.build("best.yaml")
    assert run_command(["train", "best.yaml"]) == 2
    assert "imported" not in capsys.readouterr().out
    assert run_command(["pareto", "replayed", "--trust"]) == 0
    assert "imported" in capsys.readouterr().out
    attnas.load_run("replayed", trust=True).close()
    attnas.build("best.yaml", trust=True)


def test_the_config_that_one_runs_is_trusted_and_a_run_that_names_more_is_not(
    run, here, capsys, monkeypatch
):
    monkeypatch.setenv("ATTNAS_STATE", "another_users")
    assert run_command(["search", "c.yaml", "--set", "budget.trials=3"]) == 0
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"task": {"name": "others:Task"}}))
    capsys.readouterr()
    assert run_command(["search", "c.yaml", "--set", "budget.trials=4"]) == 2
    assert REFUSED.format("others:Task") in capsys.readouterr().err


def test_a_run_that_names_no_code_has_no_mark(here, settings):
    attnas.search(settings | {"budget": {"trials": 1}}, observer=attnas.Observer()).close()
    assert '"maker"' not in (here / "runs" / "replayed" / "run.json").read_text()
