"""One of each kind, registered from outside the repository, in one search."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
KINDS = ("block", "decision", "strategy", "task", "metric", "device", "backbone", "source")

CONFIG = {
    "name": "extended",
    "plugins": [f"ours.{kind}" for kind in KINDS],
    "data": {"source": "own_stripes", "items": 100},
    "task": {"name": "own_pinball", "quantile": 0.7},
    "search_space": {
        "backbone": {"name": "own_net"},
        "blocks": ["none", "own_scale"],
        "placements": ["post"],
        "decisions": {
            "nonlinearity": {
                "kind": "own_activation",
                "argument": "activation",
                "options": ["relu", "silu"],
            }
        },
    },
    "objectives": {"own_closeness": "max", "own_modules": "min"},
    "constraints": {"latency_ms": "<= 100x"},
    "device": {"name": "own_board", "rest_us": 20},
    "strategy": {"name": "own_backwards"},
    "training": {"epochs": 1},
    "budget": {"trials": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("extended")


@pytest.fixture(scope="module")
def attnas(folder):
    """The command line, once the search has run."""

    def command(*arguments: str) -> str:
        return ended("-m", "attnas", *arguments, "--runs", str(folder))

    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))
    command("search", str(config))
    return command


def python(code, *arguments):
    return ended("-c", code, *arguments)


def ended(*arguments):
    """The output of Python in a process whose working directory has the package `ours`."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_kind_is_one_file():
    files = {file.stem for file in (HERE / "ours").glob("*.py")}
    assert files == {"__init__", *KINDS}


def test_a_search_with_one_of_each_trains_what_they_say(attnas, folder):
    read = "import json, attnas, sys; run = attnas.load_run('extended', sys.argv[1]); "
    read += "print(json.dumps([[t.state, t.architecture.by_name, t.metrics] for t in run.trials]))"
    trials = json.loads(python(read, str(folder)))
    assert len(trials) == 4
    assert {state for state, _, _ in trials} == {"complete"}
    assert {options["nonlinearity"] for _, options, _ in trials} == {"relu", "silu"}
    assert {options["body"] for _, options, _ in trials} == {"none", "own_scale@post"}
    for _, _, metrics in trials:
        assert 0 < metrics["own_closeness"] <= 1
        assert metrics["own_modules"] > 5


def test_it_ends_in_a_front(attnas):
    assert json.loads(attnas("pareto", "extended", "--json"))


def test_it_is_confirmed_exported_and_built_again(attnas, tmp_path):
    attnas("confirm", "extended", "--seeds", "2")
    file = tmp_path / "best.yaml"
    attnas("export", "extended", "--output", str(file))
    built = "import attnas, sys; print(type(attnas.build(sys.argv[1])).__name__)"
    assert python(built, str(file)) == "OwnNet\n"
