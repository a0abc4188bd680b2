"""Networks of a user's own, in a module of the working directory; registers put back."""

import sys
from itertools import count
from textwrap import dedent

import pytest
from hypothesis import settings

from attnas.search_space import BACKBONES, BLOCKS, DECISIONS

settings.register_profile("without deadline", deadline=None)  # other programs take their time
settings.load_profile("without deadline")

numbers = count()


@pytest.fixture
def own_registers(monkeypatch):
    """What a test registers is gone after it."""
    for register in (BACKBONES, BLOCKS, DECISIONS):
        register.items()  # what is loaded in the test itself would be forgotten
        for name in ("_found", "_defined", "_provided"):
            monkeypatch.setattr(register, name, dict(getattr(register, name)))


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Writes a module into the working directory; gives its name, which is a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])

    def write(source: str) -> str:
        name = f"own_networks_{next(numbers)}"
        header = "import torch\nfrom torch import nn\n"
        (tmp_path / f"{name}.py").write_text(header + dedent(source))
        return name

    return write
