"""Halving in a whole search: on a recorded table, and with real trainings that go on."""

from functools import partial

import pandas as pd
import pytest

from attnas.core import InputError
from attnas.evaluator.latency import measure_reference
from attnas.results import Run, longest
from attnas.search_loop import Observer, search


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def halving(settings, table, tmp_path):
    """A search with halving on the table, with rows for 2, 6 and 18 epochs, of fewer blocks."""
    known = pd.read_csv(table)
    for stage in ("layer1", "layer2", "layer3"):
        known = known[~known[stage].str.startswith(("se", "cbam"))]
    rungs = [
        known.assign(epochs=epochs, accuracy=known["accuracy"] * share)
        for epochs, share in ((2, 0.6), (6, 0.8), (18, 1.0))
    ]
    path = tmp_path / "rungs.csv"
    pd.concat(rungs).to_csv(path, index=False)
    blocks = sorted({text.split("@")[0].split(":")[0] for text in known["layer1"]})
    return {
        **settings,
        "search_space": {**settings["search_space"], "blocks": blocks},
        "evaluator": {"table": str(path)},
        "strategy": {
            "name": "halving",
            "around": {"name": "random"},
            "min_epochs": 2,
            "max_epochs": 18,
        },
        "budget": {"epochs": 140},
    }


def begun(run):
    return [(str(t.architecture), t.epochs, t.schedule_epochs, t.state) for t in run.trials]


def test_a_search_spends_its_epochs_on_what_goes_on(halving, tmp_path):
    notes = Notes()
    run = search(halving, runs=tmp_path, observer=notes)
    trained = [t for t in run.trials if t.state == "complete"]
    by_rung = {epochs: [t for t in trained if t.epochs == epochs] for epochs in (2, 6, 18)}
    assert len(by_rung[2]) > 2 * len(by_rung[6]) > 2 * len(by_rung[18]) > 0
    assert {t.schedule_epochs for t in by_rung[2] + by_rung[6]} == {18}
    assert {t.schedule_epochs for t in by_rung[18]} == {None}
    fewer = 2 * len(by_rung[2]) + 4 * len(by_rung[6]) + 12 * len(by_rung[18])
    assert 140 <= fewer < 140 + 12
    assert notes.texts[-2] == "Budget used: 140 epochs."
    assert notes.texts[-1].startswith("Kendall's tau of accuracy between epochs: 2 and 6: 1.00 (")


def test_the_plain_backbone_is_known_at_every_rung_before_the_others(halving, tmp_path):
    halving["search_space"] = {**halving["search_space"], "stages": {"layer1": {"blocks": ["eca"]}}}
    run = search(halving, runs=tmp_path)  # a space that it is not in
    for epochs in (2, 6, 18):
        first = next(t for t in run.trials if t.epochs == epochs)
        assert first.architecture.is_plain
        assert first.state == "complete"
    assert sum(t.architecture.is_plain for t in run.trials) == 3


def test_the_front_has_each_architecture_once_at_its_longest(halving, tmp_path):
    run = search(halving, runs=tmp_path)
    front = run.front()
    assert len({t.architecture for t in front}) == len(front)
    assert {t.number for t in front} <= {t.number for t in longest(run.trials)}


def test_a_search_that_was_stopped_proposes_as_if_it_had_not_been(halving, tmp_path):
    whole = search({**halving, "name": "whole"}, runs=tmp_path)
    for epochs in (10, 64):
        search({**halving, "budget": {"epochs": epochs}}, runs=tmp_path)
    assert begun(search(halving, runs=tmp_path)) == begun(whole)


def test_epochs_that_contradict_each_other_are_refused(halving, tmp_path):
    with pytest.raises(InputError) as caught:
        search({**halving, "training": {"epochs": 6}}, runs=tmp_path)
    assert str(caught.value) == (
        "strategy.max_epochs: is 18, but 'training.epochs' is 6. Leave out one of the two."
    )


def test_trainings_go_on_from_their_checkpoints(tmp_path, monkeypatch):
    module = "attnas.evaluator.screening"  # its latencies do not count here
    monkeypatch.setattr(f"{module}.SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(f"{module}.measure_reference", partial(measure_reference, max_seconds=0.1))
    config = {
        "name": "real",
        "data": {"train": 200, "validation": 200},
        "search_space": {"backbone": {"name": "resnet_cifar", "depth": 8, "width": 4}},
        "objectives": {"accuracy": "max", "params": "min"},
        "strategy": {"name": "halving", "around": "random", "min_epochs": 1, "eta": 2},
        "training": {"epochs": 2},
        "budget": {"trials": 5},
    }
    told: list[tuple[int, int]] = []

    class Epochs(Observer):
        def epoch(self, number, epoch, epochs):
            told.append((number, epoch))

    run = search(config, runs=tmp_path, observer=Epochs())
    twice = next(t for t in run.trials if t.epochs == 2)
    assert [epoch for number, epoch in told if number == twice.number] == [2]
    left = len(list((run.checkpoints / "trials").iterdir()))
    assert left == len({t.architecture for t in run.trials}) - sum(
        t.epochs == 2 for t in run.trials
    )
    stored = Run.open(run.folder).trials[twice.number]
    assert (stored.schedule_epochs, stored.half_size) == (None, False)
    plain = {t.epochs: t for t in run.trials if t.architecture.is_plain}
    found = run.differences[twice.number]
    assert found.difference == pytest.approx(
        twice.metrics["accuracy"] - plain[2].metrics["accuracy"]
    )
