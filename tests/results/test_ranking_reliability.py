"""The verdict on a run's supernet, from the file of its recommendations, of either format."""

import json
from itertools import islice, product

import pytest

from attnas.core import read
from attnas.results import pareto_table, ranking_reliability, write_ranking_reliability
from attnas.search_space import Architecture

from .test_tables import printed

ENOUGH = 12


@pytest.fixture
def ranked(run, trial, values):
    """A run of 12 architectures, and their recommendations in the words of a format."""
    every = product(*values["options"].values())
    for number, options in enumerate(islice(every, ENOUGH)):
        architecture = Architecture.read(values["backbone"], values["decisions"], options)
        metrics = {"accuracy": 0.5 + number / 100, "latency_ms": 2.0, "params": 1}
        run.append(trial(number, architecture=architecture, metrics=metrics))
    folder = run.checkpoints / "oneshot"
    folder.mkdir()

    def write(number, word):
        entries = [
            {
                word: trial.architecture.by_name,
                "predicted": {"accuracy": 0.3, "validation_loss": 9 - trial.number / 10},
            }
            for trial in run.trials
        ]
        content = {"format": number, "candidates": entries[:8], "controls": entries[8:]}
        (folder / "recommendations.json").write_text(json.dumps(content))

    return run, write


@pytest.mark.parametrize(("number", "word"), [(1, "choices"), (2, "architecture")])
def test_recommendations_of_either_format_are_compared_with_the_trainings(ranked, number, word):
    run, write = ranked
    write(number, word)
    found = ranking_reliability(run)
    assert found.metric == "accuracy"
    assert found.by_loss.pairs == found.by_metric.pairs == ENOUGH
    assert found.by_loss.tau == pytest.approx(1)
    write_ranking_reliability(run)
    kept = read(run.checkpoints / "oneshot" / "ranking_reliability.json")
    assert kept == {
        "metric": "accuracy",
        "tau": pytest.approx(1),
        "interval": [found.by_loss.low, found.by_loss.high],
        "tau_of_metric": None,  # the inherited accuracies do not vary
        "architectures": ENOUGH,
        "enough": True,
        "trusted": True,
        "text": str(found),
    }
    assert str(found)[:60] in printed(pareto_table(run), 400)
    assert "Kendall" not in printed(pareto_table(run, verdicts=False), 400)


def test_a_run_without_recommendations_has_no_verdict(run, trial):
    run.append(trial(0))
    assert ranking_reliability(run) is None
    write_ranking_reliability(run)
    assert list(run.checkpoints.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"candidates": [{"predicted": {}}], "controls": []}']
)
def test_a_damaged_file_tells_nothing_and_stops_nobody(ranked, text):
    run, _ = ranked
    (run.checkpoints / "oneshot" / "recommendations.json").write_text(text)
    assert ranking_reliability(run).by_loss.pairs == 0
