import pandas as pd
import pytest

from attnas.config import parse_config
from attnas.problem import make_problem
from attnas.search_space import AttentionOption

SPACE = {
    "backbone": {"name": "resnet_cifar", "depth": 8},
    "blocks": ["none", "se", "eca", "scse"],
    "ratios": [4, 8],
    "placements": ["residual", "post"],
}
WORTH = {"none": 0.0, "se": 0.02, "eca": 0.015, "scse": 0.03}
COST = {"none": 0.0, "se": 0.2, "eca": 0.1, "scse": 0.4}


def accuracy(architecture):
    """A formula that stands for training: stages add up, and two blocks of a kind disturb."""
    options = parsed(architecture)
    repeated = len(options) - len({option.block for option in options})
    placed = sum(0.004 for option in options if option.placement == "post")
    return 0.6 + sum(WORTH[option.block] for option in options) - 0.005 * repeated + placed


def latency_ms(architecture):
    return 1.0 + sum(COST[option.block] for option in parsed(architecture))


def parsed(architecture):
    return [AttentionOption.parse(option) for option in architecture.options]


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """A CSV with a formula's results for every architecture of `SPACE`."""
    path = tmp_path_factory.mktemp("table") / "table.csv"
    empty = tmp_path_factory.mktemp("table") / "one.csv"
    row = {"layer1": "none", "layer2": "none", "layer3": "none", "epochs": 6, "seconds": 1}
    pd.DataFrame([{**row, "accuracy": 0.5}]).to_csv(empty, index=False)
    space = make_problem(
        parse_config(
            {
                "search_space": SPACE,
                "objectives": {"accuracy": "max"},
                "evaluator": {"table": str(empty)},
            }
        )
    ).space
    rows = [
        a.by_name
        | {
            "epochs": 6,
            "accuracy": accuracy(a),
            "latency_ms": latency_ms(a),
            "params": 1000 + 10 * i,
            "seconds": 10.0,
        }
        for i, a in enumerate(space.enumerate())
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def settings(table):
    """A config, as a mapping, of a search on the table."""
    return {
        "name": "replayed",
        "search_space": SPACE,
        "constraints": {"latency_ms": "<= 1.6x"},
        "strategy": {"name": "evolution"},
        "budget": {"trials": 25},
        "evaluator": {"table": str(table)},
    }
