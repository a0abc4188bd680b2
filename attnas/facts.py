"""What a run remembers of the search that made it, and of the machine."""

import hashlib
import inspect
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from attnas.core import METRICS, Screening, described
from attnas.evaluator import Evaluator

from .config import Config
from .problem import Problem

PACKAGES = ("attnas", "torch", "numpy", "optuna", "fvcore", "pandas", "moocore", "scikit-learn")


def make_facts(config: Config, problem: Problem, plain: Screening) -> dict[str, Any]:
    """What a run must remember to be read without its config being interpreted again."""
    space, task, data = problem.space, problem.task, problem.data
    return {
        "plugins": list(config.plugins),
        "backbone": space.backbone.to_dict(),
        "decisions": [decision.to_dict() for decision in space.decisions],
        "identity_start": space.identity_start,
        "options": {n: list(o) for n, o in zip(space.names, space.options, strict=True)},
        "baselines": {name: found.by_name for name, found in problem.baselines.items()},
        "objectives": {o.metric: o.direction for o in problem.objectives},
        "constraints": {c.metric: str(c) for c in problem.constraints},
        "plain": asdict(plain),
        "task": config.task.model_dump() if task is not None else None,
        "scored": task.scored if task is not None else _main_metric(problem),
        "box": task.box(data) if task is not None and data is not None else {},
        "metrics": _descriptions(config, problem),
        "data": dict(data.facts) if data is not None else {},
        "device": config.device.model_dump(),
        "recipe": config.training.model_dump(exclude_none=True),
        "training_function": function_facts(config, problem),
        "strategy": config.strategy.model_dump(),
        "seed": config.seed,
        "space_size": space.size,
    }


def _main_metric(problem: Problem) -> str:
    """What a training of one's own is looked at by: its first metric that takes training."""
    trained = [o.metric for o in problem.objectives if not o.described.cheap]
    return next(iter(trained), "")


def _descriptions(config: Config, problem: Problem) -> dict[str, dict[str, Any]]:
    """What a reader must know of the metrics that are not built in, by name."""
    names = {*problem.metrics, *(config.metrics or ())}
    names |= set(problem.task.metrics) if problem.task is not None else set()
    directions = {o.metric: o.direction for o in problem.objectives}
    found = {}
    for name in sorted(names):
        known = asdict(described(name))
        known["better"] = known["better"] if name in METRICS else directions.get(name, "max")
        found[name] = {k: v for k, v in known.items() if k not in ("name", "measure")}
    return found


def function_facts(config: Config, problem: Problem) -> dict[str, str] | None:
    """Name and digest of the source of a training of one's own."""
    if problem.function is None:
        return None
    try:
        source = inspect.getsource(problem.function)
    except (OSError, TypeError):
        source = ""
    digest = hashlib.sha256(source.encode()).hexdigest()
    return {"name": str(config.training.function), "sha256": digest}


def environment(evaluator: Evaluator) -> dict[str, Any]:
    """Versions and machine, for a reader who wants to know what the figures hold for."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "training_threads": torch.get_num_threads(),
        **evaluator.environment(),
    }


def screening_from(facts: Mapping[str, Any]) -> Screening:
    """The plain backbone's cheap metrics as a run remembers them."""
    plain = facts["plain"]
    intervals = {name: (low, high) for name, (low, high) in plain["intervals"].items()}
    return Screening(plain["metrics"], {}, intervals, tuple(plain["uncounted"]))
