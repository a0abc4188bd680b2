import pytest

from benchmarks import supernet_tables

PLAIN = {
    "architecture": "none none none",
    "state": "complete",
    "seconds": 10,
    "accuracy": 0.6,
    "loss": 1.2,
    "cost": 1,
}


def trial(accuracy, cost, seconds, loss=1.2):
    return {**PLAIN, "accuracy": accuracy, "cost": cost, "seconds": seconds, "loss": loss}


def test_hypervolume_grows_by_the_areas_that_trials_add():
    """The corner is at 0.55 and 1.5: plain covers 0.05 x 0.5; 0.65 at 1.3 adds 0.05 x 0.2."""
    found = {"trials": [PLAIN, trial(0.65, 1.3, 20), trial(0.5, 1.0, 30)]}
    assert supernet_tables.volumes(found, "accuracy") == [
        (10, pytest.approx(0.025)),
        (20, pytest.approx(0.035)),
        (30, pytest.approx(0.035)),
    ]


def test_hypervolume_by_loss_has_its_corner_above_the_plain_backbones():
    """The corner is at 1.3 and 1.5: plain covers 0.1 x 0.5; 1.0 at 1.3 adds 0.2 x 0.2."""
    found = {"trials": [PLAIN, trial(0.6, 1.3, 20, loss=1.0)]}
    assert supernet_tables.volumes(found, "loss") == [
        (10, pytest.approx(0.05)),
        (20, pytest.approx(0.09)),
    ]


def test_the_best_within_a_bound_looks_at_what_was_there_in_time():
    found = {"trials": [PLAIN, trial(0.7, 1.2, 20), trial(0.8, 1.2, 40), trial(0.9, 1.4, 15)]}
    assert supernet_tables.best_within(found, 1.25, 30, "accuracy") == 0.7
    assert supernet_tables.best_within(found, 1.25, 50, "accuracy") == 0.8
    assert supernet_tables.best_within(found, 0.9, 50, "accuracy") is None
    found["trials"].append(trial(0.1, 1.2, 50, loss=1.1))
    assert supernet_tables.best_within(found, 1.25, 50, "loss") == 1.1


def test_the_tables_say_what_the_results_hold(capsys):
    runs = {
        "random": {"0": {"trials": [PLAIN, trial(0.65, 1.3, 100)], "targets": []}},
        "oneshot": {
            "0": {
                "trials": [PLAIN, trial(0.7, 1.3, 25)],
                "targets": [
                    {"asked": 1.3, "measured": 1.2, "accuracy": 0.69, "loss": 1.21},
                    {"asked": 0.9, "measured": None, "accuracy": None, "loss": None},
                ],
            }
        },
    }
    supernet_tables.show_targets({"runs": runs})
    supernet_tables.show_times({"runs": runs})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    kept = ["69.00", "70.00", "60.00", "1.210", "1.200", "1.200", "25"]
    assert ["oneshot", "0", "1.30x", "1.200x", "yes", *kept] in lines
    assert ["oneshot", "0", "0.90x", "-", "no", *6 * ["-"], "25"] in lines
    assert ["oneshot", "0.25"] in lines
    assert ["random", "1.00"] in lines


def test_only_what_all_seeds_have_trained_is_ranked(capsys):
    names = "abcdef"
    scores = {name: [i / 10, 1 - i / 10] for i, name in enumerate(names)}
    truth = {name: {"0": score, "1": score} for name, score in scores.items()}
    truth["f"].pop("1")  # broken off
    ranking = {"oneshot": {"4": {"seconds": 9.0, "inherited": scores}}}
    supernet_tables.show_ranking({"truth": truth, "ranking": ranking})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert any(line[:2] == ["Kendall's", "tau"] and "5" in line for line in lines)
    for by, against in (("accuracy", "accuracy"), ("loss", "accuracy"), ("loss", "loss")):
        assert [by, against, "oneshot", "4", "1.00"] in [line[:5] for line in lines]
