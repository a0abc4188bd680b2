"""A small run and trials for it, made once and copied."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from attnas.core import METRICS, ItemScores, Trial
from attnas.results import Run
from attnas.search_space import Architecture, Backbone, stage_decisions

settings.register_profile("without deadline", deadline=None)  # other programs take their time
settings.load_profile("without deadline")

BACKBONE = Backbone("resnet_cifar", (("depth", 8),), (3, 8, 8), (10,))
DECISIONS = stage_decisions(BACKBONE)
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
    "decisions": [decision.to_dict() for decision in DECISIONS],
    "identity_start": True,
    "options": OPTIONS,
    "objectives": CONFIG["objectives"],
    "constraints": CONFIG["constraints"],
    "plain": {"metrics": {"latency_ms": 2.0, "params": 77000}, "intervals": {}, "uncounted": []},
    "data": {"source": "digits", "sizes": {"train": 1000, "validation": 20}},
    "device": {"name": "torch-cpu", "threads": 1},
    "recipe": {"epochs": 6},
    "task": {"name": "classification"},
    "scored": "accuracy",
    "metrics": {"accuracy": {"better": "max", "format": "percent", "rank": 10}},
    "box": {"accuracy": [0.1, 1.0]},
    "strategy": {"name": "random"},
    "seed": 3,
}


def right(bits) -> ItemScores:
    """Which items of the validation split are right."""
    return ItemScores.of("accuracy", np.asarray(bits, dtype=bool))


def make_trial(number: int, **changes) -> Trial:
    """A complete trial whose every field comes from its number."""
    rng = np.random.default_rng(number)
    texts = {stage: str(rng.choice(texts)) for stage, texts in OPTIONS.items()}
    scores = right(rng.random(20) < 0.8)
    fields = {
        "number": number,
        "architecture": Architecture.read(BACKBONE, DECISIONS, texts),
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
        "scores": scores,
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
            scores=right([1, 0] * 10),
        )
    )
    run.append(
        make_trial(
            1,
            metrics={"accuracy": 0.6, "latency_ms": 2.2, "params": 78000},
            scores=right([1, 0] * 8 + [1, 1, 1, 1]),
        )
    )
    run.append(
        make_trial(
            2,
            state="infeasible",
            metrics={"latency_ms": 2.6},
            violations={"latency_ms <= 1.15x": 0.125},
            scores=None,
        )
    )
    run.append(make_trial(3, state="failed", metrics={"latency_ms": 2.1}, reason="the loss is NaN"))
    run.append(make_trial(4, metrics={"accuracy": 0.4, "latency_ms": 2.1, "params": 77500}))
    return run


@pytest.fixture(scope="session")
def values() -> dict:
    """The config, facts, options and backbone of the runs here."""
    return {
        "config": CONFIG,
        "facts": FACTS,
        "options": OPTIONS,
        "backbone": BACKBONE,
        "decisions": DECISIONS,
    }


@pytest.fixture
def other_run(template: Path, tmp_path: Path):
    """Another empty run of the same kind."""
    with Run.open(shutil.copytree(template, tmp_path / "runs" / "other")) as opened:
        yield opened


@pytest.fixture
def own_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run says of its own metrics is forgotten after the test."""
    monkeypatch.setattr(METRICS, "_provided", dict(METRICS._provided))


ERROR = "depth_error_mm"
ERRORS = {0: (2.0, 2.0), 1: (1.5, 2.2), 2: (1.9, 2.1), 3: (2.5, 2.1)}  # with the latency


UNITS = {ERROR: {"better": "min", "unit": "mm", "meaning": "mean error of depth"}}


def make_errors_run(folder: Path, *, scored: bool) -> Run:
    """A run whose metric is one of a user's own: an error in mm, of which less is better.

    With `scored`, each trial has one error an item; their spread is the same in all.
    """
    facts = FACTS | {
        "objectives": {ERROR: "min", "latency_ms": "min"},
        "constraints": {ERROR: "<= 2.2", "latency_ms": "<= 1.15x"},
        "task": None,
        "scored": ERROR,
        "metrics": UNITS,
        "box": {},
    }
    config = CONFIG | {"objectives": facts["objectives"], "constraints": facts["constraints"]}
    run = Run.create(folder, config=config, facts=facts, environment={"python": "3.11"})
    spread = np.linspace(-0.5, 0.5, 16)
    for number, (error, latency) in ERRORS.items():
        options = ["none", "none", OPTIONS["layer3"][number]] if number < 3 else ["eca@post"] * 3
        broken = {f"{ERROR} <= 2.2": error / 2.2 - 1} if error > 2.2 else {}
        shift = np.where(np.arange(16) % 2, 0.0, 0.1 * number)  # in half of the items
        values = error + spread + shift - shift.mean()
        run.append(
            make_trial(
                number,
                metrics={ERROR: error, "latency_ms": latency},
                scores=ItemScores.of(ERROR, values) if scored else None,
                violations=broken,
                architecture=Architecture.read(BACKBONE, DECISIONS, options),
            )
        )
    return run


@pytest.fixture
def errors(tmp_path: Path, own_metrics: None):
    """A run of errors with one score an item."""
    with make_errors_run(tmp_path / "runs" / "errors", scored=True) as made:
        yield made


@pytest.fixture
def errors_alone(tmp_path: Path, own_metrics: None):
    """A run of errors whose training gives no scores."""
    with make_errors_run(tmp_path / "runs" / "alone", scored=False) as made:
        yield made
