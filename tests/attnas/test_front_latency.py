"""The front measured again, by an evaluator whose latencies are written down."""

import json

import pytest

from attnas import front_latency
from attnas.core import Constraint, Screening, Trial
from attnas.evaluator import Latency
from attnas.front_latency import remeasure_front
from attnas.results import FRONT_LATENCY_FILE, Run
from attnas.search_loop import search
from attnas.search_space import Architecture, Backbone, stage_decisions

from .test_search_loop import Notes, proposals

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
OPTIONS = ["none", "eca@post", "eca@residual", "se:r8@residual"]
DECISIONS = stage_decisions(BACKBONE)
FACTS = {
    "backbone": BACKBONE.to_dict(),
    "decisions": [decision.to_dict() for decision in DECISIONS],
    "options": dict.fromkeys(BACKBONE.stage_names, OPTIONS),
    "objectives": {"accuracy": "max", "latency_ms": "min"},
    "constraints": {"latency_ms": "<= 1.5x"},
    "plain": {"metrics": {"latency_ms": 2.0}, "intervals": {}, "uncounted": []},
}
BOUND = [Constraint.parse("latency_ms", "<= 1.5x")]


class WrittenDown:
    """Measures what it is told, and remembers what it was asked; its own meter of latency."""

    plain = Screening({"latency_ms": 2.0})

    def __init__(self, ms, half=0.1, **said):
        self.ms, self.half, self.said, self.asked = ms, half, said, []

    @property
    def latency(self):
        return self

    def screen(self, architecture):
        raise AssertionError("nothing is screened again")

    train = screen

    def latencies(self, architectures, *, max_seconds):
        self.asked.append([a.options[0] for a in architectures])
        assert 0 < max_seconds <= 2
        found = [self.ms[a.options[0]] for a in architectures]
        return [
            Latency(ms, ms - self.half, ms + self.half, ms / 2, 16, **self.said) for ms in found
        ]

    def plain_latency(self, *, max_seconds):
        return Latency(2.2, 2.1, 2.3, 1.0, 16)


@pytest.fixture
def run(tmp_path):
    """A run with a front of three beside the plain backbone and one trial behind it."""
    opened = Run.create(tmp_path / "run", config={"name": "run"}, facts=FACTS, environment={})
    figures = [
        ("none", 0.5, 2.0),
        ("eca@post", 0.6, 2.2),
        ("se:r8@residual", 0.7, 2.9),
        ("eca@residual", 0.59, 2.3),
    ]
    for number, (option, accuracy, ms) in enumerate(figures):
        opened.append(
            Trial(
                number,
                Architecture.read(BACKBONE, DECISIONS, [option, "none", "none"]),
                6,
                "complete",
                metrics={"accuracy": accuracy, "latency_ms": ms},
            )
        )
    with opened:
        yield opened


def front(run):
    return [trial.number for trial in run.front()]


def test_the_front_is_measured_in_one_session_without_the_plain_backbone(run):
    evaluator = WrittenDown({"eca@post": 2.25, "se:r8@residual": 2.8})
    notes = Notes()
    remeasure_front(run, evaluator, BOUND, notes)
    assert evaluator.asked == [["eca@post", "se:r8@residual"]]
    assert [t.metrics["latency_ms"] for t in run.trials] == [2.0, 2.25, 2.8, 2.3]
    assert [t.metrics["latency_ms"] for t in run.recorded] == [2.0, 2.2, 2.9, 2.3]
    assert notes.texts == ["Measuring the 2 trials of the front again, side by side."]
    kept = json.loads((run.folder / FRONT_LATENCY_FILE).read_text())
    assert kept["plain"] == {"ms": 2.2, "low": 2.1, "high": 2.3}
    assert kept["trials"]["1"] == {"ms": 2.25, "low": 2.15, "high": 2.35, "violations": {}}


def test_a_front_that_has_been_measured_is_not_measured_again(run):
    evaluator = WrittenDown({"eca@post": 2.25, "se:r8@residual": 2.8})
    remeasure_front(run, evaluator, BOUND, Notes())
    remeasure_front(run, evaluator, BOUND, Notes())
    assert len(evaluator.asked) == 1


def test_a_trial_that_breaks_the_bound_or_is_dominated_now_is_named_and_its_heir_measured(run):
    evaluator = WrittenDown({"eca@post": 2.6, "se:r8@residual": 3.3, "eca@residual": 2.4})
    notes = Notes()
    remeasure_front(run, evaluator, BOUND, notes)
    assert evaluator.asked == [["eca@post", "se:r8@residual"], ["eca@post", "eca@residual"]]
    assert front(run) == [0, 1, 3]
    assert notes.texts == [
        "Measuring the 2 trials of the front again, side by side.",
        "Trial 2 is no longer on the front: measured again, its latency is 3.3 ms "
        "(latency_ms <= 1.5x missed by 10.0%).",
        "Measuring the 2 trials of the front again, side by side.",
    ]
    assert run.trials[2].violations == {"latency_ms <= 1.5x": pytest.approx(0.1)}


def test_what_is_dominated_now_leaves_the_front_too(run):
    evaluator = WrittenDown({"eca@post": 2.85, "se:r8@residual": 2.8, "eca@residual": 2.3})
    notes = Notes()
    remeasure_front(run, evaluator, BOUND, notes)
    assert front(run) == [0, 2, 3]
    assert notes.texts[1] == (
        "Trial 1 is no longer on the front: measured again, its latency is 2.85 ms "
        "(another trial is as good in all objectives)."
    )


def test_a_trial_that_cannot_be_told_from_the_bound_stays_and_is_named(run):
    evaluator = WrittenDown({"eca@post": 2.25, "se:r8@residual": 3.05})
    notes = Notes()
    remeasure_front(run, evaluator, BOUND, notes)
    assert front(run) == [0, 1, 2]
    assert run.trials[2].violations == {}
    assert notes.texts[1:] == ["Trial 2 is too near its latency bound to tell: 2.95 to 3.15 ms."]


def test_what_is_not_known_well_and_what_was_measured_in_one_process_is_said(run):
    evaluator = WrittenDown(
        {"eca@post": 2.25, "se:r8@residual": 2.7},
        half=0.2,
        settled=False,
        in_one_process="'gpu' is measured in one process",
    )
    notes = Notes()
    remeasure_front(run, evaluator, BOUND, notes)
    assert notes.texts[1:] == [
        "They were measured in one process, not in fresh ones: 'gpu' is measured in one process.",
        "Latencies that are not known as well as they should be, perhaps since the machine was "
        "busy: trial 1 (2.05 to 2.45 ms), 2 (2.5 to 2.9 ms).",
    ]


def test_the_time_is_bounded(run, monkeypatch):
    seconds = iter(range(0, 1000, 40))
    monkeypatch.setattr(front_latency.time, "monotonic", lambda: float(next(seconds)))
    evaluator = WrittenDown({"eca@post": 2.6, "se:r8@residual": 3.3, "eca@residual": 2.4})
    remeasure_front(run, evaluator, BOUND, Notes())
    assert len(evaluator.asked) == 1  # the heir would have come after 80 s


def test_interrupted_nothing_is_lost_and_the_next_call_measures(run):
    class Interrupted(WrittenDown):
        def latencies(self, architectures, *, max_seconds):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remeasure_front(run, Interrupted({}), BOUND, Notes())
    assert list(run.trials) == list(run.recorded)
    remeasure_front(run, WrittenDown({"eca@post": 2.25, "se:r8@residual": 2.8}), BOUND, Notes())
    assert run.trials[1].metrics["latency_ms"] == 2.25


def test_nothing_is_measured_where_latency_does_not_count(tmp_path):
    facts = {**FACTS, "objectives": {"accuracy": "max"}, "constraints": {}}
    with Run.create(tmp_path / "run", config={}, facts=facts, environment={}) as run:
        run.append(Trial(0, Architecture.plain(BACKBONE), 6, "complete", {"accuracy": 0.5}))
        evaluator = WrittenDown({})
        remeasure_front(run, evaluator, [], Notes())
        assert evaluator.asked == []
        assert not (run.folder / FRONT_LATENCY_FILE).exists()


def test_a_replayed_search_measures_nothing(settings, tmp_path):
    run = search({**settings, "budget": {"trials": 5}}, runs=tmp_path)
    assert not (run.folder / FRONT_LATENCY_FILE).exists()


def test_figures_measured_again_do_not_change_what_is_proposed(settings, tmp_path):
    whole = search({**settings, "name": "whole"}, runs=tmp_path)
    with search({**settings, "budget": {"trials": 9}}, runs=tmp_path) as part:
        slow = {t.number: front_latency.Remeasured(9, 8, 10, {"x": 1.0}) for t in part.trials}
        part.remeasure(slow, {"ms": 1.0, "low": 1.0, "high": 1.0})
    resumed = search(settings, runs=tmp_path)
    assert proposals(resumed) == proposals(whole)
