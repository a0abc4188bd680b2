"""Makes the runs of format 2 in this folder, once: `python tests/results/assets/make.py`.

They are kept to see that later versions read them, so they are never made again. Those of
format 1 were made by the version that wrote that: `run-format-1` with one trial of each state,
every field in use, and `searched-format-1` by the commands of `searched` below.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from attnas.core import ItemScores, Trial
from attnas.results import Run
from attnas.search_space import Architecture, Argument, Attention, Backbone, Depth, stage_decisions

ASSETS = Path(__file__).parent
SCORES = [0.5, -0.25, 1.0, 0.75]


def backbone(depth: int, outputs: int) -> Backbone:
    return Backbone("resnet_cifar", (("depth", depth),), (3, 8, 8), (outputs,))


BACKBONE_1, BACKBONE_2 = backbone(8, 10), backbone(14, 2)
DECISIONS_2 = (
    Attention("layer1", 0),
    Attention("layer1", 1),
    Attention("layer2"),
    Argument("depth"),
    Depth("layer3"),
)
PLAIN = {"latency_ms": 2.0, "params": 77000.0}
CONFIG_1 = {
    "name": "run-format-1",
    "objectives": {"accuracy": "max", "latency_ms": "min"},
    "constraints": {"latency_ms": "<= 1.15x"},
    "seed": 0,
}
CONFIG_2 = {
    "name": "run-format-2",
    "task": {"name": "regression", "loss_function": "huber"},
    "objectives": {"r2": "max", "energy_mj": "min"},
    "constraints": {"latency_ms": "<= 1.15x"},
    "plugins": [],
    "seed": 0,
}
COMMON_FACTS = {
    "identity_start": True,
    "plain": {"metrics": PLAIN, "violations": {}, "intervals": {}, "uncounted": []},
    "data": {"source": "digits"},
    "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
    "recipe": {"epochs": 6},
    "strategy": {"name": "random"},
    "seed": 0,
}
FACTS_1 = {
    **COMMON_FACTS,
    "backbone": {
        "name": "resnet_cifar",
        "arguments": {"depth": 8},
        "input_shape": [3, 8, 8],
        "classes": 10,
    },
    "options": {key: ["none", "eca@post", "se:r8@residual"] for key in BACKBONE_1.stage_names},
    "objectives": CONFIG_1["objectives"],
    "constraints": CONFIG_1["constraints"],
}
FACTS_2 = {
    **COMMON_FACTS,
    "plugins": [],
    "backbone": BACKBONE_2.to_dict(),
    "decisions": [decision.to_dict() for decision in DECISIONS_2],
    "options": {
        "layer1.0": ["none", "eca@post"],
        "layer1.1": ["none", "eca@post", "se:r8@residual"],
        "layer2": ["none", "se:r8@residual"],
        "depth": ["14", "8"],
        "layer3.depth": ["1", "2"],
    },
    "objectives": CONFIG_2["objectives"],
    "constraints": CONFIG_2["constraints"],
    "task": CONFIG_2["task"],
    "scored": "r2",
    "box": {"r2": [0.0, 1.0], "validation_loss": [1.0, 0.0]},
    "metrics": {
        "r2": {"better": "max", "rank": 10},
        "energy_mj": {"better": "min", "unit": "mJ", "meaning": "of one image"},
    },
    "training_function": None,
    "space_size": 48,
}


def trials_1() -> list[Trial]:
    """What is in `run-format-1`."""

    def architecture(*options: str) -> Architecture:
        return Architecture.read(BACKBONE_1, stage_decisions(BACKBONE_1), options)

    return [
        Trial(
            number=0,
            architecture=Architecture.plain(BACKBONE_1),
            epochs=6,
            state="complete",
            metrics={"accuracy": 0.5, **PLAIN},
            intervals={"accuracy": (0.3, 0.7), "latency_ms": (1.9, 2.1)},
            seconds=2.5,
            started="2026-01-31T10:00:00+00:00",
            scores=ItemScores.of("accuracy", np.array([True, False] * 10)),
            uncounted=("aten::mystery",),
        ),
        Trial(
            number=1,
            architecture=architecture("se:r8@residual", "eca@post", "none"),
            epochs=6,
            state="infeasible",
            metrics={"latency_ms": 2.6},
            violations={"latency_ms <= 1.15x": 0.13},
            started="2026-01-31T10:00:03+00:00",
        ),
        Trial(
            number=2,
            architecture=architecture("none", "eca@post", "none"),
            epochs=6,
            state="failed",
            metrics={"latency_ms": 2.1, "validation_loss": float("inf")},
            reason="the loss is not finite",
            seconds=0.5,
            seed=7,
            started="2026-01-31T10:00:05+00:00",
        ),
    ]


def trials_2() -> list[Trial]:
    """What is in `run-format-2`: one of each state, every field in use."""

    def architecture(*options: str) -> Architecture:
        return Architecture.read(BACKBONE_2, DECISIONS_2, options)

    return [
        Trial(
            number=0,
            architecture=Architecture.plain(BACKBONE_2, DECISIONS_2),
            epochs=6,
            state="complete",
            metrics={"r2": 0.5, "energy_mj": 3.5, **PLAIN},
            intervals={"r2": (0.3, 0.7), "latency_ms": (1.9, 2.1)},
            seconds=2.5,
            started="2026-01-31T10:00:00+00:00",
            scores=ItemScores.of("r2", np.array(SCORES)),
            uncounted=("aten::mystery",),
        ),
        Trial(
            number=1,
            architecture=architecture("none", "eca@post", "se:r8@residual", "8", "1"),
            epochs=2,
            state="complete",
            metrics={"r2": 0.4, "energy_mj": 1.5, "latency_ms": 1.2},
            violations={"r2 >= 0.45": 0.11},
            reason="r2 >= 0.45 missed by 11.1%",
            seconds=1.5,
            started="2026-01-31T10:00:03+00:00",
            scores=ItemScores.of("r2", np.array(SCORES[::-1])),
            schedule_epochs=6,
            half_size=True,
        ),
        Trial(
            number=2,
            architecture=architecture("eca@post", "se:r8@residual", "none", "14", "2"),
            epochs=6,
            state="infeasible",
            metrics={"latency_ms": 2.6},
            violations={"latency_ms <= 1.15x": 0.13},
            started="2026-01-31T10:00:04+00:00",
        ),
        Trial(
            number=3,
            architecture=architecture("none", "none", "none", "8", "2"),
            epochs=6,
            state="failed",
            metrics={"latency_ms": 2.1, "validation_loss": float("inf")},
            reason="diverged: the loss is inf in epoch 2",
            seconds=0.5,
            seed=7,
            started="2026-01-31T10:00:05+00:00",
        ),
    ]


def written() -> None:
    """Makes `run-format-2`."""
    folder = ASSETS / "run-format-2"
    environment = {"python": "3.11"}
    with Run.create(folder, config=CONFIG_2, facts=FACTS_2, environment=environment) as run:
        for trial in trials_2():
            run.append(trial)
    tidied(folder)


def searched() -> None:
    """Makes `searched-format-2` by the real commands; the export is its `best.yaml`."""
    folder = ASSETS / "searched-format-2"
    for arguments in (
        ["search", f"{folder}.yaml", "--runs", str(ASSETS)],
        ["confirm", str(folder), "--seeds", "2"],
        ["export", str(folder)],
    ):
        subprocess.run([sys.executable, "-m", "attnas", *arguments], check=True)
    tidied(folder)


def tidied(folder: Path) -> None:
    """Without what git does not keep."""
    (folder / "lock").unlink()
    shutil.rmtree(folder / "checkpoints")


if __name__ == "__main__":
    written()
    searched()
