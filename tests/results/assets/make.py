"""Makes the run of format 1 in this folder, once: `python tests/results/assets/make.py`.

It is kept to see that later versions read it, so it is never made again.
"""

import shutil
from pathlib import Path

import numpy as np

from attnas.results import Run, Trial
from attnas.search_space import Architecture, Backbone

FOLDER = Path(__file__).parent / "run-format-1"
BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), 10)
OPTIONS = {stage: ["none", "eca@post", "se:r8@residual"] for stage in BACKBONE.stage_names}
PLAIN = {"latency_ms": 2.0, "params": 77000.0}
CONFIG = {
    "name": "run-format-1",
    "objectives": {"accuracy": "max", "latency_ms": "min"},
    "constraints": {"latency_ms": "<= 1.15x"},
    "seed": 0,
}
FACTS = {
    "backbone": BACKBONE.to_dict(),
    "identity_start": True,
    "options": OPTIONS,
    "objectives": CONFIG["objectives"],
    "constraints": CONFIG["constraints"],
    "plain": {"metrics": PLAIN, "violations": {}, "intervals": {}, "uncounted": []},
    "data": {"source": "digits"},
    "device": {"name": "torch-cpu", "threads": 1, "batch_size": 1},
    "recipe": {"epochs": 6},
    "strategy": {"name": "random"},
    "seed": 0,
}


def trials() -> list[Trial]:
    """One of each state, with every field in use."""

    def architecture(*texts: str) -> Architecture:
        return Architecture.from_texts(BACKBONE, texts)

    half = np.packbits([1, 0] * 10).tobytes()
    return [
        Trial(
            number=0,
            architecture=Architecture.plain(BACKBONE),
            epochs=6,
            state="complete",
            metrics={"accuracy": 0.5, **PLAIN},
            intervals={"accuracy": (0.3, 0.7), "latency_ms": (1.9, 2.1)},
            seconds=2.5,
            started="2026-01-31T10:00:00+00:00",
            correct=half,
            validation_images=20,
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


if __name__ == "__main__":
    with Run.create(FOLDER, config=CONFIG, facts=FACTS, environment={"python": "3.11"}) as run:
        for trial in trials():
            run.append(trial)
    (FOLDER / "lock").unlink()
    shutil.rmtree(FOLDER / "checkpoints")  # git keeps no empty folders
