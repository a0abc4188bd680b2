"""Gives the tests of this folder the modules `simulation` and `sharing`."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def simulation():
    return _beside("simulation")


@pytest.fixture(scope="session")
def sharing():
    return _beside("sharing")


def _beside(name):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"strategy_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
