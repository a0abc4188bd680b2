"""Networks of a user's own, in a module of the working directory."""

import sys
from itertools import count
from textwrap import dedent

import pytest

numbers = count()


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
