"""`attnas inspect`: what it prints is a description of the same sites."""

import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

from attnas.config import parse_config
from attnas.core import InputError
from attnas.entry import run_command
from attnas.inspection import as_config, inspect
from attnas.objects import hand_over, with_objects

NETWORK = """
import torch
from torch import nn

class SELayer(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x * self.gate(x.mean((2, 3), keepdim=True)).sigmoid()

class Unit(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 8, 3, 1, 1)
        self.se = SELayer(8)

    def forward(self, x):
        return x + self.se(self.conv2(self.conv1(x).relu()))

def make(classes, in_channels):
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 1), nn.Sequential(Unit(), Unit()),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes),
    )
"""


def documented(heading):
    """The keys of the table under a heading of docs/json.md."""
    docs = (Path(__file__).parents[2] / "docs/json.md").read_text()
    table = docs.partition(f"# {heading}\n")[2].split("\n#")[0]
    rows = (line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `"))
    return [key for row in rows for key in re.findall("`([a-z_]+)`", row)]


@pytest.fixture
def content(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "inspected_network.py").write_text(NETWORK)
    return {
        "search_space": {
            "backbone": {"factory": "inspected_network:make"},
            "blocks": ["keep", "none", "se", "mhsa"],
            "placements": ["attention"],
        }
    }


def test_the_stages_are_shown_as_a_section_that_describes_the_same(content):
    found = inspect(parse_config(content))
    text = as_config(found)
    assert text.splitlines() == [
        "# inspected_network:make: 2,586 parameters, an input of 1 x 8 x 8",
        "# mhsa cannot be placed at attention in any stage (8 x 8 x 8)",
        "# attention is there already: 'keep', 'none' and gates at placement 'attention'",
        "stages:",
        "  stage1:  # 2 units: 1.0, 1.1",
        "    units: [1.*]",
        "    sites:",
        "      attention: {replace: se, layout: nchw}  # 8 x 8 x 8, there already",
        "      block: {after: '', layout: nchw}  # 8 x 8 x 8",
        "      post: {after: '', layout: nchw}  # 8 x 8 x 8",
        "      pre: {before: '', layout: nchw}  # 8 x 8 x 8",
        "      replace: {replace: conv2, layout: nchw}  # 8 x 8 x 8",
        "      residual: {after: se, layout: nchw}  # 8 x 8 x 8",
    ]
    content["search_space"]["backbone"]["stages"] = yaml.safe_load(text)["stages"]
    again = inspect(parse_config(content))
    assert again == found


def test_the_command_prints_the_section_or_json(content, tmp_path, capsys):
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump(content))
    assert run_command(["inspect", str(file)]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["stages"]["stage1"]["units"] == ["1.*"]
    assert run_command(["inspect", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == inspect(parse_config(content))
    assert list(shown) == documented("inspect")
    stage = shown["stages"]["stage1"]
    assert list(stage) == documented("inspect: stages")
    assert list(stage["sites"]["attention"]) == documented("inspect: sites")
    site = shown["stages"]["stage1"]["sites"]["attention"]
    assert site == {
        "mode": "replace",
        "path": "se",
        "layout": "nchw",
        "attention": True,
        "units": 2,
        "first": [8, 8, 8],
        "last": [8, 8, 8],
    }
    assert run_command(["inspect", str(file), "--set", "search_space.backbone.factory=a:b"]) == 2


def test_a_network_from_python_needs_no_stages(content):
    made = importlib.import_module("inspected_network").make(10, 1)
    names = hand_over(backbone=made)
    found = inspect(parse_config(with_objects({"search_space": {"blocks": ["none"]}}, names)))
    assert found["stages"]["stage1"]["units"] == ["1.0", "1.1"]
    assert found["notes"] == [
        "attention is there already: 'keep', 'none' and gates at placement 'attention'"
    ]


def test_patterns_of_the_training_are_listed_with_the_batch_norms_they_stop():
    found = inspect(
        parse_config(
            {
                "search_space": {"backbone": {"name": "resnet_cifar", "depth": 8, "width": 8}},
                "training": {
                    "freeze": ["stem", "re:layer[12]"],
                    "learning_rate_scale": {"new": 10, "conv1": 2, "head": 0.5},
                },
            }
        )
    )
    text = "\n".join(found["notes"])
    assert "training.freeze: 're:layer[12]' names 2: layer1, layer2" in text
    assert "training.learning_rate_scale: 'conv1' names 3: layer1.0.conv1, " in text
    assert "'head' names" not in text
    assert "batch norms that stay in eval mode: stem.1, layer1.0.bn1, layer1.0.bn2, " in text


def test_a_recipe_that_does_not_fit_is_refused():
    config = {"training": {"freeze": ["stm"]}}
    with pytest.raises(InputError, match=r"training\.freeze.0.: .* Did you mean 'stem'"):
        inspect(parse_config(config))
