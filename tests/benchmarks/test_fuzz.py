"""The short form of the fuzzer: a few hostile cases of each kind in every run of the tests."""

import json
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import fuzz

numbers = st.integers(100_000, 2**32)  # others than those of the long form
few = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder to work in and the table that is replayed."""
    work = tmp_path_factory.mktemp("fuzz")
    fuzz.write_table(work / "table.csv")
    return work, work / "table.csv"


@pytest.fixture(scope="module")
def honest(place, tmp_path_factory):
    """A run, and what the commands that look say of it."""
    folder = fuzz.honest_run(tmp_path_factory.mktemp("kept"), place[1])
    return folder, [out for _, out, _ in fuzz.looked_at(folder)]


@few
@given(numbers)
def test_a_hostile_config_is_run_or_refused(place, number):
    fault, end = fuzz.try_config(number, *place)
    assert fault == ""
    assert end.partition(": ")[0] in ("search", "inspect")


@few
@given(numbers)
def test_bytes_that_are_hardly_yaml_are_read_or_refused(place, number):
    assert fuzz.try_config(number, *place, as_bytes=True)[0] == ""


@few
@given(numbers)
def test_a_damaged_run_is_shown_as_it_was_or_something_is_said(place, honest, number):
    folder, expected = honest
    fault, end = fuzz.try_folder(number, place[0] / "damaged", folder, expected)
    assert (fault, bool(end)) == ("", True)


def test_an_honest_config_and_an_honest_run_are_no_faults(place, honest):
    (place[0] / "honest.json").write_text(json.dumps(fuzz.base(place[1])))
    runs = str(place[0] / "honest-runs")
    code, out, err = fuzz.said_by(["search", str(place[0] / "honest.json"), "--runs", runs])
    assert (code, fuzz.fault_of(code, err)) == (0, "")
    assert "accuracy" in out
    folder, expected = honest
    assert [row["trial"] for row in json.loads(expected[0])]
    assert fuzz.said_by(["check", str(folder)])[0] == 0


def test_damage_changes_a_file_of_a_run(honest, tmp_path):
    def contents():
        return {p.name: p.read_bytes() for p in copy.iterdir() if p.is_file()}

    copy = tmp_path / "copy"
    shutil.copytree(honest[0], copy)
    before = contents()
    name = fuzz.damage(random.Random(1), copy)
    after = contents()
    assert [n for n in before if before[n] != after.get(n)] == [name]


@pytest.mark.parametrize(
    ("code", "err", "fault"),
    [
        (0, "", ""),
        (2, "attnas: c.yaml: is wrong.\n", ""),
        (1, "attnas: internal error: KeyError: 'x'.", "internal error"),
        (3, "", "3"),
        ("hang", "", "hang"),
        (2, f"attnas: {'x' * 5000}", "long message"),
        (2, "attnas: postgresql://u:secret@h", "password in a message"),
        (2, "", "no message"),
    ],
)
def test_what_counts_as_a_fault(code, err, fault):
    assert fuzz.fault_of(code, err) == fault


def test_a_command_that_does_not_end_is_a_hang(monkeypatch):
    def for_ever(arguments):
        while True:
            pass

    monkeypatch.setattr(fuzz, "run_command", for_ever)
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    assert fuzz.said_by(["x"])[0] == "hang"


def test_the_quick_run_counts_and_writes(tmp_path, capsys):
    fuzz.main(["--quick", "--out", str(tmp_path / "fuzz.json")])
    written = json.loads((tmp_path / "fuzz.json").read_text())
    cases = [written[kind]["cases"] for kind in ("configs", "bytes", "folders")]
    assert cases == [10, 10, 10]
    assert written["kills"] == {"kills": 3, "lost": 0, "other": 0}
    assert "bytes" in capsys.readouterr().out
