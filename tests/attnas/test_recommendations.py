"""A search by a strategy that shares weights, from the config to the table of its front."""

import io
import json

from rich.console import Console

from attnas.observer import Observer
from attnas.results import pareto_table, ranking_reliability
from attnas.search_loop import search

CONFIG = {
    "name": "shared",
    "data": {"source": "digits", "train": 64, "validation": 64},
    "search_space": {
        "backbone": {"name": "resnet_cifar", "depth": 8, "width": 4},
        "blocks": ["none", "eca", "se"],
        "ratios": [4],
    },
    "objectives": {"accuracy": "max", "params": "min"},
    "strategy": {
        "name": "oneshot",
        "supernet_epochs": 1,
        "population": 2,
        "generations": 1,
        "check": 1,
        "targets": {"params": ["1.01x"]},
    },
    "training": {"epochs": 1, "batch_size": 32},
    "budget": {"trials": 3},
}


class Listening(Observer):
    def __init__(self):
        self.notes, self.heard = [], []

    def note(self, text):
        self.notes.append(text)

    def preparing(self, text, done, steps):
        self.heard.append((text, done, steps))


def test_a_search_says_which_budgets_are_kept_and_how_far_its_ranking_is_believed(tmp_path):
    observer = Listening()
    run = search(CONFIG, runs=tmp_path, observer=observer)
    asked = next(note for note in observer.notes if note.startswith("Target params <= "))
    assert asked.endswith(": kept.")
    assert ("supernet epoch", 1, 1) in observer.heard
    verdict = str(ranking_reliability(run))
    assert verdict in observer.notes
    assert "All that is shown is stand-alone." in verdict
    kept = json.loads((run.checkpoints / "oneshot" / "ranking_reliability.json").read_text())
    assert kept["text"] == verdict
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(pareto_table(run))
    assert verdict[:40] in console.export_text()


def test_a_run_of_another_strategy_has_no_such_verdict(tmp_path):
    config = {**CONFIG, "strategy": {"name": "random"}, "budget": {"trials": 1}}
    assert ranking_reliability(search(config, runs=tmp_path)) is None
