"""Architectures that a person would place by hand: how they are read, trained and shown."""

import json
from functools import partial

import pytest
import yaml

import attnas
from attnas import front_latency
from attnas.baselines import read_baselines
from attnas.config import parse_config
from attnas.core import InputError
from attnas.entry import run_command
from attnas.evaluator import screening
from attnas.observer import Observer
from attnas.problem import make_problem
from attnas.results import baselines_text, pareto_rows, pareto_table
from attnas.results.display import as_text
from attnas.results.headline import headline
from attnas.search_loop import search
from attnas.search_space import SearchSpace, make_backbone

SE = "se:r4@residual"


def make_space(**more):
    backbone = make_backbone(
        name="resnet_cifar", arguments={"depth": 8}, input_shape=(1, 8, 8), output_shape=(10,)
    )
    return SearchSpace.create(
        backbone, blocks=["none", "se"], ratios=[4], placements=["residual"], **more
    )


def test_an_option_is_placed_in_every_stage_and_names_the_baseline():
    found = read_baselines(["eca@residual", SE], make_space())
    assert found["eca@residual"].options == ("eca@residual",) * 3
    assert list(found) == ["eca@residual", SE]


def test_a_mapping_names_its_baselines_and_their_decisions():
    found = read_baselines(
        {"late": {"layer3": "eca@residual"}, "se": "se:r4@residual"}, make_space()
    )
    assert found["late"].options == ("none", "none", "eca@residual")
    assert found["se"] in make_space()


def test_a_frozen_stage_keeps_its_option_and_other_decisions_what_they_are():
    space = make_space(stages={"layer1": {"choice": "none"}}, arguments={"width": [8, 16]})
    plain = space.plain.by_name["width"]
    assert read_baselines([SE], space)[SE].by_name == {
        "width": plain,
        "layer1": "none",
        "layer2": SE,
        "layer3": SE,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["seh:r8@post"], "baselines[0]: unknown block 'seh'"),
        (
            [SE, "se:r8@expanded"],
            "baselines[1]: 'se:r8@expanded' can be placed nowhere in resnet_cifar.",
        ),
        ([SE, SE], f"baselines[1]: is the same network as '{SE}'. Leave one out."),
        (["none"], "baselines[0]: 'none' can be placed nowhere in resnet_cifar."),
        ({"mine": {}}, "baselines.mine: is the plain backbone, which is trained anyway."),
        ({"mine": {"layer9": "se:r8"}}, "baselines.mine.layer9: unknown decision 'layer9'"),
    ],
)
def test_what_is_no_baseline_is_refused_with_its_key(given, message):
    with pytest.raises(InputError) as caught:
        read_baselines(given, make_space())
    assert str(caught.value).startswith(message)


def test_baselines_are_trained_after_the_plain_backbone_whatever_the_strategy(settings, tmp_path):
    settings["baselines"] = ["eca@residual", SE]
    settings["constraints"] = {}
    for strategy in ("random", "tpe", "nsga2"):
        settings |= {"name": strategy, "strategy": {"name": strategy}, "budget": {"trials": 6}}
        run = search(settings, runs=tmp_path, observer=Observer())
        plain, first, second, *others = run.trials
        assert plain.architecture.is_plain
        assert first.architecture.options == ("eca@residual",) * 3
        assert second.architecture.options == (SE,) * 3
        assert run.baselines == {"eca@residual": first, SE: second}
        assert len(others) == 3
        assert all(t.architecture not in (first.architecture, second.architecture) for t in others)


def test_a_search_that_was_broken_off_goes_on_with_its_baselines(settings, tmp_path):
    settings |= {"baselines": [SE, "eca@residual"], "constraints": {}, "budget": {"trials": 2}}
    search(settings, runs=tmp_path, observer=Observer())
    settings["budget"] = {"trials": 4}
    run = search(settings, runs=tmp_path, observer=Observer())
    assert [t.architecture.options[0] for t in run.trials[:3]] == ["none", SE, "eca@residual"]
    assert len({trial.architecture for trial in run.trials}) == 4


def test_a_baseline_that_breaks_a_bound_is_told_and_not_trained(settings, tmp_path):
    settings |= {"baselines": ["scse:r4@post"], "constraints": {"latency_ms": "<= 1.5x"}}
    run = search(settings, runs=tmp_path, observer=Observer())
    assert run.trials[1].state == "infeasible"
    text = "Baselines: scse:r4@post is trial 1 (latency_ms <= 1.5x missed by 46.7%)."
    assert baselines_text(run) == text
    assert text in as_text(pareto_table(run)).replace("\n", " ")
    assert "baseline" not in headline(run)


def test_a_baseline_that_no_table_row_has_is_refused(settings):
    settings["baselines"] = ["sse@post"]
    with pytest.raises(InputError, match=r"^baselines: 'sse@post': .* has no row for"):
        make_problem(parse_config(settings))


def test_a_real_search_ends_in_a_verdict_on_its_baselines(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    brief = partial(screening.measure_reference, max_seconds=0.1)
    monkeypatch.setattr(screening, "measure_reference", brief)
    monkeypatch.setattr(screening, "SCREENING_SECONDS", 0.05)
    monkeypatch.setattr(front_latency, "SECONDS_A_TRIAL", 0.05)
    monkeypatch.setattr("attnas.feasible_share.MEASURED", 2)
    config = {
        "name": "hand",
        "data": {"source": "digits", "train": 200, "validation": 100, "test": 100},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 4},
            "blocks": ["none", "se"],
            "ratios": [2],
        },
        "baselines": {"SE everywhere": "se:r2@residual", "late ECA": {"layer3": "eca@residual"}},
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1},
        "budget": {"trials": 5},
    }
    (tmp_path / "hand.yaml").write_text(yaml.safe_dump(config))
    assert run_command(["search", "hand.yaml"]) == 0
    run = attnas.load_run("hand")
    assert [t.number for t in run.baselines.values()] == [1, 2]
    assert {row["baseline"] for row in pareto_rows(run)} <= {None, *run.baselines}
    capsys.readouterr()
    assert run_command(["confirm", "hand", "--seeds", "2", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert {"SE everywhere", "late ECA"} <= {entry["baseline"] for entry in summary["front"]}
    assert summary["looks"] == [2]
    assert run_command(["confirm", "hand", "--seeds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["looks"] == [2, 3]
    assert run_command(["report", "hand"]) == 0
    assert "baseline SE everywhere" in (tmp_path / "runs/hand/report.html").read_text()
