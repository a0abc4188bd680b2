"""What is said of a run whose metric is an error of a user's own: less is better, no percent."""

import json
from dataclasses import replace

import numpy as np
import pytest

from attnas.core import ItemScores, Objective
from attnas.results import (
    Confirmation,
    Confirmed,
    ConfirmedScore,
    Run,
    compare,
    compare_rows,
    compare_table,
    confirmation_table,
    export,
    pareto_rows,
    pareto_table,
    proxies_text,
    report_page,
    rungs_text,
    show_rows,
    show_table,
)
from attnas.results.headline import headline
from attnas.results.plots import front_figures, hover

from .conftest import ERROR, UNITS
from .test_report import Page
from .test_tables import lines, printed

DIFFERENCE, NOISE = f"{ERROR}_difference", f"{ERROR}_difference_se"


def test_the_least_error_is_best_and_the_front_is_that_of_both_objectives(errors):
    assert errors.main_objective == Objective(ERROR, "min")
    assert errors.scored == ERROR
    assert [trial.number for trial in errors.front()] == [0, 1, 2]
    assert errors.best().number == 1
    assert errors.best(max={"latency_ms": 2.1}).number == 2
    assert errors.best(max={ERROR: 2.0}, min={"latency_ms": 2.15}).number == 1
    assert errors.knee().number == 0


def test_the_hypervolume_of_an_unknown_metric_is_between_the_worst_and_the_best_trial(errors):
    # errors from 2.5 down to 1.5, latencies from twice the plain backbone's 4.0 to 0
    after_plain = (2.5 - 2.0) * (4.0 - 2.0)
    after_next = after_plain + (2.0 - 1.5) * (4.0 - 2.2)
    whole = after_next + (2.0 - 1.9) * (2.2 - 2.1)
    expected = np.array([after_plain, after_next, whole, whole]) / (1.0 * 4.0)
    np.testing.assert_allclose(errors.hypervolumes(), expected)
    assert errors.hypervolume() == pytest.approx(whole / 4)


def test_rows_have_signed_differences_in_the_metrics_unit(errors):
    rows = pareto_rows(errors)
    assert [row["trial"] for row in rows] == [1, 2, 0]
    best = rows[0]
    assert (best["best"], best["knee"], best["within_noise"]) == (True, False, False)
    assert best[DIFFERENCE] == pytest.approx(-0.5)
    off = np.where(np.arange(16) % 2, -0.05, 0.05)  # half of the items differ by 0.1 more
    assert best[NOISE] == pytest.approx(np.sqrt(np.square(off - 0.5).mean()) / 4, rel=1e-5)
    assert "accuracy_difference" not in best
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    shown = {row["metric"]: row for row in show_rows(errors, errors.trials[1])["metrics"]}
    assert shown[ERROR]["difference"] == pytest.approx(-0.5)
    assert shown[ERROR]["standard_error"] == pytest.approx(best[NOISE])
    assert shown[ERROR]["ratio"] == pytest.approx(0.75)


def test_the_table_of_the_front_names_metric_and_unit(errors):
    text = lines(pareto_table(errors), 160)
    assert text[0].split()[:8] == [
        *("trial", "depth", "error", "(mm)", "vs", "plain", "latency", "(ms)"),
    ]
    assert text[2].split()[:6] == ["1", "best", "1.500", "-0.5000", "±", "0.1256"]
    assert text[4].split()[:4] == ["0", "knee", "2.000", "plain"]
    assert text[5] == "Constraints: depth_error_mm <= 2.2, latency_ms <= 1.15x."
    assert text[6].startswith("vs plain: difference of depth error mm ± paired standard error")
    assert "%" not in printed(pareto_table(errors), 160)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(errors, width):
    for table in (pareto_table(errors), show_table(errors, errors.trials[1])):
        assert max(map(len, lines(table, width))) <= width


def test_a_trial_is_shown_with_its_difference(errors):
    rows = [line.split() for line in lines(show_table(errors, errors.trials[1]), 120)]
    assert ["depth", "error", "(mm)", "1.500", "2.000", "-0.5000", "±", "0.1256"] in rows
    assert ["latency", "(ms)", "2.200", "1.900..3.100", "2.000", "1.100x"] in rows


def test_the_headline_gives_the_difference_without_points(errors):
    best = errors.trials[1].architecture
    assert headline(errors) == (
        f"Best within depth_error_mm <= 2.2, latency_ms <= 1.15x: trial 1 ({best}) with depth "
        "error 1.500 mm, -0.5000 ± 0.1256 to the plain backbone on 16 items, at latency 2.200 ms "
        "(1.10 times plain)."
    )


def test_the_page_has_no_percent_of_the_metric(errors):
    read = Page(report_page(errors))
    assert headline(errors) in read.text
    assert "those of depth error mm are of the paired difference" in read.text
    assert "The difference to the plain backbone is of depth error mm, given with its" in read.text
    assert "(of depth error mm: between the worst and the best trial)" in read.text
    assert "-0.5000 ± 0.1256" in read.text
    assert [a["class"] for a in read.of("tr") if "class" in a] == [
        *("front", "best", "front", "infeasible"),
    ]


def test_figures_have_the_heading_and_intervals_of_the_metric(errors):
    [figure] = front_figures(errors)
    assert figure.layout.yaxis.title.text == "depth error (mm)"
    assert figure.layout.yaxis.tickformat is None
    [best] = [trace for trace in figure.data if trace.name == "recommended"]
    assert (list(best.x), list(best.y)) == ([2.2], [1.5])
    assert best.error_y.array[0] == pytest.approx(1.959964 * pareto_rows(errors)[0][NOISE])
    [line] = [trace for trace in figure.data if trace.mode == "lines"]
    assert (list(line.x), list(line.y)) == ([2.0, 2.1, 2.2], [2.0, 1.9, 1.5])
    assert line.line.shape == "hv"
    assert hover(errors, errors.trials[1]).endswith("<br>vs plain: -0.5000 ± 0.1256")
    assert hover(errors, errors.trials[3]).endswith("breaks depth_error_mm &lt;= 2.2 by 13.6%")


def test_runs_of_the_metric_are_compared(errors, tmp_path):
    facts = {**errors.facts, "recipe": {"epochs": 18}}
    with Run.create(
        tmp_path / "better", config=errors.config, facts=facts, environment={}
    ) as better:
        metrics = {ERROR: 1.4, "latency_ms": 2.0}
        better.append(replace(errors.trials[1], number=0, metrics=metrics))
        found = compare([errors, better])
        assert [side.covers for side in found.sides] == [(1.0, 0.0), (1.0, 1.0)]
        assert found.sides[1].hypervolume > found.sides[0].hypervolume
        assert compare_rows(found)[1]["best_metrics"] == {ERROR: 1.4, "latency_ms": 2.0}
        assert "trial 0: depth error (mm) 1.400" in printed(compare_table(found), 160)
    assert found.warnings == ("recipe.epochs differs: 6 in errors, 18 in better.",)


def test_a_confirmation_of_the_metric_puts_the_least_error_first(errors):
    def entry(trial, options, shift):
        spread = np.linspace(-0.5, 0.5, 100)
        scores = (ItemScores.of(ERROR, 2.0 + shift + spread + seed / 100) for seed in (1, 2))
        return Confirmed(trial, options, tuple(map(ConfirmedScore, (1, 2), scores)))

    plain = errors.plain_architecture.by_name
    front = [
        (t, entry(t, errors.trials[t].architecture.by_name, s)) for t, s in ((2, 0.1), (1, -0.5))
    ]
    found = Confirmation(entry(0, plain, 0.0), tuple(e for _, e in front), 1, 6)
    assert found.gain_is_real
    text = lines(confirmation_table(found), 120)
    assert text[0].split() == ["test", "depth", "error", "(mm)", "vs", "plain"]
    order = [line.split()[0] for line in text[3:] if line[:5].strip().isdecimal()]
    assert order == ["0", "1", "2"]
    assert any("1.515" in line and "-0.5000 (-0.5000..-0.5000)" in line for line in text)
    page = Page(report_page(errors, found)).text
    assert "the gain is real" in page
    assert "test depth error (mm)" in page
    assert "-0.5000 to -0.5000" in page


def test_without_scores_of_items_no_difference_is_spoken_of(errors_alone):
    rows = pareto_rows(errors_alone)
    assert [row["trial"] for row in rows] == [1, 2, 0]
    assert {row[DIFFERENCE] for row in rows} == {row["within_noise"] for row in rows} == {None}
    table = printed(pareto_table(errors_alone), 160)
    assert "paired standard error" not in table
    shown = [line.split() for line in lines(show_table(errors_alone, errors_alone.trials[1]), 120)]
    assert ["depth", "error", "(mm)", "1.500", "2.000", "0.750x"] in shown
    assert headline(errors_alone).endswith(
        "with depth error 1.500 mm at latency 2.200 ms (1.10 times plain)."
    )
    page = Page(report_page(errors_alone)).text
    assert "paired standard error" not in page
    assert "vs plain: " not in hover(errors_alone, errors_alone.trials[1])
    [figure] = front_figures(errors_alone)
    [best] = [trace for trace in figure.data if trace.name == "recommended"]
    assert not best.error_y.visible


def test_rungs_and_proxies_are_told_of_the_metric(errors):
    short = [
        replace(t, epochs=2, metrics={**t.metrics, "synflow": t.number}) for t in errors.trials
    ]
    assert rungs_text([*short, *errors.trials], ERROR) == (
        "Kendall's tau of depth error mm between epochs: 2 and 6: 1.00 (4 architectures)."
    )
    assert proxies_text(short, ERROR).startswith("synflow against depth error mm over 4 ")


def test_an_export_has_the_metric_and_no_task(errors):
    content = export(errors)
    assert content["metrics"][ERROR] == {"value": 1.5}
    assert content["task"] is None


def test_scores_of_another_metric_than_the_objective_are_not_given_as_its_own(run, trial, values):
    """A training of one's own may score items by another metric than the first objective."""
    facts = {"objectives": {ERROR: "min"}, "scored": ERROR, "constraints": {}, "metrics": UNITS}
    with Run.create(
        run.folder.parent / "mixed",
        config=values["config"],
        facts=values["facts"] | facts,
        environment={},
    ) as mixed:
        plain = mixed.plain_architecture
        metrics = {ERROR: 2.0, "overlap": 0.5, "latency_ms": 2.0}
        scores = ItemScores.of("overlap", np.linspace(0, 1, 8))
        mixed.append(trial(0, architecture=plain, metrics=metrics, scores=scores))
        mixed.append(trial(1, metrics=metrics | {ERROR: 1.0}, scores=scores))
        assert mixed.scored == "overlap"
        assert mixed.main_objective.metric == ERROR
        [row] = pareto_rows(mixed)
        assert DIFFERENCE not in row
        assert row["overlap_difference"] == 0
        assert headline(mixed).endswith(
            f"with {ERROR.removesuffix('_mm').replace('_', ' ')} 1.000 mm, +0.000 ± 0.000 of "
            "overlap to the plain backbone on 8 items, within noise."
        )


def test_a_run_of_costs_alone_has_no_column_of_differences(run, trial, values):
    facts = {"objectives": {"params": "min"}, "scored": "", "task": None, "box": {}}
    with Run.create(
        run.folder.parent / "costs",
        config=values["config"],
        facts=values["facts"] | facts,
        environment={},
    ) as costs:
        costs.append(trial(0, scores=None))
        [row] = pareto_rows(costs)
        assert not [key for key in row if "difference" in key]
        assert "vs plain" not in printed(pareto_table(costs), 160)
        assert "paired" not in Page(report_page(costs)).text
