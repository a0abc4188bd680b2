import json

import numpy as np
import pytest

from attnas.core import ItemScores
from attnas.results import Confirmation, Confirmed, ConfirmedScore
from benchmarks import worth


def test_it_confirms_what_each_strategy_recommends(tmp_path, capsys):
    out = tmp_path / "worth.json"
    worth.main(
        ["--quick", "--strategies", "random", "--runs", str(tmp_path / "runs"), "--out", str(out)]
    )
    written = json.loads(out.read_text())
    found = written["strategies"]["random"]
    assert (found["trained"], found["rejected"]) == (4, 0)
    assert found["latency_ratios"]["0"] == 1
    confirmed = found["confirmed"]
    assert len(confirmed["seeds"]) == 2
    baselines = {entry["baseline"] for entry in confirmed["front"]} - {None}
    assert baselines == {"se:r16@residual", "eca@residual"}
    assert "path" not in written["settings"]["data"]
    assert confirmed["verdict"] in capsys.readouterr().out


def confirmation(*shares):
    """The plain backbone and trials 1, 2, ... that are right on so many of 100 items."""

    def entry(trial, option, count):
        scores = [
            ConfirmedScore(seed, ItemScores.of("accuracy", np.arange(100) < count + seed))
            for seed in (1, 2, 3)
        ]
        return Confirmed(trial, {"layer1": option}, tuple(scores))

    plain, *others = shares
    front = tuple(entry(n, f"se:r{n}@post", count) for n, count in enumerate(others, 1))
    return Confirmation(entry(None, "none", plain), front, 1 if others else None, 18, {})


def test_strategies_are_compared_by_what_they_recommend():
    found = worth._between({"model": confirmation(50, 70), "random": confirmation(50, 60, 90)})
    assert found["random"]["difference"] == pytest.approx(0.10)
    assert worth._text(found["random"]).startswith("+10.00 (")
    plain = worth._between({"model": confirmation(50, 70), "none": confirmation(50)})
    assert plain["none"]["difference"] == pytest.approx(0.20)


def test_the_data_are_asked_for(capsys):
    with pytest.raises(SystemExit):
        worth.main([])
    assert "--data is needed" in capsys.readouterr().err
