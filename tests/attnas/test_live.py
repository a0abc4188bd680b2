"""What a search shows while it runs."""

import io
import signal
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from rich.console import Console

from attnas.config import parse_config
from attnas.core import METRICS, Metric, Objective, Proposal, Trial
from attnas.live import LiveView
from attnas.search_loop import search
from attnas.search_space import Architecture, Backbone, stage_decisions

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
ARCHITECTURE = Architecture.read(
    BACKBONE, stage_decisions(BACKBONE), ["none", "se:r8@residual", "eca@post"]
)
TEXT = "layer1=none layer2=se:r8@residual layer3=eca@post"


@pytest.fixture
def view():
    """A view of an accuracy and a latency, on a console that is no terminal."""
    return view_of(Objective("accuracy", "max"), Objective("latency_ms", "min"))


def view_of(*objectives):
    """A view of a run with these objectives."""
    view = LiveView(Console(file=io.StringIO(), width=60))
    view.run = SimpleNamespace(objectives=objectives, main_objective=objectives[0], trials=())
    return view


def shown(view):
    return view.console.file.getvalue()


def trial(number, state="complete", **fields):
    return Trial(number, ARCHITECTURE, epochs=2, state=state, **fields)


@pytest.mark.parametrize(
    ("finished", "line"),
    [
        (
            trial(7, metrics={"accuracy": 0.61237, "latency_ms": 2.3456}, seconds=12.4),
            f"   7  61.24%  2.35 ms  12 s  {TEXT}",
        ),
        (trial(12, metrics={"params": 1.0}, seconds=0.6), f"  12  1 s  {TEXT}"),
        (
            trial(
                8,
                metrics={"accuracy": 0.5},
                violations={"accuracy >= 0.7": 0.29},
                reason="accuracy >= 0.7 missed by 28.6%",
                seconds=3.0,
            ),
            f"   8  50.00%  3 s  {TEXT}  infeasible: accuracy >= 0.7 missed by 28.6%",
        ),
        (
            trial(
                9,
                "infeasible",
                violations={"latency_ms <= 1.15x": 0.1},
                reason="latency_ms <= 1.15x missed by 10.0%",
            ),
            f"   9  infeasible  {TEXT}  latency_ms <= 1.15x missed by 10.0%",
        ),
        (
            trial(10, "failed", reason="diverged: the loss is nan [in epoch 2]"),
            f"  10  failed  {TEXT}  diverged: the loss is nan [in epoch 2]",
        ),
    ],
    ids=["complete", "without accuracy", "complete, infeasible", "infeasible", "failed"],
)
def test_a_trial_is_one_line_where_there_is_no_terminal(view, finished, line):
    with view.shown():
        view.evaluating(finished.number, Proposal(ARCHITECTURE, 2))
        view.epoch(finished.number, 1, 2)
        view.trial(finished)
    assert shown(view) == f"{line}\n"


@pytest.fixture
def _own_metrics(monkeypatch):
    """Metrics that a run describes, gone after the test."""
    monkeypatch.setattr(METRICS, "_provided", dict(METRICS._provided))
    METRICS.provide("depth_error_mm", Metric("depth_error_mm", "min", unit="mm"))
    METRICS.provide("coverage", Metric("coverage", "max", format="percent"))


@pytest.mark.usefixtures("_own_metrics")
@pytest.mark.parametrize(
    ("objectives", "metrics", "shown_as"),
    [
        (
            {"depth_error_mm": "min", "latency_ms": "min"},
            {"depth_error_mm": 1.23456, "latency_ms": 2.3456, "params": 10},
            "depth error 1.235 mm  2.35 ms",
        ),
        (
            {"r2": "max", "params": "min"},
            {"r2": -0.25, "params": 12345, "validation_loss": 1.0},
            "r2 -0.2500  params 12,345",
        ),
        (
            {"accuracy": "max", "coverage": "max"},
            {"accuracy": 0.5, "coverage": 0.25},
            "50.00%  coverage 25.00 %",
        ),
        ({"own": "min"}, {"own": 3.0}, "own 3.000"),
    ],
    ids=["error", "r2", "two shares", "not described"],
)
def test_a_line_has_the_objectives_by_name_and_the_latency(objectives, metrics, shown_as):
    view = view_of(*(Objective(m, d) for m, d in objectives.items()))
    view.trial(trial(3, metrics=metrics, seconds=1.0))
    assert shown(view) == f"   3  {shown_as}  1 s  {TEXT}\n"


def test_a_trial_that_stopped_in_its_schedule_says_where(view):
    view.trial(trial(3, metrics={"accuracy": 0.5}, seconds=2.0, schedule_epochs=18))
    assert shown(view) == f"   3  50.00%  2 of 18 epochs  2 s  {TEXT}\n"


def test_without_a_terminal_a_preparation_is_told_once_and_then_now_and_then(view, monkeypatch):
    for done in range(3):
        view.preparing("networks measured", done, 9)
    view.preparing("supernet epoch", 1, 4)
    assert shown(view) == "networks measured: 0 of 9\nsupernet epoch: 1 of 4\n"
    monkeypatch.setattr("attnas.live.SECONDS_A_LINE", 0.0)
    view.preparing("supernet epoch", 2, 4)
    assert shown(view).endswith("supernet epoch: 2 of 4\n")


def test_notes_are_shown_as_they_are(view):
    view.note("[bold]3[/bold] of [none, se]")
    assert shown(view) == "[bold]3[/bold] of [none, se]\n"


def test_a_search_tells_its_folder_its_trials_and_that_it_goes_on(view, settings, tmp_path):
    settings["budget"] = {"trials": 3}
    with view.shown():
        run = search(settings, runs=tmp_path, observer=view)
    text = shown(view).replace("\n", "")  # a long path is broken over lines
    assert text.startswith(f"Run {run.folder}.".replace("\n", ""))
    for done in run.trials:
        assert f"{done.number:4d}  " in text
        assert str(done.architecture) in text
    again = LiveView(Console(file=io.StringIO(), width=500))
    with again.shown():
        search({**settings, "budget": {"trials": 4}}, runs=tmp_path, observer=again)
    assert shown(again).startswith(
        f"Goes on with {run.folder}: {len(run.trials)} trials are in it.\n"
    )


def test_on_a_terminal_the_state_of_the_search_is_drawn(settings, tmp_path):
    run = search({**settings, "budget": {"trials": 5}}, runs=tmp_path)
    view = LiveView(Console(file=io.StringIO(), width=200, force_terminal=True))
    config = parse_config({**settings, "budget": {"trials": 25}})
    with view.shown():
        view.begin(run, config)
        view.evaluating(9, Proposal(ARCHITECTURE, 2))
        view.epoch(9, 1, 2)
        status = Console(file=io.StringIO(), width=200)
        status.print(view.live.get_renderable())
    assert view.live is None
    first, second = status.file.getvalue().splitlines()
    feasible = [t for t in run.trials if t.feasible]
    rejected = len([t for t in run.trials if t.state == "infeasible"])
    best = max(t.metrics["accuracy"] for t in feasible)
    assert [part.strip() for part in first.split("·")] == [
        "5 of 25 trained",
        f"{len(feasible)} feasible",
        f"{rejected} rejected untrained",
        f"best accuracy {100 * best:.2f} %",
        f"hypervolume {run.hypervolume():.4f}",
    ]
    assert second.strip() == f"trial 9: {TEXT}  epoch 1 of 2"


def test_the_best_of_an_error_is_the_least(settings, tmp_path, table):
    known = pd.read_csv(table).rename(columns={"accuracy": "validation_loss"})
    known["validation_loss"] = 1 - known["validation_loss"]
    known.to_csv(tmp_path / "losses.csv", index=False)
    settings |= {
        "objectives": {"validation_loss": "min", "latency_ms": "min"},
        "evaluator": {"table": str(tmp_path / "losses.csv")},
        "budget": {"trials": 5},
    }
    run = search(settings, runs=tmp_path)
    view = LiveView(Console(file=io.StringIO(), width=200, force_terminal=True))
    with view.shown():
        view.begin(run, parse_config(settings))
        view.evaluating(9, Proposal(ARCHITECTURE, 2))
        status = Console(file=io.StringIO(), width=200)
        status.print(view.live.get_renderable())
    best = min(t.metrics["validation_loss"] for t in run.trials if t.feasible)
    assert f"best validation loss {best:.4f}" in status.file.getvalue()
    assert f"hypervolume {run.hypervolume():.4f}" in status.file.getvalue()


@pytest.mark.parametrize(
    "event",
    [
        lambda view: view.epoch(1, 1, 2),
        lambda view: view.evaluating(1, Proposal(ARCHITECTURE, 2)),
        lambda view: view.preparing("training", 1, 20),
        lambda view: view.waiting(),
    ],
    ids=["epoch", "evaluating", "preparing", "waiting"],
)
def test_ctrl_c_that_was_swallowed_stops_the_search_at_the_next_event(view, event):
    with view.shown():
        event(view)
        with pytest.raises(KeyboardInterrupt):  # here it is swallowed, as in a destructor
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            event(view)


def test_the_handlers_of_before_are_back_afterwards(view, monkeypatch):
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    told = []
    monkeypatch.setattr(sys, "__unraisablehook__", told.append)
    with view.shown():
        assert signal.getsignal(signal.SIGINT) != before[0]
        sys.unraisablehook(SimpleNamespace(exc_value=KeyboardInterrupt()))
        assert told == []
        other = SimpleNamespace(exc_value=RuntimeError())
        sys.unraisablehook(other)
        assert told == [other]
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
