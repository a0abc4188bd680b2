"""What trainings begin with, and proxies, through whole searches on tiny networks."""

from types import SimpleNamespace

import pytest
import torch

from attnas.config import parse_config
from attnas.confirmation import confirm
from attnas.core import InputError
from attnas.search_loop import Observer, search
from attnas.search_space import Architecture, Backbone, build
from attnas.setup import in_its_precision

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


def settings(**given):
    return {
        "name": "tiny",
        "data": {"source": "digits", "train": 200, "validation": 100},
        "search_space": {
            "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
            "blocks": ["none", "eca", "sse"],
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "training": {"epochs": 1, "precision": "float32"},
        "strategy": {"name": "random"},
        "budget": {"trials": 2},
        **given,
    }


def problem(config, tmp_path):
    with pytest.raises(InputError) as caught:
        search(config, runs=tmp_path / "runs")
    assert caught.value.key == "init"
    return caught.value.problem


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Those of a backbone that is trained well enough to be told from a random one."""
    from attnas.evaluator import Recipe, load_data, make_task, train

    task = make_task("classification", {})
    data = load_data("digits", task, train=1000, validation=100)
    network = build(Architecture.plain(BACKBONE), seed=5)
    recipe = Recipe(epochs=6, precision="float32", half_resolution=0)
    train(network, data, task, recipe, seed=0)
    file = tmp_path_factory.mktemp("weights") / "plain.pt"
    torch.save(network.state_dict(), file)
    return file


def test_a_search_begins_with_a_trained_backbone(weights, tmp_path):
    slow = {"epochs": 1, "precision": "float32", "learning_rate": 1e-6, "half_resolution": 0}
    run = search(settings(training=slow, init=str(weights)), runs=tmp_path)
    assert all(trial.metrics["accuracy"] > 0.6 for trial in run.trials)
    confirmed = confirm(run, seeds=2, epochs=1)
    assert min(score.value for score in confirmed.plain.scores) > 0.6


def test_a_run_does_not_go_on_with_other_weights(weights, tmp_path):
    file = tmp_path / "plain.pt"
    file.write_bytes(weights.read_bytes())
    config = settings(init=str(file), budget={"trials": 1})
    notes = Notes()
    run = search(config, runs=tmp_path / "runs", observer=notes)
    assert not {"synflow", "naswot", "grad_norm"} & run.trials[0].metrics.keys()
    assert not any("synflow" in text for text in notes.texts)
    torch.save(build(Architecture.plain(BACKBONE), seed=6).state_dict(), file)
    assert problem({**config, "budget": {"trials": 2}}, tmp_path).startswith(
        "the file has other weights than those that the run "
    )


def test_a_supernet_to_begin_with_needs_a_strategy_that_trains_one(tmp_path):
    assert problem(settings(init="supernet"), tmp_path) == (
        "'random' trains no supernet. Take a strategy that does (darts, gdas, proxyless, "
        "oneshot), or give a file of weights."
    )
    assert not (tmp_path / "runs").exists()


def test_candidates_inherit_the_supernet_of_the_runs_strategy(tmp_path):
    slow = {"epochs": 1, "precision": "float32", "learning_rate": 1e-12}
    strategy = {
        "name": "oneshot",
        "supernet_epochs": 1,
        "population": 2,
        "generations": 1,
        "check": 1,
    }
    run = search(settings(init="supernet", strategy=strategy, training=slow), runs=tmp_path)
    assert len(run.trials) == 2
    kept = torch.load(run.checkpoints / "oneshot" / "supernet.pt", weights_only=True)
    assert "supernet" in kept["parts"]
    assert {trial.state for trial in run.trials} == {"complete"}


def test_proxies_are_taken_only_where_they_are_asked_for(tmp_path):
    notes = Notes()
    run = search(
        settings(
            metrics=["synflow"],
            objectives={"accuracy": "max", "grad_norm": "max"},
        ),
        runs=tmp_path,
        observer=notes,
    )
    assert all({"synflow", "grad_norm"} <= trial.metrics.keys() for trial in run.trials)
    assert not any("naswot" in trial.metrics for trial in run.trials)
    text = notes.texts[-1]
    assert text.startswith("grad_norm against accuracy over 2 architectures: ")
    assert "\nsynflow against accuracy over 2 architectures: " in text


@pytest.mark.parametrize(
    ("asked", "recorded", "used"),
    [
        ("auto", "bfloat16", "bfloat16"),
        ("auto", "float32", "float32"),
        ("float32", "bfloat16", "float32"),
        ("auto", "its own", "auto"),
    ],
)
def test_a_run_goes_on_in_the_precision_that_it_began_with(asked, recorded, used):
    """`auto` is a timing of the moment: one run must not mix what it gave at two of them."""
    config = parse_config(settings(training={"epochs": 1, "precision": asked}))
    run = SimpleNamespace(environment={"precision": recorded})
    assert in_its_precision(config, run).training.precision == used


@pytest.mark.parametrize(
    ("training", "key"),
    [
        ({"freeze": ["stem"]}, "training.freeze"),
        ({"learning_rate_scale": {"new": 10}}, "training.learning_rate_scale"),
        ({"ema": 0.9}, "training.ema"),
    ],
)
def test_a_strategy_with_a_supernet_refuses_what_its_supernet_cannot_follow(
    training, key, tmp_path
):
    content = settings(strategy={"name": "oneshot"})
    content["training"] = {**content["training"], **training}
    with pytest.raises(InputError, match="'oneshot' trains a supernet") as caught:
        search(content, runs=tmp_path)
    assert caught.value.key == key


def test_a_search_with_a_fine_tuning_recipe_records_it(tmp_path):
    given = {"optimizer": "adamw", "freeze": ["stem"], "learning_rate_scale": {"new": 10}}
    content = settings(training={"epochs": 1, "precision": "float32", "ema": 0.9, **given})
    run = search(content, runs=tmp_path, observer=Observer())
    recorded = run.facts["recipe"]
    assert given.items() <= recorded.items()
    assert (recorded["learning_rate"], recorded["weight_decay"]) == (1e-3, 0.05)
    assert [trial.state for trial in run.trials] == ["complete", "complete"]
