import json

import numpy as np
import pytest

from benchmarks import racing


def test_it_compares_the_ways_at_equal_cost(tmp_path, capsys):
    out = tmp_path / "racing.json"
    racing.main(["--quick", "--around", "random", "--worlds", "noise 0.3", "--out", str(out)])
    found = json.loads(out.read_text())["results"]["noise 0.3"]
    assert list(found) == [f"random: {way}" for way in racing.WAYS]
    candidates = {name: np.mean(own["candidates"]) for name, own in found.items()}
    assert candidates["random: one seed"] == 20
    assert candidates["random: every seed"] <= 7
    assert 7 < candidates["random: racing"] < 20
    assert "benchmarks.racing" in found["random: racing"]["command"]
    assert "noise 0.3, 20 trainings, 3 repetitions" in capsys.readouterr().out


def test_a_search_sees_the_seeds_and_is_measured_by_the_truth():
    world = racing.synthetic_world("made", 0.3, by_seed=1.0)
    shown, truth = world.shown(np.random.default_rng(0))
    assert shown.shape == (3, world.problem.space.size)
    apart = shown - truth
    scale = truth.std()
    assert apart.std(axis=1) / scale == pytest.approx(0.3, abs=0.02)
    assert np.abs(np.diff(apart.mean(axis=1))).min() > 0.1 * scale
    search = racing.Search(world, shown, 5)
    trials = search.run(racing.made(world, "random", "racing", 5), 20)[-1]
    assert len(trials) - sum(t.state == "infeasible" for t in trials) == 20
    for trial in trials:
        if trial.state == "complete":
            row, index = (trial.seed - 5) // 1000, world.problem.space.index(trial.architecture)
            assert trial.metrics["accuracy"] == shown[row, index]
    one = racing.measured(world, trials[:1], truth)
    plain = world.problem.space.index(world.problem.space.plain)
    assert one["curse"] == pytest.approx(shown[0, plain] - truth[plain])
    assert (one["true_best"], one["candidates"]) == (1.0, 1.0)


def test_the_tables_need_their_folder(capsys):
    with pytest.raises(SystemExit):
        racing.parse(["--worlds", "macro, drawn"])
    assert "name the folder of the table with --tables" in capsys.readouterr().err
