"""Racing in a whole search, on a table with three seeds of everything."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from attnas.coordinator import Task
from attnas.core import InputError, Proposal
from attnas.engines.worker import task_record
from attnas.observer import Observer
from attnas.results import Run
from attnas.results.front_table import pareto_table
from attnas.results.rows import pareto_rows, show_rows
from attnas.results.tables import show_table
from attnas.search_loop import search

NOISE = 0.01


@pytest.fixture
def racing(settings, table, tmp_path):
    """A search on the table, whose accuracies each seed moves by as much for all and by noise."""
    known, rng = pd.read_csv(table), np.random.default_rng(0)
    rows = []
    for seed, moved in ((0, 0.0), (1000, 0.1), (2000, -0.05)):
        shown = known["accuracy"] + moved + NOISE * rng.normal(size=len(known))
        rows.append(known.assign(seed=seed, accuracy=shown))
    path = tmp_path / "seeds.csv"
    pd.concat(rows).to_csv(path, index=False)
    return {
        **settings,
        "evaluator": {"table": str(path)},
        "strategy": {"name": "racing", "around": {"name": "local", "initial": 4}, "initial": 6},
        "budget": {"trials": 40},
    }


def begun(run):
    return [(str(t.architecture), t.seed, t.state) for t in run.trials]


def shown(renderable, width=200):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_each_new_seed_begins_with_the_plain_backbone(racing, tmp_path):
    run = search(racing, runs=tmp_path, observer=Observer())
    first = {}
    for trial in run.trials:
        first.setdefault(trial.seed, trial)
    assert len(first) > 1
    assert all(trial.architecture.is_plain for trial in first.values())
    assert sum(t.state != "infeasible" for t in run.trials) == 40


def test_the_front_has_each_architecture_once_with_the_mean_of_its_seeds(racing, tmp_path):
    run = search(racing, runs=tmp_path, observer=Observer())
    front = run.front()
    assert len({t.architecture for t in front}) == len(front)
    best = run.best()
    assert best.number in {t.number for t in front}
    several = [t for t in run.candidates if len(t.seeds) > 1]
    assert several
    for one in several:
        own = [t for t in run.trials if t.architecture == one.architecture]
        assert one.seeds == tuple(t.seed for t in own)
        assert all(run.candidate(t.number) == one for t in own)
    first = {t.architecture: t for t in run.trials if t.seed == 0 and t.state == "complete"}
    truth = {architecture: t.metrics["accuracy"] for architecture, t in first.items()}
    moved = [t.metrics["accuracy"] - truth[t.architecture] for t in several]
    assert np.abs(moved).max() < 4 * NOISE  # though a seed moved all by 0.1


def test_tables_show_how_many_seeds_there_are(racing, tmp_path):
    run = search(racing, runs=tmp_path, observer=Observer())
    rows = pareto_rows(run)
    assert {row["trial"]: row["seeds"] for row in rows} == {
        t.number: len(t.seeds) for t in run.front()
    }
    assert "seeds" in shown(pareto_table(run))
    several = next(t for t in run.candidates if len(t.seeds) == 3)
    trainings = show_rows(run, several)["trainings"]
    assert [t["seed"] for t in trainings] == [0, 1000, 2000]
    assert [t["value"] for t in trainings] == [t.metrics["accuracy"] for t in several.replicates]
    assert "Mean of 3 seeds" in shown(show_table(run, several))
    assert run.export(tmp_path / "best.yaml", several)["provenance"]["seeds"] == [0, 1000, 2000]
    frame = run.frame().set_index("trial")
    last = several.replicates[-1]
    assert frame.loc[last.number, ["seed", "seeds"]].tolist() == [2000, 3]
    assert frame.loc[last.number, "accuracy"] == last.metrics["accuracy"]


def test_a_repeat_is_not_screened_again(racing, tmp_path, monkeypatch):
    from attnas.evaluator import TableEvaluator

    screened = []
    screen = TableEvaluator.screen
    monkeypatch.setattr(
        TableEvaluator, "screen", lambda self, a: screened.append(a) or screen(self, a)
    )
    run = search(racing, runs=tmp_path, observer=Observer())
    repeats = [t for t in run.trials if t.seed != 0]
    others = [t.architecture for t in run.trials if t.seed == 0]
    in_trials = screened[-len(others) :]
    assert sorted(map(str, in_trials)) == sorted(map(str, others))
    by_architecture = {t.architecture: t for t in run.trials if t.seed == 0}
    for trial in repeats:
        first = by_architecture[trial.architecture].metrics
        assert trial.metrics["latency_ms"] == first["latency_ms"]


def test_a_search_that_was_stopped_proposes_as_if_it_had_not_been(racing, tmp_path):
    whole = search({**racing, "name": "whole"}, runs=tmp_path, observer=Observer())
    for trials in (9, 25):
        search({**racing, "budget": {"trials": trials}}, runs=tmp_path, observer=Observer())
    assert begun(search(racing, runs=tmp_path, observer=Observer())) == begun(whole)


def test_its_trials_are_a_beginning_for_another_search_and_a_table(racing, tmp_path):
    older = search({**racing, "name": "older"}, runs=tmp_path, observer=Observer())
    newer = search({**racing, "warm_start": "older"}, runs=tmp_path, observer=Observer())
    known = {(t.architecture, t.seed) for t in older.trials}
    again = [(t.architecture, t.seed) for t in newer.trials if not t.architecture.is_plain]
    assert not known.intersection(again)
    path = tmp_path / "frame.csv"
    older.frame().to_csv(path, index=False)
    replayed = {**racing, "name": "from-frame", "evaluator": {"table": str(path)}}
    replayed["strategy"] = {"name": "random"}
    run = search({**replayed, "budget": {"trials": 3}}, runs=tmp_path, observer=Observer())
    [plain, *_] = run.trials
    assert plain.metrics["accuracy"] == older.trials[0].metrics["accuracy"]


def test_stored_trials_have_their_seeds(racing, tmp_path):
    run = search(racing, runs=tmp_path, observer=Observer())
    with Run.open(run.folder) as opened:
        assert begun(opened) == begun(run)
        assert list(opened.candidates) == list(run.candidates)


def test_a_table_without_repeats_is_refused(racing, table, tmp_path):
    with pytest.raises(InputError) as caught:
        search({**racing, "evaluator": {"table": str(table)}}, runs=tmp_path)
    assert str(caught.value) == (
        f"strategy.name: 'racing' trains with several seeds, and {table} has one row an "
        "architecture. Take the strategy inside it alone, or a table with a column 'seed' and rows "
        "for each."
    )


def test_a_worker_is_told_the_seed(racing, tmp_path):
    run = search({**racing, "budget": {"trials": 1}}, runs=tmp_path, observer=Observer())
    plain = run.trials[0].architecture
    assert task_record(Task(0, Proposal(plain, 6, seed=1000)))["seed"] == 1000
