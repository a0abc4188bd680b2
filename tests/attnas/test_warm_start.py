import shutil

import pytest

from attnas.config import parse_config
from attnas.core import AttnasError, InputError
from attnas.problem import make_problem
from attnas.results import Run
from attnas.search_loop import Observer, search
from attnas.strategies import random_search
from attnas.warm_start import warm_trials


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def begun(run):
    return [(str(trial.architecture), trial.epochs, trial.state) for trial in run.trials]


@pytest.fixture
def older(settings, tmp_path):
    """A run of 9 trained architectures."""
    return search({**settings, "name": "older", "budget": {"trials": 9}}, runs=tmp_path)


@pytest.fixture
def warm(settings):
    """The config of a search that begins from it."""
    return {**settings, "warm_start": "older", "budget": {"trials": 12}}


def space_of(settings):
    return make_problem(parse_config(settings)).space


def test_the_history_begins_with_the_older_trials_which_are_not_the_runs(
    older, warm, tmp_path, monkeypatch
):
    histories = []
    original = random_search.Random.propose

    def propose(self, history):
        histories.append(history)
        return original(self, history)

    monkeypatch.setattr(random_search.Random, "propose", propose)
    notes = Notes()
    run = search({**warm, "strategy": {"name": "random"}}, runs=tmp_path, observer=notes)
    first, second = histories[:2]
    count = len(older.trials)
    assert [t.number for t in first.finished] == [*range(-count, 0)]
    assert [t.architecture for t in first.finished] == [t.architecture for t in older.trials]
    assert first.next_number == 0  # the run's own
    assert second.finished == (*first.finished, run.trials[0])
    assert sum(t.state == "complete" for t in run.trials) == 12
    assert run.trials[0].architecture.is_plain
    known = {t.architecture for t in older.trials}
    assert not known & {t.architecture for t in run.trials[1:]}
    assert all(trial in run.trials for trial in run.front())
    assert f"The strategy begins with {count} trials of {older.folder.resolve()}." in notes.texts


def test_the_older_run_going_on_or_moving_changes_nothing(settings, older, warm, tmp_path):
    whole = search({**warm, "name": "whole"}, runs=tmp_path)
    search({**warm, "budget": {"trials": 5}}, runs=tmp_path)
    search({**settings, "name": "older", "budget": {"trials": 14}}, runs=tmp_path)
    resumed = search(warm, runs=tmp_path)
    assert begun(resumed) == begun(whole)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("older", "replayed"):
        shutil.move(tmp_path / name, moved / name)
    facts = Run.open("replayed", runs=moved).facts
    assert len(warm_trials(facts, space_of(settings), moved)) == len(older.trials)


def test_without_the_older_run_it_cannot_go_on(older, warm, tmp_path):
    search({**warm, "budget": {"trials": 5}}, runs=tmp_path)
    folder = older.folder.resolve()
    shutil.rmtree(folder)
    with pytest.raises(AttnasError) as caught:
        search(warm, runs=tmp_path)
    assert str(caught.value) == (
        f"{folder}: the run that this one began from is gone. Put it back, there or in {tmp_path}."
    )


def test_another_run_in_the_place_of_the_older_one_is_noticed(settings, older, warm, tmp_path):
    search({**warm, "budget": {"trials": 5}}, runs=tmp_path)
    shutil.rmtree(older.folder)
    search({**settings, "name": "older", "budget": {"trials": 9}, "seed": 5}, runs=tmp_path)
    with pytest.raises(AttnasError, match=r"no longer has the \d+ trials that this run began from"):
        search(warm, runs=tmp_path)


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ({"device": {"threads": 2, "batch_size": 4}}, "device.threads, device.batch_size"),
        ({"training": {"epochs": 6, "learning_rate": 0.1}}, "training.learning_rate"),
        ({"constraints": {"latency_ms": "<= 1.5x"}}, "constraints.latency_ms"),
        ({"objectives": {"accuracy": "max"}}, "objectives.latency_ms"),
    ],
)
def test_what_trials_depend_on_must_be_the_same(older, warm, tmp_path, change, differing):
    with pytest.raises(InputError) as caught:
        search({**warm, **change}, runs=tmp_path)
    assert str(caught.value) == (
        f"warm_start: the trials of {older.folder} do not compare with this search: "
        f"{differing} differ. Use the same, or leave 'warm_start' out."
    )
    assert not (tmp_path / "replayed").exists()


def test_another_space_is_named_by_the_stage_that_differs(older, warm, tmp_path):
    space = {**warm["search_space"], "stages": {"layer2": {"choice": "none"}}}
    with pytest.raises(InputError, match="search_space: the options of layer2, search_space diff"):
        search({**warm, "search_space": space}, runs=tmp_path)


def test_another_seed_is_allowed_and_told(older, warm, tmp_path):
    notes = Notes()
    search({**warm, "seed": 3}, runs=tmp_path, observer=notes)
    assert any("with the seed 0, those of this run with 3" in text for text in notes.texts)


def test_a_run_that_is_not_there_is_an_input_error(warm, tmp_path):
    with pytest.raises(InputError, match=r"^warm_start: there is no run 'older'"):
        search(warm, runs=tmp_path)
