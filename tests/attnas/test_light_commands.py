"""Commands that only look load no large library."""

import json
import subprocess
import sys

import pytest
import torch

import attnas
from attnas.block_listing import FIGURES, figures

LARGE = ("torch", "optuna", "sqlalchemy", "pandas", "scipy.stats", "plotly", "ray")
PROBE = """
import sys
from attnas.entry import run_command
assert run_command(sys.argv[1:]) == 0
sys.stderr.write("loaded " + " ".join(sys.modules))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, table):
    """A folder with two runs of eight recorded trials."""
    folder = tmp_path_factory.mktemp("light")
    space = {"blocks": ["none", "se", "eca"], "ratios": [4, 8], "placements": ["residual"]}
    for seed, name in enumerate("ab"):
        config = {
            "name": name, "seed": seed, "search_space": space, "budget": {"trials": 8},
            "strategy": {"name": "random"}, "evaluator": {"table": str(table)},
        }  # fmt: skip
        attnas.search(config, runs=folder / "runs", observer=attnas.Observer()).close()
    return folder


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        (["--version"], ()),
        (["strategies"], ("optuna",)),  # whose samplers are listed
        (["devices"], ("torch",) if torch.cuda.is_available() else ()),
        (["blocks"], ()),
        (["pareto", "a"], ()),
        (["check", "a"], ()),
        (["show", "a", "3"], ()),
        (["export", "a", "-o", "best.yaml"], ()),
        (["compare", "a", "b"], ()),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_command_that_looks_loads_no_large_library(runs, command, needed):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command], cwd=runs, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.rpartition("loaded ")[2].split())
    assert "attnas.entry" in loaded
    assert [name for name in LARGE if name in loaded and name not in needed] == []


def test_what_a_run_keeps_of_a_trial_is_what_its_network_tells(runs):
    from attnas.results.details import details_of

    with attnas.load_run("a", runs=runs / "runs") as run:
        assert all(run.details(t) == details_of(t.architecture) for t in run.trials)
        assert any(told["sites"] for t in run.trials for told in run.details(t).values())


def test_the_kept_figures_of_the_blocks_are_current():
    """If not: `python -c "from attnas.block_listing import write_figures as w; w()"`."""
    assert json.loads(FIGURES.read_text("utf-8")) == figures()


def test_a_run_is_opened_from_python_without_a_large_library(runs):
    script = "import sys, attnas; attnas.load_run('a').front(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=runs, capture_output=True, text=True, check=True
    )
    assert [name for name in LARGE if name in done.stdout.split()] == []
