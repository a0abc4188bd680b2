import json
import math
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

import attnas
from attnas.entry import run_command
from attnas.results import Run

COMMANDS = {
    "init", "search", "pareto", "dashboard", "show", "report", "export", "export_space", "train",
    "confirm", "compare", "blocks", "strategies", "devices", "profile", "inspect",
    "schema", "check",
}  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


@pytest.fixture
def config(here, settings):
    path = here / "replay.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def digits(here):
    """A config of a search on real images that takes a few seconds."""
    path = here / "digits.yaml"
    content = {
        "name": "digits",
        "data": {"source": "digits", "train": 400, "validation": 300, "test": 300},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
            "blocks": ["none", "eca", "sse"],
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1},
        "budget": {"trials": 3},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_commands_are_these(capsys):
    from attnas.command_line import app

    assert {command.callback.__name__ for command in app.registered_commands} == COMMANDS
    assert run_command(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name.replace("_", "-") in shown for name in COMMANDS)


def test_search_prints_the_front_on_stdout_and_progress_on_stderr(config, capsys):
    assert run_command(["search", str(config)]) == 0
    out, err = capsys.readouterr()
    assert "Budget used: 25 trials." in err
    assert "Feasible: " in err
    assert "layer1=" in err
    assert "latency" in out
    assert "se:r4" in out or "scse" in out or "eca" in out


def test_a_finished_run_can_be_looked_at_compared_exported_and_rebuilt(config, here, capsys):
    assert run_command(["search", str(config)]) == 0
    assert run_command(["search", str(config), "--set", "name=other", "--set", "seed=5"]) == 0
    capsys.readouterr()

    assert run_command(["pareto", "replayed", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    front = Run.open("replayed").front()
    assert {row["trial"] for row in rows} == {trial.number for trial in front}
    assert run_command(["pareto", "replayed", "--csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(front) + 1
    assert run_command(["pareto", "replayed"]) == 0
    assert "latency" in capsys.readouterr().out

    assert run_command(["show", "replayed", "3"]) == 0
    assert "layer2" in capsys.readouterr().out
    assert run_command(["compare", "replayed", "other", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
    assert run_command(["report", "replayed", "-o", "page.html"]) == 0
    assert (here / "page.html").read_text().startswith("<!")

    asked = [
        "export",
        "replayed",
        "--max",
        "latency_ms=1.3",
        "-o",
        "best.json",
        "--python",
        "net.py",
    ]
    assert run_command(asked) == 0
    exported = json.loads((here / "best.json").read_text())
    assert exported["metrics"]["latency_ms"]["value"] <= 1.3
    network = attnas.build("best.json", seed=3)
    again = attnas.build("best.json", seed=3)
    assert list(network.state_dict()) == list(again.state_dict())
    compile((here / "net.py").read_text(), "net.py", "exec")


def test_a_search_on_images_is_confirmed_and_trained_fully(digits, here, capsys):
    assert run_command(["search", str(digits)]) == 0
    capsys.readouterr()
    assert run_command(["confirm", "digits", "--seeds", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["seeds"] == [1, 2]
    assert json.loads(out)["test_items"] == 300
    assert json.loads(out)["verdict"] in err
    assert run_command(["export", "digits", "-o", "best.yaml"]) == 0
    assert run_command(["train", "best.yaml", "--epochs", "1"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert 0 < score["test_accuracy"] <= 1
    assert (here / "best.safetensors").stat().st_mode & 0o777 == 0o644  # others may read it


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "no.yaml"], "attnas: no.yaml: there is no such file."),
        (["pareto", "nothing"], "attnas: there is no run 'nothing'. There is no run in runs."),
        (
            ["search", "replay.yaml", "--set", "strategy.name=evolutoin"],
            "attnas: replay.yaml: strategy.name: unknown strategy 'evolutoin'. "
            "Did you mean 'evolution'? `attnas strategies` lists all.",
        ),
        (
            ["search", "replay.yaml", "--set", "search_space.blocks=[none, cbma]"],
            "attnas: replay.yaml: search_space.blocks[1]: unknown block 'cbma'. "
            "Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
        (
            ["search", "replay.yaml", "--set", "constraints.latency_ms='<= 5ms'"],
            "attnas: replay.yaml: constraints.latency_ms: cannot read '<= 5ms'. "
            "Write '<= 5' (ms) or '<= 1.10x' (of the plain backbone).",
        ),
        (
            ["search", "replay.yaml", "--set", "objectives.latency=min"],
            "attnas: replay.yaml: objectives.latency: unknown metric 'latency'. "
            "Did you mean 'latency_ms'?",
        ),
        (
            ["search", "replay.yaml", "--set", "strategy.seed=3"],
            "attnas: replay.yaml: strategy.seed: is not the strategy's to set: leave it out.",
        ),
        (
            ["search", "replay.yaml", "--set", "plugins=[no_such_module]"],
            "attnas: replay.yaml: plugins[0]: cannot import 'no_such_module': ModuleNotFoundError: "
            "No module named 'no_such_module'. It must be installed or lie in the working "
            "directory.",
        ),
    ],
)
def test_wrong_input_is_one_message_and_exit_code_2(config, capsys, arguments, message):
    assert run_command(arguments) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_a_trial_that_is_not_there_is_named(config, capsys):
    run_command(["search", str(config)])
    capsys.readouterr()
    assert run_command(["show", "replayed", "9999"]) == 2
    number = len(Run.open("replayed").trials) - 1
    assert capsys.readouterr().err == (
        f"attnas: TRIAL: the run replayed has no trial 9999; it has 0 to {number}.\n"
    )


def test_init_writes_a_config_that_runs_as_it_is(here, capsys):
    from attnas.config import load_config

    assert run_command(["init", "mine.yaml"]) == 0
    assert load_config("mine.yaml").budget.trials == 20
    assert run_command(["init", "mine.yaml"]) == 2
    assert "attnas: mine.yaml: the file exists already. --force overwrites it." in (
        capsys.readouterr().err
    )


def test_blocks_strategies_devices_and_schema_are_listed(capsys):
    for command, name in [("blocks", "coord"), ("strategies", "nsga2"), ("devices", "torch-cpu")]:
        assert run_command([command]) == 0
        assert name in capsys.readouterr().out
    assert run_command(["schema"]) == 0
    assert "search_space" in json.loads(capsys.readouterr().out)["properties"]


def test_ctrl_c_leaves_a_run_that_the_same_command_goes_on_with(digits, here):
    command = [sys.executable, "-m", "attnas", "search", str(digits), "--set", "budget.trials=20"]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        run = here / "runs" / "digits"
        if (run / "run.json").exists() and len(Run.open(run).trials) >= 1:
            break
        time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Interrupted. What was finished is saved; the same command goes on." in err
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    kept = [str(trial.architecture) for trial in Run.open(run).trials]
    assert run_command(["search", str(digits), "--set", f"budget.trials={len(kept) + 1}"]) == 0
    assert [str(t.architecture) for t in Run.open(run).trials][: len(kept)] == kept


def test_the_search_space_is_written_in_nnis_format(config, here, capsys):
    assert run_command(["export-space", str(config), "--nni", "space.json"]) == 0
    written = json.loads((here / "space.json").read_text())
    assert list(written) == ["layer1", "layer2", "layer3"]
    assert written["layer1"]["_type"] == "choice"
    assert written["layer1"]["_value"][:2] == ["none", "eca@residual"]
    size = math.prod(len(stage["_value"]) for stage in written.values())
    assert capsys.readouterr().err == f"Wrote {size:,} architectures to space.json.\n"
