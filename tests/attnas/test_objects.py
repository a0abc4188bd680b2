"""Searches whose backbone, data or training are objects of the program."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import attnas
from attnas.core import InputError, held_objects
from attnas.core import objects as core_objects
from attnas.evaluator import pools_of
from attnas.observer import Observer
from attnas.results import write_export

SIDE = 8
BODY = {"units": ["body.*"], "sites": {"post": {"after": ""}}}


class Net(nn.Module):
    """Two units of one stage."""

    def __init__(self, width: int = 4, classes: int = 3, in_channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1)
        self.body = nn.Sequential(*(nn.Conv2d(width, width, 3, padding=1) for _ in range(2)))
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).relu().mean((2, 3)))


def arrays(items: int = 90, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, items)
    x = rng.integers(0, 120, (items, SIDE, SIDE), dtype=np.uint8) + (40 * y)[:, None, None]
    return x.astype(np.uint8), y


class Pictures(torch.utils.data.Dataset):
    classes = ("ant", "bee", "cow")

    def __init__(self, seed: int = 0) -> None:
        self.x, self.y = arrays(seed=seed)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return torch.from_numpy(self.x[index])[None].float() / 255, int(self.y[index])


def config(**other):
    return {
        "name": "objects",
        "search_space": {
            "backbone": {
                "stages": {"body": {"units": ["body.*"], "sites": {"post": {"after": ""}}}}
            },
            "blocks": ["none", "eca"],
            "placements": ["post"],
        },
        "objectives": {"accuracy": "max", "params": "min"},
        "strategy": {"name": "random"},
        "training": {"epochs": 1, "batch_size": 16},
        "budget": {"trials": 2},
        **other,
    }


@pytest.fixture(autouse=True)
def own_objects(monkeypatch):
    monkeypatch.setattr(core_objects, "_HELD", {})


def search(tmp_path, given=None, **objects):
    return attnas.search(given or config(), runs=tmp_path, observer=Observer(), **objects)


def test_a_closure_and_arrays_are_searched_exported_and_gone_on_with(tmp_path):
    width = 6

    def make(classes, in_channels):
        return Net(width, classes, in_channels)

    run = search(tmp_path, backbone=make, data=arrays())
    assert len(run.trials) == 2
    assert run.facts["data"]["class_counts"]["train"]
    again = search(tmp_path, config(budget={"trials": 2}), backbone=make, data=arrays())
    assert len(again.trials) == 2
    file = tmp_path / "best.yaml"
    write_export(attnas.load_run(run.folder), None, file)
    network = attnas.build(file)
    assert network(torch.zeros(1, 1, SIDE, SIDE)).shape == (1, 3)


def test_another_object_is_another_config(tmp_path):
    def make(classes, in_channels):
        return Net(6, classes, in_channels)

    search(tmp_path, backbone=make, data=arrays())
    with pytest.raises(InputError, match=r"another config: data.source was \"object:data@"):
        search(tmp_path, backbone=make, data=arrays(seed=1))

    def make(classes, in_channels):
        return Net(5, classes, in_channels)

    with pytest.raises(InputError, match=r"backbone.factory was \"object:make@"):
        search(tmp_path, backbone=make, data=arrays())


def test_a_network_keeps_its_weights(tmp_path):
    network = Net()
    before = copy.deepcopy(network.state_dict())
    run = search(tmp_path, backbone=network, data=arrays())
    assert all((value == before[name]).all() for name, value in network.state_dict().items())
    built = attnas.build(run.plain_architecture)
    assert (built.stem.weight == network.stem.weight).all()
    assert attnas.hand_over(backbone=network) == attnas.hand_over(backbone=copy.deepcopy(network))
    with torch.no_grad():
        network.head.bias += 1
    assert attnas.hand_over(backbone=network) != attnas.hand_over(backbone=built)


def test_datasets_and_splits_keep_their_classes_and_parts(tmp_path):
    pools = pools_of({"train": Pictures(), "val": Pictures(1)})
    assert pools.classes == Pictures.classes
    assert pools.train.inputs.dtype == torch.uint8  # 256 levels from 0 to 1 are an image's
    assert (pools.train.inputs[:, 0].numpy() == arrays()[0]).all()
    run = search(tmp_path, backbone=Net, data={"train": Pictures(), "val": Pictures(1)})
    assert run.facts["data"]["sizes"]["validation"] == 90


def test_signals_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    pools = pools_of((rng.normal(size=(30, 2, 16)), rng.normal(size=30)))
    assert pools.train.inputs.dtype == pools.train.targets.dtype == torch.float32
    assert pools.train.inputs.shape == (30, 2, 16)


def test_a_training_function_may_close_over_anything(tmp_path):
    seen = []

    def train(network, epochs, seed):
        seen.append(epochs)
        return {"score": seed + sum(p.numel() for p in network.parameters())}

    given = config(objectives={"score": "max", "params": "min"}, training={"epochs": 2})
    given["search_space"]["backbone"] |= {
        "arguments": {"classes": 3, "in_channels": 1}, "input_shape": [1, SIDE, SIDE]
    }  # fmt: skip
    run = search(tmp_path, given, backbone=Net, train=train)
    assert seen == [2, 2]
    assert run.main_objective.metric == "score"


def test_what_can_be_imported_is_named_not_kept():
    assert attnas.hand_over(backbone=nn.Identity) == {
        "backbone": "torch.nn.modules.linear:Identity"
    }
    assert held_objects() == {}


def test_a_lost_object_is_asked_for(tmp_path, monkeypatch):
    def make(classes, in_channels):
        return Net(6, classes, in_channels)

    run = search(tmp_path, backbone=make, data=arrays())
    file = tmp_path / "best.yaml"
    write_export(run, None, file)
    monkeypatch.setattr(core_objects, "_HELD", {})
    with pytest.raises(InputError, match=r"Hand it over again: attnas\.hand_over\("):
        attnas.build(file)
    attnas.hand_over(backbone=make)
    attnas.build(file)


def test_workers_of_ray_are_given_the_objects(tmp_path):
    pytest.importorskip("ray")

    def make(classes, in_channels):
        return Net(6, classes, in_channels)

    given = config(engine={"ray": {"workers": 1}})
    run = search(tmp_path, given, backbone=make, data=arrays())
    assert [trial.state for trial in run.trials] == ["complete"] * 2


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"backbone": 3}, "backbone: must be callable, not a int."),
        ({"train": "a"}, "train: must be callable, not a str."),
        ({"data": {"test": ()}}, "data: splits are train, validation and test, not test."),
        ({"data": 3}, "data: train is a int; a pair (inputs, targets) or a dataset with a length"),
        ({"data": (np.zeros((3, 2)), np.zeros(2))}, "data: the train part has inputs of shape"),
    ],
)
def test_what_is_not_of_its_kind_is_refused(tmp_path, objects, message):
    with pytest.raises(InputError) as caught:
        search(tmp_path, **({"backbone": Net, "data": arrays()} | objects))
    assert str(caught.value).startswith(message)


def test_what_the_config_names_already_is_not_replaced(tmp_path):
    with pytest.raises(InputError) as caught:
        search(tmp_path, config(data={"source": "digits"}), backbone=Net, data=arrays())
    assert str(caught.value) == "data.source: leave it out: 'data' is handed over as an object."


def test_a_search_shows_its_progress(tmp_path, capsys):
    attnas.search(config(), runs=tmp_path, backbone=Net, data=arrays())
    shown = capsys.readouterr()
    assert "objects: 100%" in shown.err
    assert "2 feasible, best accuracy" in shown.err
    assert "Budget used: 2 trials." in shown.out
