from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from attnas.core import InputError
from attnas.evaluator import (
    FromBackbone,
    FromScratch,
    FromSupernet,
    Recipe,
    evaluate,
    load_data,
    make_task,
    train,
)
from attnas.search_space import (
    Architecture,
    Backbone,
    SearchSpace,
    Supernet,
    build,
    make_backbone,
    stage_decisions,
)

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
PLAIN = Architecture.plain(BACKBONE)
SPACE = SearchSpace.create(
    BACKBONE, blocks=["none", "se", "cbam"], ratios=[4], placements=["residual", "post"]
)
RECIPE = Recipe(epochs=1, precision="float32")


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_a_candidate_starts_with_the_accuracy_of_the_trained_backbone(tmp_path):
    task = make_task("classification", {})
    data = load_data("digits", task, train=300, validation=200)
    plain = build(PLAIN, seed=0)
    trained = train(plain, data, task, RECIPE, seed=0)
    state = {name: t.contiguous() for name, t in plain.state_dict().items()}
    save_file(state, tmp_path / "plain.safetensors")
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "plain.pt")
    for file in ("plain.safetensors", "plain.pt"):
        start = FromBackbone.read(tmp_path / file, BACKBONE)
        candidate = start.network(
            SPACE.architecture(["se:r4@post", "cbam:r4@residual", "none"]), seed=3
        )
        score = evaluate(candidate, data.validation, data, task, RECIPE)
        assert score.metrics["accuracy"] == trained.metrics["accuracy"]
        assert score.metrics["validation_loss"] == pytest.approx(
            trained.metrics["validation_loss"], rel=1e-4
        )


OWN = """
from torch import nn


class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.units = nn.Sequential(Unit(), Unit())
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.units(x.expand(-1, 8, -1, -1)).mean((2, 3)))
"""


@pytest.mark.parametrize("placement", ["pre", "identity", "post"])
def test_names_that_inserted_blocks_change_need_no_mapping(tmp_path, monkeypatch, placement):
    module = f"own_warm_{placement}"
    (tmp_path / f"{module}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    sites = {"pre": {"before": "conv"}, "identity": {"after": "conv"}, "post": {"after": ""}}
    backbone = make_backbone(
        factory=f"{module}:Own",
        arguments={},
        stages={"units": {"units": ["units.*"], "sites": sites}},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )
    trained = build(Architecture.plain(backbone), seed=7).eval()
    torch.save(trained.state_dict(), "own.pt")
    architecture = Architecture.read(backbone, stage_decisions(backbone), [f"se:r2@{placement}"])
    network = FromBackbone.read(Path("own.pt"), backbone).network(architecture, 0).eval()
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(network(images), trained(images))


def test_the_inserted_blocks_are_those_of_a_start_from_scratch():
    architecture = SPACE.architecture(["se:r4@post", "none", "none"])
    weights = build(PLAIN, seed=9).state_dict()
    warm = FromBackbone(weights, "x").network(architecture, 3).state_dict()
    cold = FromScratch().network(architecture, 3).state_dict()
    assert same({k: v for k, v in warm.items() if k in weights}, weights)
    blocks = warm.keys() - weights.keys()
    assert blocks
    assert all(torch.equal(warm[name], cold[name]) for name in blocks)


def read(path):
    return FromBackbone.read(path, BACKBONE)


def problem(path):
    with pytest.raises(InputError) as caught:
        read(path)
    assert caught.value.key == "init"
    return caught.value.problem


def test_weights_of_another_network_are_refused_with_a_few_names(tmp_path):
    state = build(PLAIN, seed=0).state_dict()
    names = list(state)
    renamed = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save(renamed, tmp_path / "other.pt")
    more = len(names) - 3
    assert problem(tmp_path / "other.pt") == (
        f"'{tmp_path / 'other.pt'}' lacks the weights of the plain resnet_cifar; "
        f"missing: {', '.join(names[:3])} and {more} more; "
        f"unexpected: {', '.join('module.' + n for n in names[:3])} and {more} more."
    )
    state["head.2.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "classes.pt")
    assert problem(tmp_path / "classes.pt").endswith("of another shape: head.2.bias [7], not [10].")


@pytest.mark.parametrize("name", ["junk.pt", "junk.safetensors"])
def test_what_is_no_file_of_weights_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"junk")
    assert problem(tmp_path / name).startswith(
        f"'{tmp_path / name}' is neither safetensors (.safetensors) nor a state dict of torch.save"
    )
    assert problem(tmp_path / "absent.pt") == (
        f"there is no file '{tmp_path / 'absent.pt'}'. Write 'scratch', 'supernet' or a file of "
        "weights."
    )
    torch.save([1], tmp_path / "list.pt")
    assert problem(tmp_path / "list.pt").endswith("holds a list, not a state dict.")


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    torch.save({"state_dict": Path("x")}, tmp_path / "code.pt")
    assert "is neither safetensors" in problem(tmp_path / "code.pt")


def test_the_label_follows_the_content(tmp_path):
    for seed in (0, 1):
        torch.save(build(PLAIN, seed=seed).state_dict(), tmp_path / f"{seed}.pt")
    labels = [read(tmp_path / f"{seed}.pt").label for seed in (0, 1, 0)]
    assert labels[0] == labels[2] != labels[1]


def test_a_candidate_inherits_its_path_of_the_supernet(tmp_path):
    net = Supernet(SPACE, seed=5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1
    torch.save({"parts": {"supernet": net.state_dict()}}, tmp_path / "supernet.pt")
    start = FromSupernet(SPACE, tmp_path / "supernet.pt")
    for architecture in (SPACE.plain, SPACE.at(7), SPACE.at(SPACE.size - 1)):
        found = start.network(architecture, seed=1)
        assert same(found.state_dict(), net.subnet(architecture).state_dict())
        assert type(found) is type(build(architecture))


def test_a_missing_supernet_or_one_of_another_space_is_refused(tmp_path):
    with pytest.raises(InputError, match="the run has no supernet"):
        FromSupernet(SPACE, tmp_path / "supernet.pt").network(PLAIN, 0)
    other = SearchSpace.create(BACKBONE, blocks=["eca"], ratios=[], placements=["residual"])
    state = Supernet(other, seed=0).state_dict()
    torch.save({"parts": {"supernet": state}}, tmp_path / "supernet.pt")
    with pytest.raises(InputError, match="is no supernet of this search space"):
        FromSupernet(SPACE, tmp_path / "supernet.pt").network(PLAIN, 0)
