import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    """Imports a module of the folder `benchmarks`, which is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_the_comparison_runs_and_writes_what_it_prints(benchmark, tmp_path, capsys):
    out = tmp_path / "strategies.json"
    arguments = ["--quick", "--problems", "additive", "--out", str(out)]
    benchmark("strategies").main([*arguments, "--only", "random", "local"])
    benchmark("strategies").main([*arguments, "--only", "evolution"])
    printed = capsys.readouterr().out
    results = json.loads(out.read_text())["results"]["additive"]
    assert set(results) == {"random", "local", "evolution"}
    assert all(np.shape(r["hypervolume"]) == (2, 1) for r in results.values())
    for name, own in results.items():
        middle = np.median(own["hypervolume"])
        assert f"{name:<10} {own['ms_per_proposal']:7.1f} ms    20: {middle:.3f} [" in printed


def test_finding_the_whole_front_is_a_share_of_one(benchmark):
    problem = benchmark("problems").synthetic("rugged", options=3)
    feasible = np.flatnonzero(problem.feasible)
    assert len(feasible) == pytest.approx(problem.space.size / 2, abs=1)
    assert problem.hypervolume_share(feasible) == pytest.approx(1)
    assert problem.hypervolume_share([]) == 0
    assert 0 < problem.hypervolume_share(feasible[::4]) < 1


def test_a_search_trains_only_what_meets_the_bound(benchmark):
    module = benchmark("strategies")
    problem = benchmark("problems").synthetic("additive", options=3)
    strategy = module.make_strategy(
        "random", space=problem.space, objectives=module.OBJECTIVES, epochs=1, seed=0
    )
    trained, _ = module.search(problem, strategy, 200)
    assert sorted(trained) == np.flatnonzero(problem.feasible).tolist()


def test_the_mark_says_which_is_better_only_when_it_is_sure(benchmark):
    mark = benchmark("strategies").mark
    control = np.linspace(0, 1, 20)
    assert mark(control + 0.1, control) == "+"
    assert mark(control - 0.1, control) == "-"
    assert mark(control, control) == "="
    assert mark(control[:3] + 0.1, control) == "="  # too few to be sure


def test_the_first_and_those_within_its_noise_are_named(benchmark):
    """Paired over the seeds, for the checkpoints that a strategy has."""
    noise = np.random.default_rng(0).normal(size=(40, 2))
    results = {
        "best": {"checkpoints": [20, 40], "hypervolume": noise + 1},
        "near": {"checkpoints": [20, 40], "hypervolume": noise[::-1] + 0.95},
        "worse": {"checkpoints": [20, 40], "hypervolume": noise[:30] + 0.8},
        "short": {"checkpoints": [20], "hypervolume": noise[:, :1] + 0.9},
    }
    found = benchmark("strategies").first(results, "hypervolume")
    assert found == {20: ["best", "near"], 40: ["best", "near"]}


def test_problems_of_tables_need_their_folder(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark("strategies").parse(["--problems", "recorded", "macro"])
    assert "macro: name the folder of the tables with --tables" in capsys.readouterr().err
    parsed = benchmark("strategies").parse(["--tables", "elsewhere"])
    assert {"macro", "accel", "recorded"} <= set(parsed.problems)


def test_a_table_is_recorded_goes_on_and_loads(benchmark, tmp_path):
    from attnas.evaluator import Table

    recording = benchmark("record_table")
    out = tmp_path / "table.parquet"
    arguments = ["--source", "digits", "--train", "64", "--validation", "100", "--rungs", "1"]
    recording.main([*arguments, "--out", str(out), "--architectures", "1"])
    first = out.read_bytes()
    recording.main([*arguments, "--out", str(out), "--architectures", "1"])
    assert out.read_bytes() == first
    recording.main([*arguments, "--out", str(out), "--architectures", "2"])
    space = recording.recorded_space(recording.resnet8((1, 8, 8)))
    assert space.size == 340
    table = Table.load(out, space, metrics=("accuracy", "latency_ms", "params"))
    assert len(table.rows) == 2
    plain = table.lookup(space.plain, 1).metrics
    assert plain["params"] == plain_params()
    assert 0 < plain["accuracy"] < 1
    assert json.loads(out.with_suffix(".json").read_text())["settings"]["sizes"]["train"] == 64


def test_a_table_of_rungs_has_a_row_for_each_of_one_training(benchmark, tmp_path):
    from attnas.evaluator import Recipe, Table, load_data, make_task, train
    from attnas.search_space import build

    recording = benchmark("record_table")
    out = tmp_path / "table.parquet"
    arguments = ["--source", "digits", "--train", "64", "--validation", "100", "--width", "4"]
    recording.main([*arguments, "--rungs", "1", "2", "--architectures", "1", "--out", str(out)])
    space = recording.recorded_space(recording.resnet8((1, 8, 8), width=4))
    table = Table.load(out, space, metrics=("accuracy",))
    assert table.epochs == (1, 2)
    early, whole = (table.lookup(space.plain, epochs) for epochs in (1, 2))
    assert early.seconds < whole.seconds
    task = make_task("classification", {})
    data = load_data("digits", task, train=64, validation=100)
    network = build(space.plain, seed=0)
    in_one_go = train(network, data, task, Recipe(batch_size=64), seed=0, epochs=2).metrics
    assert whole.metrics["validation_loss"] == pytest.approx(in_one_go["validation_loss"])


def plain_params():
    """ResNet-8 of width 8 on one channel: convolutions, batch norms (2 each), classifier."""
    convolutions = 9 * (1 * 8 + 2 * 8 * 8 + 8 * 16 + 16 * 16 + 16 * 32 + 32 * 32)
    projections = 8 * 16 + 16 * 32
    norms = 2 * (8 * 3 + 16 * 3 + 32 * 3)
    return convolutions + projections + norms + 32 * 10 + 10


def test_a_table_is_not_continued_with_other_settings(benchmark, tmp_path):
    recording = benchmark("record_table")
    out = tmp_path / "table.parquet"
    out.with_suffix(".json").write_text(json.dumps({"settings": {"epochs": 9}}))
    arguments = ["--source", "digits", "--train", "64", "--validation", "100"]
    with pytest.raises(recording.AttnasError, match="was begun with other settings"):
        recording.main([*arguments, "--out", str(out)])
