"""Tables on disk; what measures is replaced, so that nothing is measured here."""

import json
import math

import pytest

from attnas.core import AdditiveCost
from attnas.evaluator import (
    LatencyTable,
    device,
    error_text,
    kept_table,
    latency_tables,
    read_table,
    table_file,
    table_to_json,
    write_table,
)
from attnas.evaluator.latency_table import TableError
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
ON = device("torch-cpu")


def space_of(backbone=BACKBONE, identity_start=True, blocks=("none", "eca", "se"), **decided):
    return SearchSpace.create(
        backbone,
        blocks=blocks,
        ratios=[2],
        placements=["residual"],
        identity_start=identity_start,
        **decided,
    )


SPACE = space_of()


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
    return tmp_path / "cache"


@pytest.fixture
def measured(monkeypatch):
    """Stands for the measuring; the calls that reached it."""
    calls = []

    def make(space, on, **settings):
        calls.append(settings)
        return table_of(space, plain_ms=settings["plain_ms"])

    monkeypatch.setattr(latency_tables, "make_latency_table", make)
    return calls


def kept(plain_ms=3.0, note=print, **more):
    return kept_table(SPACE, ON, seed=5, plain_ms=plain_ms, note=note, **more)


@pytest.mark.parametrize(
    "space",
    [
        SPACE,
        space_of(identity_start=False),
        space_of(arguments={"width": [4, 8]}),
        space_of(per="unit"),
    ],
    ids=["attention", "random starts", "width", "units"],
)
def test_a_table_is_read_as_it_was_written(space):
    notes = []
    assert read_table(space, ON, notes.append) is None
    write_table(table_of(space), ON, notes.append)
    assert read_table(space, ON, notes.append) == table_of(space)
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
    assert error_text(found) == "The latency table has too few networks to know its error."


def test_whatever_decides_a_latency_gives_another_file(monkeypatch):
    files = [
        table_file(SPACE, ON),
        table_file(space_of(identity_start=False), ON),
        table_file(space_of(blocks=("none", "eca")), ON),
        table_file(space_of(Backbone("resnet_cifar", (("depth", 8),), (1, 8, 8), (10,))), ON),
        table_file(space_of(Backbone(BACKBONE.name, BACKBONE.arguments, (1, 12, 8), (10,))), ON),
        table_file(space_of(Backbone(BACKBONE.name, BACKBONE.arguments, (1, 8, 8), (9,))), ON),
        table_file(space_of(per="unit"), ON),
        table_file(space_of(arguments={"width": [4, 8]}), ON),
        table_file(space_of(arguments={"width": [8, 16]}), ON),
        table_file(SPACE, device("torch-cpu", batch_size=4)),
    ]
    monkeypatch.setattr(type(ON), "describe", lambda self: {"torch": "another"})
    files.append(table_file(SPACE, ON))
    assert len(set(files)) == len(files)


def test_a_block_of_ones_own_that_was_changed_has_another_file(monkeypatch):
    before = table_file(SPACE, ON)
    assert table_file(space_of(), ON) == before
    costs = latency_tables.additive_costs(SPACE)
    changed = {**costs, "params": AdditiveCost("params", 1.0, costs["params"].costs)}
    monkeypatch.setattr(latency_tables, "additive_costs", lambda space: changed)
    assert table_file(SPACE, ON) != before


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
    kept(note=notes.append)
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


def test_a_table_is_measured_once_and_relative_to_the_plain_backbone_that_is_given(measured):
    notes, told = [], print
    first = kept(3.0, notes.append, progress=told)
    second = kept(6.0, notes.append)
    assert measured == [{"seed": 5, "plain_ms": 3.0, "progress": told}]
    some = SPACE.at(14)
    assert first.plain_ms == 3.0
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


def test_a_cache_that_cannot_be_written_costs_the_keeping_only(cache, measured):
    cache.write_text("a file where the folder should be")
    notes = []
    found = kept(note=notes.append)
    assert found.trusted
    assert any(text.startswith("The latency table is not kept: ") for text in notes)


def test_as_plain_data_it_has_a_row_an_entry_and_no_number_that_json_lacks():
    content = table_to_json(table_of(mape=math.nan))
    assert content["error"] == {"mape": None, "tau": 0.91, "r2": 0.98, "margin": 0.031,
                                "networks": 60}  # fmt: skip
    assert len(content["entries"]) == SPACE.encoded_size
    assert content["entries"][1] == {
        "decision": "layer1",
        "option": "eca@residual",
        "ms": 1 / 3,
        "standard_error": 1 / 3,
    }
    json.dumps(content, allow_nan=False)
