"""Gives the tests of this folder the module `simulation`."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def simulation():
    path = Path(__file__).with_name("simulation.py")
    spec = importlib.util.spec_from_file_location("strategy_simulation", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
