import json

import pytest

from attnas.search_space import InputError
from benchmarks import supernet

PLAIN = {
    "choices": "none none none",
    "state": "complete",
    "seconds": 10,
    "accuracy": 0.6,
    "cost": 1,
}


def trial(accuracy, cost, seconds):
    return {**PLAIN, "accuracy": accuracy, "cost": cost, "seconds": seconds}


def test_hypervolume_grows_by_the_areas_that_trials_add():
    """The corner is at 0.55 and 1.5: plain covers 0.05 x 0.5; 0.65 at 1.3 adds 0.05 x 0.2."""
    found = {"trials": [PLAIN, trial(0.65, 1.3, 20), trial(0.5, 1.0, 30)]}
    assert supernet.volumes(found) == [
        (10, pytest.approx(0.025)),
        (20, pytest.approx(0.035)),
        (30, pytest.approx(0.035)),
    ]


def test_the_best_within_a_bound_looks_at_what_was_there_in_time():
    found = {"trials": [PLAIN, trial(0.7, 1.2, 20), trial(0.8, 1.2, 40), trial(0.9, 1.4, 15)]}
    assert supernet.best_within(found, 1.25, 30) == 0.7
    assert supernet.best_within(found, 1.25, 50) == 0.8
    assert supernet.best_within(found, 0.9, 50) is None


def test_the_tables_say_what_the_results_hold(capsys):
    runs = {
        "random": {"0": {"trials": [PLAIN, trial(0.65, 1.3, 100)], "targets": []}},
        "oneshot": {
            "0": {
                "trials": [PLAIN, trial(0.7, 1.3, 25)],
                "targets": [
                    {"asked": 1.3, "measured": 1.2, "accuracy": 0.7},
                    {"asked": 0.9, "measured": None, "accuracy": None},
                ],
            }
        },
    }
    supernet.show_targets({"runs": runs})
    supernet.show_times({"runs": runs})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["oneshot", "0", "1.30x", "1.200x", "yes", "70.00", "60.00", "25"] in lines
    assert ["oneshot", "0", "0.90x", "-", "no", "-", "-", "25"] in lines
    assert ["oneshot", "0.25"] in lines
    assert ["random", "1.00"] in lines


def test_ranking_goes_on_where_it_stopped_and_refuses_other_settings(tmp_path, capsys):
    out = tmp_path / "supernet.json"
    arguments = ["--quick", "--only", "oneshot", "--parts", "ranking", "truth", "--out", str(out)]
    supernet.main(arguments)
    first = json.loads(out.read_text())
    assert len(first["truth"]) == supernet.QUICK["architectures"]
    assert "Kendall's tau over 5 architectures" in capsys.readouterr().out
    supernet.main(arguments)
    assert json.loads(out.read_text()) == first  # the times, too: nothing was trained again
    out.write_text(json.dumps({**first, "settings": {}}))
    with pytest.raises(InputError, match="holds results of other settings"):
        supernet.main(arguments)
