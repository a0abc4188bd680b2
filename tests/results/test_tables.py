import numpy as np
import pytest
from rich.console import Console

from attnas.core import ItemScores
from attnas.results import (
    Confirmation,
    Confirmed,
    ConfirmedScore,
    compare,
    compare_table,
    confirmation_table,
    listing_table,
    pareto_table,
    show_table,
)


def printed(table, width: int = 80) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def lines(table, width: int = 80) -> list[str]:
    return [line.rstrip() for line in printed(table, width).splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140, 200])
def test_no_line_of_any_table_is_wider_than_the_terminal(filled, width):
    tables = [pareto_table(filled), show_table(filled, filled.trials[1])]
    for table in [*tables, show_table(filled, filled.trials[2])]:
        assert max(map(len, lines(table, width))) <= width


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_figure_of_the_front_is_whole_at_every_width(filled, width):
    text = printed(pareto_table(filled), width)
    assert "…" not in text
    for part in ("60.00 %", "+10.00 ± 7.07 ~", "2.200", "1.900..3.100", "plain", "best", "knee"):
        assert part in text
    for name, option in filled.trials[1].architecture.by_name.items():
        assert name in text
        assert option in text


def test_a_wide_terminal_has_a_line_a_trial(filled):
    text = lines(pareto_table(filled), 160)
    chosen = filled.trials[1].architecture.options
    assert text[0].split() == (
        [
            "trial",
            "accuracy",
            "vs",
            "plain",
            "latency",
            "(ms)",
            "params",
            "layer1",
            "layer2",
            "layer3",
        ]
    )
    assert text[2].split() == [
        *("1", "best", "60.00", "%", "+10.00", "±", "7.07", "~", "2.200", "1.900..3.100"),
        *("78,000", *chosen),
    ]
    assert text[4] == "Constraints: latency_ms <= 1.15x."
    assert text[5].endswith("~ within noise (p > 0.05, corrected for the number of trials).")


def test_a_run_without_a_front_says_why(run):
    assert printed(pareto_table(run)) == "No trial has finished yet.\n"


def test_a_trial_is_shown_by_decision_against_the_plain_backbone(filled):
    text = lines(show_table(filled, filled.trials[1]))
    assert text[0] == "Trial 1 of small  feasible, 6 epochs, 2 s"
    rows = [line.split() for line in text]
    for name, option in filled.trials[1].architecture.by_name.items():
        assert any(row[:2] == [name, option] for row in rows)
    assert ["latency", "(ms)", "2.200", "1.900..3.100", "2.000", "1.100x"] in rows
    assert ["accuracy", "60.00", "%", "50.00", "%", "+10.00", "±", "7.07", "~"] in rows


def test_a_failed_trial_shows_its_reason_as_it_is(run, trial):
    run.append(trial(0, state="failed", reason="raised: ValueError: [bold]x[/nothing]", metrics={}))
    text = lines(show_table(run, run.trials[0]))
    assert text[:2] == [
        "Trial 0 of small  failed, 6 epochs, 2 s",
        "raised: ValueError: [bold]x[/nothing]",
    ]


def test_trainings_of_other_lengths_are_told_apart(run, trial):
    best = {"accuracy": 0.9, "latency_ms": 3.0, "params": 1}
    fast = {"accuracy": 0.4, "latency_ms": 1.0, "params": 1}
    run.append(trial(0, metrics=fast, epochs=2, schedule_epochs=18, half_size=True))
    run.append(trial(1, metrics=best, epochs=18))
    head, _, longer, shorter = lines(pareto_table(run), 160)[:4]
    assert head.split()[:2] == ["trial", "epochs"]
    place = head.index("epochs") + len("epochs")  # numbers end where their heading does
    assert longer[:place].split()[-1] == "18"
    assert shorter[:place].split()[-1] == "2"
    shown = printed(show_table(run, run.trials[0]), 120)
    assert "feasible, 2 of 18 epochs, scored at half size, " in shown
    assert "18 epochs, " in printed(show_table(run, run.trials[1]), 120)


def test_operators_that_flops_lack_are_named(run, trial):
    run.append(trial(0, uncounted=("aten::mul",)))
    assert "Not in the flops: aten::mul." in lines(show_table(run, run.trials[0]))


def test_a_confirmation_is_a_line_an_architecture():
    def entry(trial, options, right):
        scores = ItemScores.of("accuracy", np.arange(1000) < right)
        return Confirmed(trial, options, tuple(ConfirmedScore(seed, scores) for seed in (1, 2)))

    text = lines(
        confirmation_table(
            Confirmation(
                entry(None, {"layer1": "none"}, 700),
                (
                    entry(3, {"layer1": "eca@post"}, 702),
                    entry(4, {"layer1": "se:r8@residual"}, 800),
                ),
                3,
                18,
            )
        )
    )
    rows = [line.split() for line in text]
    assert ["-", "plain", "70.00", "%"] in rows
    assert ["4", "80.00", "%", "+10.00", "(+7.94..+12.06)", "layer1", "se:r8@residual"] in rows
    assert ["3", "best", "70.20", "%", "+0.20", "(-0.11..+0.51)", "~", "layer1", "eca@post"] in rows
    assert text[-2].startswith("1,000 test items, 18 epochs, seeds 1, 2;")


def test_runs_are_compared_in_a_line_each(filled, other_run, trial):
    other_run.append(trial(0, metrics={"accuracy": 0.55, "latency_ms": 2.2, "params": 1}))
    text = lines(compare_table(compare([filled, other_run])))
    rows = [line.split() for line in text]
    assert rows[2][:4] == ["1:", "small", "5", "2"]
    assert rows[2][5] == "100%"  # of the other front
    assert any(row[:4] == ["2:", "other", "1", "1"] and row[5] == "0%" for row in rows)


def test_a_listing_has_a_column_a_key():
    rows = [
        {"name": "se", "params_at_64": 532, "usable": True, "ratios": [4, 8]},
        {"name": "eca", "params_at_64": 3, "usable": False, "ratios": []},
    ]
    assert lines(listing_table(rows))[0].split() == [
        *("name", "params", "at", "64", "usable", "ratios")
    ]
    assert "se             532  yes     4, 8" in lines(listing_table(rows))
    assert "eca              3  no" in lines(listing_table(rows))
    assert printed(listing_table([])).strip() == ""
