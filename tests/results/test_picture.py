"""Fronts drawn for paper and page."""

import sys
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from attnas.core import InputError
from attnas.results import Run, write_picture
from attnas.results.picture import _axes, _draw


def drawn(run: Run) -> tuple[dict, object]:
    """What is drawn by its name in the legend, and the axes."""
    axes = Figure().add_subplot()
    _draw(run, axes, *_axes(run))
    handles, labels = axes.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True)), axes


def test_every_trial_stands_where_its_metrics_say(filled):
    found, axes = drawn(filled)
    points = {
        name: handle.get_offsets().tolist()
        for name, handle in found.items()
        if hasattr(handle, "get_offsets")
    }
    assert points["recommended"] == [[2.2, 0.6]]
    assert points["plain backbone"] == [[2.0, 0.5]]
    assert points["dominated"] == [[2.1, 0.4]]
    [[along, low]] = points["not trained (at the bottom)"]
    assert along == 2.6
    assert low < 0.4
    assert found["latency_ms <= 1.15x"].get_xdata() == pytest.approx([2.3, 2.3])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latency (ms)", "accuracy")


def test_the_format_is_that_of_the_ending(filled, tmp_path):
    for name, begin in (("a.svg", b"<?xml"), ("a.PDF", b"%PDF"), ("a.png", b"\x89PNG")):
        write_picture(filled, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")


def test_the_same_run_gives_the_same_picture(filled, tmp_path):
    pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in pictures:
        write_picture(filled, path)
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_one_objective_is_drawn_over_what_is_bounded(values, trial, tmp_path):
    facts = values["facts"] | {"objectives": {"accuracy": "max"}}
    with Run.create(tmp_path / "one", config=values["config"], facts=facts, environment={}) as run:
        with pytest.raises(InputError, match="no trained trial yet"):
            write_picture(run, tmp_path / "one.svg")
        run.append(trial(0, metrics={"accuracy": 0.5, "latency_ms": 2.0, "params": 100.0}))
        found, axes = drawn(run)
    assert axes.get_xlabel() == "latency (ms)"
    assert found["recommended"].get_offsets().tolist() == [[2.0, 0.5]]


def test_other_endings_a_missing_library_and_folder_are_told(filled, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"\.svg, \.pdf, \.png"):
        write_picture(filled, tmp_path / "front.gif")
    with pytest.raises(Exception, match="nowhere"):
        write_picture(filled, tmp_path / "nowhere" / "front.svg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'attnas\[picture\]'"):
        write_picture(filled, tmp_path / "front.svg")
