"""What the room gives: all of its public names, and torch only with those that need it."""

import subprocess
import sys

import attnas.search_space as room

LIGHT = """
import sys
from attnas.core import InputError
from attnas.search_space import (
    BACKBONES, BLOCKS, DECISIONS, NONE, Architecture, Backbone, SearchSpace, StagePattern,
    decision_from_dict, stage_decisions,
)

stages = (StagePattern("one", (), ()), StagePattern("two", (), ()))
backbone = Backbone("package.module:function", (), (3, 8, 8), (10,), stages)
decisions = (decision_from_dict({"kind": "argument", "argument": "width"}),
             *stage_decisions(backbone))
assert str(Architecture(backbone, decisions, ("8", "none", "se:r4@post")))
assert list(BLOCKS) and list(BACKBONES) and list(DECISIONS)
assert BLOCKS.summary("se") and BACKBONES.summary("resnet")
print(sorted({"torch", "fvcore", "scipy", "optuna"} & set(sys.modules)))
"""


def test_every_name_loads():
    assert len(room.__all__) > 30
    assert all(getattr(room, name) is not None for name in room.__all__)


def test_architectures_are_read_and_names_listed_without_torch():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
