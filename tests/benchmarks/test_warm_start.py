import json

import pytest

from attnas.core import InputError
from benchmarks import warm_start
from benchmarks.warm_start import Plan, conclusion, table

PLAN = Plan(("a", "b", "c", "d"), 10, (1, 2), 2)


def training(start, seed, epochs, name, accuracy):
    return {
        "start": start,
        "seed": seed,
        "epochs": epochs,
        "architecture": name,
        "accuracy": accuracy,
        "loss": 1 - accuracy,
    }


def trainings(**accuracies):
    keys = {
        "reference1": ("reference", 1, 10),
        "reference2": ("reference", 2, 10),
        "scratch": ("scratch", 0, 10),
        "warm1": ("backbone", 0, 1),
        "warm2": ("backbone", 0, 2),
    }
    return [
        training(*keys[arm], name, accuracy)
        for arm, values in accuracies.items()
        for name, accuracy in zip(PLAN.names, values, strict=True)
    ]


def test_every_start_is_compared_with_the_mean_of_the_references():
    done = trainings(
        reference1=[0.125, 0.25, 0.375, 0.5],
        reference2=[0.125, 0.5, 0.375, 0.5],  # the mean is 1/8, 3/8, 3/8, 1/2
        scratch=[0.125, 0.25, 0.25, 0.5],
        warm1=[0.5, 0.25, 0.25, 0.125],
        warm2=[0.125, 0.25, 0.25, 0.5],
    )
    rows = table(done, PLAN, {"synflow": [1.0, 2.0, 2.0, 0.0]})
    assert [(row["start"], row["epochs"], row["tau"]) for row in rows] == [
        ("scratch", 10, 1.0),
        ("backbone", 1, -1.0),
        ("backbone", 2, 1.0),
        ("synflow", 0, -0.2),  # 2 pairs agree, 3 do not, of 5 that are untied in both
    ]
    assert [row["tau_loss"] for row in rows] == [1.0, -1.0, 1.0, None]
    assert conclusion(rows, PLAN) == (
        "Reached after 2 epochs from the trained backbone: tau at least the 1.0 of 10 epochs from "
        "scratch."
    )
    assert conclusion(rows[:2], PLAN).startswith("Not reached: from scratch tau is 1.0 after 10")


def test_the_quick_run_writes_its_table_and_goes_on_where_it_stopped(tmp_path, capsys):
    out = tmp_path / "warm_start.json"
    warm_start.main(["--quick", "--out", str(out)])
    first = json.loads(out.read_text())
    assert len(first["trainings"]) == 3 * 5
    starts = ["scratch", "backbone", "synflow", "naswot", "grad_norm"]
    assert [row["start"] for row in first["table"]] == starts
    first["trainings"] = first["trainings"][:-1]
    out.write_text(json.dumps(first))
    capsys.readouterr()
    warm_start.main(["--quick", "--out", str(out)])
    again = json.loads(out.read_text())
    assert again["table"] == first["table"]
    assert capsys.readouterr().out.count("reference 1 2") == 1
    again["settings"]["plan"]["epochs"] = 3
    out.write_text(json.dumps(again))
    with pytest.raises(InputError, match="was made with other plan"):
        warm_start.main(["--quick", "--out", str(out)])
