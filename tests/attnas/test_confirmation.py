"""Confirmation on digits: interrupted, resumed, and with members that fail."""

import shutil
from dataclasses import replace

import pytest

from attnas import confirmation
from attnas.confirmation import confirm
from attnas.confirmation_workers import train_ahead
from attnas.core import AttnasError, InputError
from attnas.evaluator import TrainingFailed, trainers
from attnas.results import CONFIRMATION_FILE, Run, read_confirmation
from attnas.search_loop import search


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run on digits whose front has three trials: params stand against accuracy."""
    settings = {
        "name": "digits",
        "data": {"source": "digits", "train": 300, "validation": 200, "test": 200},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
            "blocks": ["none", "se", "eca"],
            "ratios": [2],
            "stages": {"layer1": {"blocks": ["none"]}},
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1},
        "budget": {"trials": 4},
        "seed": 2,
    }
    return search(settings, runs=tmp_path_factory.mktemp("confirm")).folder


@pytest.fixture
def run(searched, tmp_path, monkeypatch):
    """A copy of it, whose front is all of it."""
    run = Run.open(shutil.copytree(searched, tmp_path / "digits"))
    complete = [trial for trial in run.trials if trial.state == "complete"]
    monkeypatch.setattr(run, "front", lambda: complete)
    monkeypatch.setattr(run, "best", lambda: complete[-1])
    return run


@pytest.fixture
def trainings(monkeypatch):
    """What is trained, as (network's parameters, seed); `fail` may raise for it."""
    calls, train = [], trainers.train
    fails = {"when": lambda call: None}

    def noted(network, *arguments, seed, **settings):
        call = sum(p.numel() for p in network.parameters()), seed
        fails["when"](call)
        calls.append(call)
        return train(network, *arguments, seed=seed, **settings)

    monkeypatch.setattr(trainers, "train", noted)
    return calls, fails


def test_every_member_and_the_plain_backbone_are_trained_with_new_seeds(run, trainings):
    calls, _ = trainings
    found = confirm(run, seeds=2)
    members = [trial for trial in run.front() if not trial.architecture.is_plain]
    assert [seed for _, seed in calls] == [3, 4] * (1 + len(members))
    assert [member.trial for member in found.front] == [trial.number for trial in members]
    assert found.plain.trial == 0
    assert found.winner == members[-1].number
    assert found.items == 200
    assert all(len(member.scores) == 2 for member in (*found.front, found.plain))
    assert read_confirmation(run.folder / CONFIRMATION_FILE) == found


def test_an_interrupted_confirmation_goes_on_and_ends_as_an_unbroken_one(run, trainings):
    calls, fails = trainings

    def stop(call):
        if len(calls) == 3:
            raise KeyboardInterrupt

    fails["when"] = stop
    with pytest.raises(KeyboardInterrupt):
        confirm(run, seeds=2)
    assert not (run.folder / CONFIRMATION_FILE).exists()
    fails["when"] = lambda call: None
    said = []
    found = confirm(run, seeds=2, say=said.append)
    members = [trial for trial in run.front() if not trial.architecture.is_plain]
    trained = 2 * (1 + len(members))
    assert len(calls) == trained
    assert len(said) == trained - 3
    assert said[-1].startswith("  1 to go: seed 4, ")
    shutil.rmtree(run.checkpoints / "confirm")
    assert confirm(run, seeds=2) == found


def test_a_member_that_fails_is_left_out_and_told(run, trainings):
    _, fails = trainings
    first = next(trial for trial in run.front() if not trial.architecture.is_plain)
    size = first.metrics["params"]

    def fail(call):
        if call[0] == size:
            raise TrainingFailed("diverged", "the training loss is nan in epoch 1")

    fails["when"] = fail
    said = []
    found = confirm(run, seeds=2, say=said.append)
    assert first.number not in [member.trial for member in found.front]
    assert f"Trial {first.number} is left out: seed 3, {first.architecture}: " in "\n".join(said)


@pytest.mark.parametrize("which", ["winner", "plain"])
def test_without_the_winner_or_the_plain_backbone_there_is_no_verdict(run, trainings, which):
    _, fails = trainings
    trial = run.best() if which == "winner" else run.plain
    size = trial.metrics["params"]

    def fail(call):
        if call[0] == size:
            raise TrainingFailed("out of memory", "2 GB")

    fails["when"] = fail
    with pytest.raises(AttnasError) as caught:
        confirm(run, seeds=2)
    assert str(caught.value) == (
        f"seed 3, {trial.architecture}: the training failed: out of memory: 2 GB."
    )
    assert not (run.folder / CONFIRMATION_FILE).exists()


def test_workers_train_what_one_process_would(run, trainings):
    calls, _ = trainings
    said = []
    found = confirm(run, seeds=2, workers=2, say=said.append)
    assert not calls  # nothing is left to this process
    trained = 2 * (1 + len(found.front))
    assert said == [f"{number} of {trained} trainings" for number in range(1, trained + 1)]
    shutil.rmtree(run.checkpoints / "confirm")
    assert confirm(run, seeds=2) == found


def test_without_its_workers_a_confirmation_goes_on_alone(run, trainings, monkeypatch):
    def ahead(share, *arguments):
        return train_ahead(replace(share, folder=share.folder / "nowhere"), *arguments)

    monkeypatch.setattr(confirmation, "train_ahead", ahead)
    calls, _ = trainings
    said = []
    found = confirm(run, seeds=2, workers=2, say=said.append)
    assert len(calls) == 2 * (1 + len(found.front))
    assert "going on in one process" in said[-1 - len(calls)]
    with pytest.raises(InputError, match="--workers: at least 1 is needed"):
        confirm(run, seeds=2, workers=0)


def test_one_seed_has_no_spread(run):
    with pytest.raises(InputError, match=r"--seeds: a spread needs at least 2 seeds\."):
        confirm(run, seeds=1)


def test_other_data_than_the_runs_are_refused(run):
    run.facts["data"] = {**run.facts["data"], "data_sha256": "other"}
    with pytest.raises(AttnasError, match="the data are no longer those of the run"):
        confirm(run, seeds=2)


def test_a_replayed_run_has_nothing_to_train(settings, tmp_path):
    run = search({**settings, "budget": {"trials": 3}}, runs=tmp_path)
    with pytest.raises(InputError, match="it replayed a table: there is nothing to train"):
        confirm(run)
