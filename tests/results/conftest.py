"""A small run and trials for it, made once and copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from attnas.results import Run, Trial
from attnas.search_space import Architecture, Backbone

settings.register_profile("without deadline", deadline=None)  # other programs take their time
settings.load_profile("without deadline")

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), 10)
OPTIONS = {stage: ["none", "eca@post", "se:r8@residual"] for stage in BACKBONE.stage_names}
CONFIG = {
    "name": "small",
    "objectives": {"accuracy": "max", "latency_ms": "min"},
    "constraints": {"latency_ms": "<= 1.15x"},
    "budget": {"trials": 40},
    "seed": 3,
}
FACTS = {
    "backbone": BACKBONE.to_dict(),
    "identity_start": True,
    "options": OPTIONS,
    "objectives": CONFIG["objectives"],
    "constraints": CONFIG["constraints"],
    "plain": {"metrics": {"latency_ms": 2.0, "params": 77000}, "intervals": {}, "uncounted": []},
    "data": {"source": "digits", "sizes": {"train": 1000, "validation": 20}},
    "device": {"name": "torch-cpu", "threads": 1},
    "recipe": {"epochs": 6},
    "strategy": {"name": "random"},
    "seed": 3,
}


def make_trial(number: int, **changes) -> Trial:
    """A complete trial whose every field comes from its number."""
    rng = np.random.default_rng(number)
    texts = {stage: str(rng.choice(texts)) for stage, texts in OPTIONS.items()}
    correct = np.packbits(rng.random(20) < 0.8).tobytes()
    fields = {
        "number": number,
        "architecture": Architecture.from_texts(BACKBONE, texts),
        "epochs": 6,
        "state": "complete",
        "metrics": {
            "accuracy": round(float(rng.random()), 4),
            "latency_ms": 2 + float(rng.random()),
            "params": int(rng.integers(70_000, 90_000)),
        },
        "intervals": {"latency_ms": (1.9, 3.1)},
        "seconds": 2.5,
        "seed": 3,
        "started": "2026-01-31T10:00:00+00:00",
        "correct": correct,
        "validation_images": 20,
    }
    return Trial(**(fields | changes))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty run; to be copied, for making one takes long."""
    folder = tmp_path_factory.mktemp("template") / "small"
    Run.create(folder, config=CONFIG, facts=FACTS, environment={"python": "3.11"}).close()
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """The folder of an empty run of its own."""
    return Path(shutil.copytree(template, tmp_path / "runs" / "small"))


@pytest.fixture
def run(folder: Path):
    with Run.open(folder) as opened:
        yield opened


@pytest.fixture(scope="session")
def trial() -> Callable[..., Trial]:
    """`make_trial`: a trial by number, with fields changed."""
    return make_trial


@pytest.fixture
def filled(run: Run) -> Run:
    """A run with the plain backbone and every state of trial."""
    run.append(
        make_trial(
            0,
            architecture=Architecture.plain(BACKBONE),
            metrics={"accuracy": 0.5, "latency_ms": 2.0, "params": 77000},
            correct=np.packbits([1, 0] * 10).tobytes(),
        )
    )
    run.append(
        make_trial(
            1,
            metrics={"accuracy": 0.6, "latency_ms": 2.2, "params": 78000},
            correct=np.packbits([1, 0] * 8 + [1, 1, 1, 1]).tobytes(),
        )
    )
    run.append(
        make_trial(
            2,
            state="infeasible",
            metrics={"latency_ms": 2.6},
            violations={"latency_ms <= 1.15x": 0.125},
            correct=b"",
            validation_images=0,
        )
    )
    run.append(make_trial(3, state="failed", metrics={"latency_ms": 2.1}, reason="the loss is NaN"))
    run.append(make_trial(4, metrics={"accuracy": 0.4, "latency_ms": 2.1, "params": 77500}))
    return run


@pytest.fixture(scope="session")
def values() -> dict:
    """The config, facts, options and backbone of the runs here."""
    return {"config": CONFIG, "facts": FACTS, "options": OPTIONS, "backbone": BACKBONE}


@pytest.fixture
def other_run(template: Path, tmp_path: Path):
    """Another empty run of the same kind."""
    with Run.open(shutil.copytree(template, tmp_path / "runs" / "other")) as opened:
        yield opened
