"""Tables on disk; what measures is replaced, so that nothing is measured here."""

import json
import math
import pickle
from pathlib import Path

import pytest

from attnas import latency_tables
from attnas.config import parse_config
from attnas.entry import run_command
from attnas.evaluation import Screened, make_trial
from attnas.evaluator import (
    AdditiveCost,
    Constraint,
    LatencyTable,
    Screening,
    TrainingEvaluator,
    device,
)
from attnas.evaluator.latency_table import TableError
from attnas.latency_tables import (
    latency_table,
    profile,
    read_table,
    screen_by_table,
    table_file,
    write_table,
)
from attnas.search_space import AttnasError, Backbone, InputError, SearchSpace
from attnas.setup import Problem
from attnas.strategies import Proposal

from .test_json_docs import keys
from .test_search_loop import Notes

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), 10)
ON = device("torch-cpu")
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


def space_of(backbone=BACKBONE, identity_start=True, blocks=("none", "eca", "se")):
    return SearchSpace.create(
        backbone,
        blocks=blocks,
        ratios=[2],
        placements=["residual"],
        identity_start=identity_start,
    )


SPACE = space_of()


def table_of(space=SPACE, mape=0.0125, plain_ms=1.5):
    entries = tuple(
        tuple(0.1 * i + j / 3 for j in range(len(options)))
        for i, options in enumerate(space.allowed)
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
    return tmp_path / "cache"


@pytest.fixture
def measured(monkeypatch):
    """Stands for the measuring; the calls that reached it."""
    calls = []

    def make(space, on, **settings):
        calls.append(settings)
        return table_of(space, plain_ms=settings.get("plain_ms") or 1.5)

    monkeypatch.setattr(latency_tables, "make_latency_table", make)
    return calls


def evaluator_of(plain_ms=3.0):
    """A training evaluator that has not been through its own set-up, which measures."""
    one = TrainingEvaluator.__new__(TrainingEvaluator)
    one.device, one.plain = ON, Screening({"latency_ms": plain_ms})
    one._table = None
    return one


CONFIG = parse_config(SETTINGS)
PROBLEM = Problem(SPACE, (), (), None, None)


def test_a_table_is_read_as_it_was_written():
    notes = []
    assert read_table(SPACE, ON, notes.append) is None
    write_table(table_of(), ON, notes.append)
    assert read_table(SPACE, ON, notes.append) == table_of()
    assert notes == []


def test_an_unknown_error_stays_unknown():
    unknown = LatencyTable(
        SPACE,
        table_of().cost,
        TableError(math.nan, math.nan, math.nan, math.inf, 1),
        table_of().standard_errors,
        1.5,
    )
    write_table(unknown, ON, print)
    found = read_table(SPACE, ON, print)
    assert math.isnan(found.error.mape)
    assert found.error.margin == math.inf
    assert not found.trusted


def test_whatever_decides_a_latency_gives_another_file(monkeypatch):
    files = [
        table_file(SPACE, ON),
        table_file(space_of(identity_start=False), ON),
        table_file(space_of(blocks=("none", "eca")), ON),
        table_file(space_of(Backbone("resnet_cifar", (("depth", 8),), (1, 8, 8), 10)), ON),
        table_file(space_of(Backbone(BACKBONE.name, BACKBONE.arguments, (1, 12, 8), 10)), ON),
        table_file(SPACE, device("torch-cpu", batch_size=4)),
    ]
    monkeypatch.setattr(type(ON), "describe", lambda self: {"torch": "another"})
    files.append(table_file(SPACE, ON))
    assert len(set(files)) == len(files)


def test_a_file_under_a_wrong_name_is_not_used():
    other = space_of(identity_start=False)
    write_table(table_of(other), ON, print)
    table_file(other, ON).rename(table_file(SPACE, ON))
    notes = []
    assert read_table(SPACE, ON, notes.append) is None
    assert notes == [
        f"Measuring the latency table again: cannot read {table_file(SPACE, ON)} "
        "(it is of something else)."
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"key": 1}'])
def test_a_damaged_file_is_made_again_with_a_note(measured, damage):
    file = table_file(SPACE, ON)
    file.parent.mkdir(parents=True)
    file.write_text(damage)
    notes = []
    latency_table(CONFIG, PROBLEM, evaluator_of(), notes.append)
    assert notes[0].startswith(f"Measuring the latency table again: cannot read {file} (")
    assert len(measured) == 1
    assert read_table(SPACE, ON, notes.append) is not None


@pytest.mark.parametrize("part", ["entries", "error", "plain_ms"])
def test_a_file_that_lacks_something_is_not_used(part):
    write_table(table_of(), ON, print)
    file = table_file(SPACE, ON)
    content = json.loads(file.read_text())
    content[part] = [] if part == "entries" else None
    file.write_text(json.dumps(content))
    assert read_table(SPACE, ON, lambda text: None) is None


def test_a_table_is_measured_once_and_relative_to_the_evaluators_plain_backbone(measured):
    notes = []
    first = latency_table(CONFIG, PROBLEM, evaluator_of(3.0), notes.append)
    second = latency_table(CONFIG, PROBLEM, evaluator_of(6.0), notes.append)
    assert [call["plain_ms"] for call in measured] == [3.0]
    some = SPACE.at(14)
    assert first.predict(some) == pytest.approx(table_of().predict(some))
    assert second.predict(some) == pytest.approx(2 * first.predict(some))
    assert notes == [
        "Measuring the latency table of torch-cpu, for at most 50 seconds.",
        *2
        * [
            "Latency table: mean error 1.2%, 95 % within 3.1%, Kendall's tau 0.91, R2 0.980 on "
            "60 networks held out."
        ],
    ]


def test_without_making_a_missing_table_is_an_error(measured):
    with pytest.raises(AttnasError, match=r"^there is no latency table yet"):
        latency_table(CONFIG, PROBLEM, evaluator_of(), print, make=False)
    assert measured == []


def test_a_cache_that_cannot_be_written_costs_the_keeping_only(cache, measured):
    cache.write_text("a file where the folder should be")
    notes = []
    found = latency_table(CONFIG, PROBLEM, evaluator_of(), notes.append)
    assert found.trusted
    assert any(text.startswith("The latency table is not kept: ") for text in notes)


def test_a_search_screens_by_a_trusted_table_alone(measured):
    problem = Problem(SPACE, (), tuple(BOUNDS), None, None)
    for mape, used in ((0.05, True), (0.051, False), (math.nan, False)):
        write_table(table_of(mape=mape), ON, print)
        one, notes = evaluator_of(), Notes()
        screen_by_table(CONFIG, problem, one, notes)
        assert (one._table is not None) == used
        assert ("rejects nothing" in notes.texts[-1]) == (not used)


def test_where_another_node_measures_its_table_screens_there(measured):
    class Node:
        used = None

        def latency_table(self):
            return pickle.loads(pickle.dumps(table_of())), ["Of the node."]

        def screen_by(self, table):
            self.used = table

    node, notes = Node(), Notes()
    screen_by_table(CONFIG, Problem(SPACE, (), tuple(BOUNDS), None, None), node, notes)
    assert node.used == table_of()
    assert notes.texts[-1] == "Of the node."
    assert measured == []


def test_no_table_is_made_where_none_is_asked_for_or_no_bound_is_on_latency(measured):
    plain = parse_config({**SETTINGS, "screening": "measured"})
    screen_by_table(plain, Problem(SPACE, (), tuple(BOUNDS), None, None), evaluator_of(), Notes())
    screen_by_table(CONFIG, PROBLEM, evaluator_of(), Notes())
    assert measured == []


BOUNDS = [Constraint.parse("latency_ms", "<= 1.5x")]


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
    monkeypatch.setattr(latency_tables, "make_latency_table", lambda *_, **__: table_of(mape=0.2))
    notes = []
    found = profile(CONFIG, note=notes.append, seconds=7)
    assert not Path(found["file"]).exists()
    assert "It is not kept: allow --seconds 50 for a table to be trusted." in notes
    profile(CONFIG, note=notes.append, seconds=60)
    assert Path(found["file"]).exists()


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
    assert "layer2  se:r2@residual  0.767           0.767" in shown.out
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
        "stage": "layer1",
        "choice": "eca@residual",
        "ms": pytest.approx(1 / 3),
        "standard_error": pytest.approx(1 / 3),
    }
    assert run_command(["profile", str(file), "--set", "screening=guess"]) == 2


def test_a_rejection_by_the_table_says_that_it_is_a_prediction():
    broken = {"latency_ms <= 1.5x": 0.25, "params <= 10": 0.1}
    screening = Screening({"latency_ms": 5.0}, broken, predicted=True)
    screened = Screened(screening, "", 0.1, "2026-01-31T10:00:00+00:00")
    trial = make_trial(Proposal(SPACE.at(3), 6), 4, screened, None, (), seed=0)
    assert trial.state == "infeasible"
    assert trial.reason == (
        "latency_ms <= 1.5x predicted to be missed by 25.0%, params <= 10 missed by 10.0%"
    )
