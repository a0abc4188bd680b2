"""`attnas profile` and rejection by a table; what measures is replaced, so nothing is measured."""

import json
import math
from pathlib import Path

import pytest

from attnas import profile as module
from attnas.config import parse_config
from attnas.core import AdditiveCost, Constraint, InputError, Proposal, Screening
from attnas.entry import run_command
from attnas.evaluation import Screened, make_trial
from attnas.evaluator import LatencyTable
from attnas.evaluator.latency_table import TableError
from attnas.problem import Problem
from attnas.profile import DISTRUST, profile, screen_by_table
from attnas.search_space import Backbone, SearchSpace

from .test_json_docs import keys
from .test_search_loop import Notes

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "eca", "se"], ratios=[2], placements=["residual"]
)
SETTINGS = {
    "data": {"source": "digits", "train": 100, "validation": 50, "test": 50},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
        "blocks": ["none", "eca", "se"],
        "ratios": [2],
    },
    "constraints": {"latency_ms": "<= 1.5x"},
    "screening": "table",
}
CONFIG = parse_config(SETTINGS)
BOUNDS = (Constraint.parse("latency_ms", "<= 1.5x"),)


def table_of(space=SPACE, mape=0.0125, plain_ms=1.5):
    entries = tuple(
        tuple(0.1 * i + j / 3 for j in range(len(options)))
        for i, options in enumerate(space.options)
    )
    return LatencyTable(
        space,
        AdditiveCost("latency_ms", 1.6, entries),
        TableError(mape, 0.91, 0.98, 0.031, 60),
        standard_errors=entries,
        plain_ms=plain_ms,
        seconds=12.5,
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def measured(monkeypatch):
    """Stands for the measuring; the calls that reached it."""
    calls = []

    def make(space, on, **settings):
        calls.append(settings)
        return table_of(space)

    monkeypatch.setattr(module, "make_latency_table", make)
    return calls


class Meter:
    """An evaluator and its latency meter; its table has this error."""

    def __init__(self, mape=0.01):
        self.mape, self.used, self.asked = mape, None, 0

    @property
    def latency(self):
        return self

    def table(self, note, progress=None):
        self.asked += 1
        note("Of the device.")
        progress(3, 27)
        return table_of(mape=self.mape)

    def screen_by(self, table):
        self.used = table


class Watching(Notes):
    def __init__(self):
        super().__init__()
        self.prepared = []

    def preparing(self, text, done, steps):
        self.prepared.append((text, done, steps))


@pytest.mark.parametrize(("mape", "used"), [(0.05, True), (0.051, False), (math.nan, False)])
def test_a_search_screens_by_a_trusted_table_alone(mape, used):
    meter, watching = Meter(mape), Watching()
    screen_by_table(CONFIG, Problem(SPACE, (), BOUNDS), meter, watching)
    assert (meter.used == table_of(mape=mape)) == used
    assert watching.texts == ["Of the device.", *([] if used else [DISTRUST])]
    assert "rejects nothing" in DISTRUST
    assert watching.prepared == [("networks measured", 3, 27)]


def test_no_table_is_made_where_none_is_asked_for_or_no_bound_is_on_latency():
    meter, notes = Meter(), Notes()
    plain = parse_config({**SETTINGS, "screening": "measured"})
    screen_by_table(plain, Problem(SPACE, (), BOUNDS), meter, notes)
    assert notes.texts == []
    screen_by_table(CONFIG, Problem(SPACE, (), ()), meter, notes)
    assert notes.texts == ["'screening: table' changes nothing: there is no bound on latency_ms."]
    assert meter.asked == 0


def test_where_results_are_replayed_nothing_is_screened_by_a_table():
    class Replay:
        latency = None

    notes = Notes()
    screen_by_table(CONFIG, Problem(SPACE, (), BOUNDS), Replay(), notes)
    assert notes.texts == []


def test_profile_measures_once_says_where_it_is_kept_and_force_measures_again(measured):
    notes = []
    first = profile(CONFIG, note=notes.append, seconds=7)
    assert (first["made_now"], first["trusted"]) == (True, True)
    assert [(asked["seed"], asked["seconds"]) for asked in measured] == [(0, 7)]
    assert notes[0] == "Measuring at most 27 networks on torch-cpu, for about 7 s."
    assert f"It is kept in {first['file']}." in notes
    notes.clear()
    second = profile(CONFIG, note=notes.append)
    assert not second["made_now"]
    assert second["entries"] == first["entries"]
    assert notes[0] == f"There is a table already, {first['file']}; --force measures again."
    assert profile(CONFIG, note=notes.append, force=True)["made_now"]
    assert len(measured) == 2


def test_a_hasty_profile_that_cannot_be_trusted_is_not_kept_for_searches(monkeypatch):
    monkeypatch.setattr(module, "make_latency_table", lambda *_, **__: table_of(mape=0.2))
    notes = []
    found = profile(CONFIG, note=notes.append, seconds=7)
    assert not Path(found["file"]).exists()
    assert "It is not kept: allow --seconds 50 for a table to be trusted." in notes
    profile(CONFIG, note=notes.append, seconds=60)
    assert Path(found["file"]).exists()
    assert notes[-1] == DISTRUST


def test_it_is_told_now_and_then_how_many_networks_are_measured(monkeypatch):
    def make(space, on, *, progress, **settings):
        for done in (6, 12):
            progress(done, 27)
        return table_of(space)

    monkeypatch.setattr(module, "make_latency_table", make)
    for pause, expected in ((0.0, ["6 of 27", "12 of 27"]), (3600.0, [])):
        monkeypatch.setattr(module, "SECONDS_A_LINE", pause)
        notes = []
        profile(CONFIG, note=notes.append, force=True)
        told = [text for text in notes if text.endswith(" networks measured.")]
        assert told == [f"{part} networks measured." for part in expected]


def test_where_results_are_replayed_there_is_no_table(settings):
    with pytest.raises(InputError) as caught:
        profile(parse_config(settings), note=print)
    assert str(caught.value) == (
        "evaluator: no latency is measured where recorded results are replayed: there can be no "
        "latency table. Leave that out of the config."
    )


def test_the_command_prints_entries_and_their_errors(measured, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    file = tmp_path / "config.yaml"
    file.write_text(json.dumps(SETTINGS))
    assert run_command(["profile", str(file)]) == 0
    shown = capsys.readouterr()
    assert "layer2    se:r2@residual  0.767           0.767" in shown.out
    assert "Latency table: mean error 1.2%" in shown.err
    assert run_command(["profile", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for heading, part in (
        ("profile", found),
        ("profile: error", found["error"]),
        ("profile: entries", found["entries"][0]),
    ):
        assert set(keys(heading)) == set(part)
    assert found["error"]["mape"] == 0.0125
    assert found["entries"][1] == {
        "decision": "layer1",
        "option": "eca@residual",
        "ms": pytest.approx(1 / 3),
        "standard_error": pytest.approx(1 / 3),
    }
    assert run_command(["profile", str(file), "--set", "screening=guess"]) == 2


def test_a_rejection_by_the_table_says_that_it_is_a_prediction():
    broken = {"latency_ms <= 1.5x": 0.25, "params <= 10": 0.1}
    screening = Screening({"latency_ms": 5.0}, broken, predicted=True)
    screened = Screened(screening, "", 0.1, "2026-01-31T10:00:00+00:00")
    trial = make_trial(Proposal(SPACE.at(3), 6), 4, screened, None, (), (), seed=0)
    assert trial.state == "infeasible"
    assert trial.reason == (
        "latency_ms <= 1.5x predicted to be missed by 25.0%, params <= 10 missed by 10.0%"
    )
