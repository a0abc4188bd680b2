import math

import pytest

from attnas.results import Run
from attnas.results.bounds import bounds
from attnas.results.plots import front_figures, hover, hypervolume_figure


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data if trace.name is not None}


def run_with(tmp_path, values, **facts) -> Run:
    made = values["facts"] | facts
    return Run.create(tmp_path / "made", config=values["config"], facts=made, environment={})


def test_every_trial_stands_where_its_metrics_say(filled):
    [figure] = front_figures(filled)
    drawn = traces(figure)
    assert set(drawn) == {
        *("dominated", "plain backbone", "recommended", "not trained (at the bottom)"),
    }
    assert (list(drawn["recommended"].x), list(drawn["recommended"].y)) == ([2.2], [0.6])
    assert (list(drawn["plain backbone"].x), list(drawn["plain backbone"].y)) == ([2.0], [0.5])
    assert (list(drawn["dominated"].x), list(drawn["dominated"].y)) == ([2.1], [0.4])
    assert list(drawn["not trained (at the bottom)"].x) == [2.6]
    assert drawn["not trained (at the bottom)"].y[0] < 0.4
    assert drawn["dominated"].marker.opacity < 1


def test_the_step_line_passes_the_front_without_cutting_into_what_was_reached(filled):
    [figure] = front_figures(filled)
    [line] = [trace for trace in figure.data if trace.mode == "lines"]
    assert (list(line.x), list(line.y)) == ([2.0, 2.2], [0.5, 0.6])
    assert line.line.shape == "hv"  # accuracy stays at 0.5 until 2.2 ms buy 0.6


def test_error_bars_are_intervals_and_paired_differences(filled):
    [figure] = front_figures(filled)
    best = traces(figure)["recommended"]
    assert best.error_x.visible
    assert best.error_x.array[0] == pytest.approx(3.1 - 2.2)
    assert best.error_x.arrayminus[0] == pytest.approx(2.2 - 1.9)
    assert best.error_y.array[0] == pytest.approx(1.959964 * math.sqrt(2) / 20)
    assert not traces(figure)["dominated"].error_x.visible


def test_a_constraint_is_a_line_at_its_bound_in_the_metrics_unit(filled):
    assert bounds(filled) == {"latency_ms": pytest.approx(2.3)}
    [figure] = front_figures(filled)
    [line] = figure.layout.shapes
    assert line.x0 == line.x1 == pytest.approx(2.3)
    assert figure.layout.annotations[0].text == "latency_ms &lt;= 1.15x"


def test_hovering_gives_the_architecture_and_all_metrics(filled):
    text = hover(filled, filled.trials[1])
    for stage, choice in filled.trials[1].architecture.by_name.items():
        assert f"<br>{stage}: {choice}<br>" in text
    assert "<b>Trial 1</b>, 6 epochs" in text
    assert "<br>accuracy: 60.00 %<br>" in text
    assert "<br>latency (ms): 2.200 (1.900 to 3.100)<br>" in text
    assert text.endswith("vs plain: +10.00 ± 7.07 points (within noise)")
    assert hover(filled, filled.trials[2]).endswith("breaks latency_ms &lt;= 1.15x by 12.5%")


def test_reasons_are_escaped_in_hover_boxes(filled, trial):
    text = hover(filled, trial(9, state="failed", reason="<img src=x>"))
    assert text.endswith("&lt;img src=x&gt;")


def test_hypervolume_is_drawn_after_every_trial(filled):
    [line] = hypervolume_figure(filled).data
    assert list(line.x) == [0, 1, 2, 3, 4]
    assert list(line.y) == pytest.approx(list(filled.hypervolumes()))


def test_three_objectives_are_drawn_in_pairs_without_a_line(tmp_path, values, trial):
    objectives = {"accuracy": "max", "latency_ms": "min", "params": "min"}
    with run_with(tmp_path, values, objectives=objectives) as run:
        for number in range(3):
            run.append(trial(number))
        figures = front_figures(run)
        assert [(f.layout.xaxis.title.text, f.layout.yaxis.title.text) for f in figures] == [
            ("latency (ms)", "accuracy"),
            ("params", "accuracy"),
            ("params", "latency (ms)"),
        ]
        assert not [trace for f in figures for trace in f.data if trace.mode == "lines"]


def test_a_single_objective_is_drawn_over_the_trials(tmp_path, values, trial):
    with run_with(tmp_path, values, objectives={"latency_ms": "min"}, constraints={}) as run:
        for number, latency in enumerate((3.0, 2.0, 2.5)):
            run.append(trial(number, metrics={"accuracy": 0.5, "latency_ms": latency}))
        [figure] = front_figures(run)
        assert list(traces(figure)["best so far"].y) == [3.0, 2.0, 2.0]
        assert figure.layout.xaxis.title.text == "trial"


def test_runs_without_trials_have_empty_figures(run):
    [figure] = front_figures(run)
    assert len(figure.data) == 0
    assert list(hypervolume_figure(run).data[0].y) == []


def test_a_trial_with_an_unknown_figure_is_left_out(run, trial):
    run.append(trial(0, metrics={"accuracy": math.nan, "latency_ms": 2.0}))
    [figure] = front_figures(run)
    assert not [trace for trace in figure.data if trace.name != "not trained (at the bottom)"]
