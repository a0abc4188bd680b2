"""Stored runs of every format: a search goes on with them, begins from them, confirms them."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import attnas
from attnas import front_latency
from attnas.config import load_config, parse_config
from attnas.confirmation import confirm
from attnas.core import InputError
from attnas.entry import run_command
from attnas.evaluator import screening, trainers
from attnas.problem import make_problem
from attnas.results import Run, export, load_export, read_confirmation
from attnas.search_loop import search
from attnas.strategies import random_search
from attnas.warm_start import warm_trials

from .test_search_loop import Notes

ASSETS = Path(__file__).parents[1] / "results/assets"
SEARCHED = ("searched-format-1", "searched-format-2")

pytestmark = pytest.mark.usefixtures("short_measuring")


@pytest.fixture
def short_measuring(monkeypatch):
    """Latencies do not count here."""
    brief = partial(screening.measure_reference, max_seconds=0.1)
    monkeypatch.setattr(screening, "measure_reference", brief)
    monkeypatch.setattr(screening, "SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(front_latency, "SECONDS_A_TRIAL", 0.05)
    monkeypatch.setattr("attnas.feasible_share.MEASURED", 2)


@pytest.fixture
def stored(tmp_path):
    """Copies a stored run; its folder."""

    def stored(name):
        return Path(shutil.copytree(ASSETS / name, tmp_path / "runs" / name))

    return stored


@pytest.fixture
def tasks(monkeypatch):
    """The tasks of the trainings, as they are trained."""
    seen, train = [], trainers.train

    def noted(network, data, task, *arguments, **settings):
        seen.append(task)
        return train(network, data, task, *arguments, **settings)

    monkeypatch.setattr(trainers, "train", noted)
    return seen


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_goes_on_with_a_stored_run(stored, name, tmp_path, tasks):
    folder = stored(name)
    with Run.open(folder) as before:
        kept, trained = before.recorded, sum(t.state == "complete" for t in before.recorded)
    record = (folder / "run.json").read_text()
    notes = Notes()
    config = load_config(ASSETS / f"{name}.yaml", [f"budget.trials={trained + 1}"])
    run = search(config, runs=tmp_path / "runs", observer=notes)
    assert run.recorded[: len(kept)] == kept
    assert len(run.trials) > len(kept)
    assert run.trials[-1].state == "complete"
    assert run.trials[-1].schedule_epochs == 2 or run.trials[-1].epochs == 2
    assert {task.label_smoothing for task in tasks} == {0.1}
    assert {"synflow", "accuracy", "validation_loss"} <= run.trials[-1].metrics.keys()
    assert run.trials[-1].scores.items == 200
    assert (folder / "run.json").read_text() == record
    assert f"Budget used: {trained + 1} trials." in notes.texts
    assert export(run)["version"] == 2
    assert not any("distinct architectures" in text for text in notes.texts)  # of a new run


@pytest.mark.parametrize("name", SEARCHED)
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=6", "seed was 5 and is 6"),
        ("training.learning_rate=0.3", "training.learning_rate was 0.2 and is 0.3"),
        ("search_space.blocks=[none, se]", "search_space.blocks was "),
    ],
)
def test_what_differs_from_a_stored_config_is_named_and_nothing_else(
    stored, name, tmp_path, override, said
):
    stored(name)
    with pytest.raises(InputError) as caught:
        search(load_config(ASSETS / f"{name}.yaml", [override]), runs=tmp_path / "runs")
    assert f"{name}: was made by another config: {said}" in str(caught.value)
    assert str(caught.value).count(" was ") == 2  # "was made", and the one key


def test_the_label_smoothing_of_a_config_of_format_1_is_compared_where_it_is_now(stored, tmp_path):
    stored("searched-format-1")
    same = load_config(ASSETS / "searched-format-1.yaml")
    assert same.task.options == {"label_smoothing": 0.1}
    other = load_config(ASSETS / "searched-format-1.yaml", ["training.label_smoothing=0.2"])
    with pytest.raises(InputError, match=r"config: task\.label_smoothing was 0\.1 and is 0\.2\."):
        search(other, runs=tmp_path / "runs")


@pytest.mark.parametrize("name", SEARCHED)
def test_a_search_begins_with_the_trials_of_a_stored_run(stored, name, tmp_path, monkeypatch):
    histories, propose = [], random_search.Random.propose

    def noted(self, history):
        histories.append(history)
        return propose(self, history)

    monkeypatch.setattr(random_search.Random, "propose", noted)
    folder = stored(name)
    overrides = ["name=warm", f"warm_start={name}", "strategy={name: random}", "budget.trials=2"]
    config = load_config(ASSETS / f"{name}.yaml", overrides)
    notes = Notes()
    run = search(config, runs=tmp_path / "runs", observer=notes)
    with Run.open(folder) as older:
        usable = [trial for trial in older.recorded if trial.architecture in _space(run)]
        assert len(usable) > 3
        first = histories[0].finished
        assert [trial.architecture for trial in first] == [t.architecture for t in usable]
        assert [trial.metrics for trial in first] == [t.metrics for t in usable]
        assert [trial.scores for trial in first] == [t.scores for t in usable]
        assert len(warm_trials(run.facts, _space(run), tmp_path / "runs")) == len(usable)
    assert any("The strategy begins with" in text for text in notes.texts)


def _space(run):
    return make_problem(parse_config(run.config)).space


@pytest.mark.parametrize(
    ("override", "differing"),
    [
        ("training.learning_rate=0.3", "training.learning_rate"),
        ("training.label_smoothing=0.2", "task.label_smoothing"),
        ("search_space.blocks=[none, se]", "search_space: the options of layer1"),
        ("data.train=500", "data.sizes"),
    ],
)
def test_a_run_of_format_1_that_does_not_compare_is_refused(stored, tmp_path, override, differing):
    stored("searched-format-1")
    overrides = ["name=warm", "warm_start=searched-format-1", override]
    config = load_config(ASSETS / "searched-format-1.yaml", overrides)
    with pytest.raises(InputError) as caught:
        search(config, runs=tmp_path / "runs")
    assert f"do not compare with this search: {differing}" in str(caught.value)
    assert not (tmp_path / "runs" / "warm").exists()


@pytest.mark.parametrize("name", SEARCHED)
def test_a_stored_run_is_confirmed_anew(stored, name, tasks):
    folder = stored(name)
    then = read_confirmation(folder / "confirm.json")
    with Run.open(folder) as run:
        found = confirm(run, seeds=2)
    assert {task.label_smoothing for task in tasks} == {0.1}
    assert len(tasks) == 2 * (1 + len(then.front))
    assert (found.seeds, found.epochs, found.items) == (then.seeds, then.epochs, then.items)
    assert (found.winner, found.plain.trial) == (then.winner, then.plain.trial)
    assert [(e.trial, e.options) for e in found.front] == [(e.trial, e.options) for e in then.front]
    assert found.metric.name == then.metric.name == "accuracy"
    written = json.loads((folder / "confirm.json").read_text())
    assert written["version"] == 2
    assert read_confirmation(folder / "confirm.json") == found


@pytest.mark.parametrize("name", SEARCHED)
def test_a_stored_export_is_trained(stored, name, tmp_path, capsys):
    folder = stored(name)
    assert run_command(["train", str(folder / "best.yaml"), "--epochs", "1"]) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)) == {"test_accuracy", "test_loss"}
    architecture, content = load_export(folder / "best.yaml")
    items = sum(content["data"]["sizes"].values()) - content["data"]["sizes"]["test"]
    assert err.startswith(
        f"{architecture}: 1,597 items, 1 epoch from scratch (the export does not say"
    )
    assert items < 1597  # what no split of the search had is trained on too
    network = attnas.build(folder / "best.yaml")
    network.load_state_dict(load_file(folder / "best.safetensors"))
    assert network.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("name", SEARCHED)
def test_every_command_reads_a_stored_run(stored, name, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder = stored(name)
    with Run.open(folder) as run:
        best, names = run.best(), [decision.name for decision in run.decisions]
    capsys.readouterr()
    assert run_command(["pareto", str(folder)]) == 0
    out = capsys.readouterr().out
    assert all(decision in out for decision in names)
    assert run_command(["pareto", str(folder), "--csv"]) == 0
    assert capsys.readouterr().out.startswith(f"trial,{','.join(names)},epochs,accuracy,")
    assert run_command(["show", str(folder), str(best.number)]) == 0
    assert f"Trial {best.number} of {name}" in capsys.readouterr().out
    assert run_command(["report", str(folder)]) == 0
    page = (folder / "report.html").read_text()
    assert read_confirmation(folder / "confirm.json").verdict() in page
    made = [tmp_path / "out.json", tmp_path / "net.py"]
    assert run_command(["export", str(folder), "-o", str(made[0]), "--python", str(made[1])]) == 0
    module: dict = {}
    exec(compile(made[1].read_text(), "net.py", "exec"), module)
    images = torch.randn(2, 1, 8, 8)
    networks = [module["network"](seed=3), attnas.build(made[0], seed=3)]
    networks.append(attnas.build(folder / "best.yaml", seed=3))
    outputs = [network.eval()(images) for network in networks]
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_runs_of_two_formats_are_refused_or_compared_in_words(stored, capsys):
    folders = [str(stored(name)) for name in SEARCHED]
    assert run_command(["compare", *folders]) == 2
    assert capsys.readouterr().err == (
        "attnas: the runs have other objectives and cannot be compared: searched-format-1 accuracy "
        "max, latency_ms min; searched-format-2 accuracy max, params min.\n"
    )
