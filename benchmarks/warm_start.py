"""How many epochs from a trained backbone rank as well as ten from scratch?

Question: candidates begin with the weights of a trained plain backbone (`init: FILE`) and
near-identity blocks. After how many epochs does their order agree as well with a reference as
the order after 10 epochs from scratch does? And how well do the zero-cost proxies rank?

    python -m benchmarks.warm_start --data PATH

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). 8 architectures of a ResNet-8, 3,000
training and 5,000 validation images, one thread, about 15 minutes of a core of 2020. Stopped,
the same command goes on. `--quick` (seconds, meaningless figures) takes digits.

The reference is the mean of `--references` trainings from scratch with seeds of their own, as
long as the one from scratch. Columns: `tau` is Kendall's rank correlation with the reference by
accuracy, `low` and `high` its 95 % interval, `tau_loss` that of the two validation losses.
"""

import argparse
import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnas.core import rank_correlation
from attnas.evaluator import (
    BatchProxies,
    Data,
    FromBackbone,
    FromScratch,
    Recipe,
    Start,
    load_data,
    train,
)
from attnas.search_space import build

from .provenance import RESULTS, earlier_trainings, print_table, provenance, write_json
from .signal import TASK, architecture

PROXIES = ("synflow", "naswot", "grad_norm")
ARCHITECTURES = (
    "none",
    "se:r4@residual",
    "eca@post",
    "cbam:r8@residual",
    "scse:r8@pre",
    "sse@post",
    "coord:r8@residual",
    "simam@residual",
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is trained: `epochs` from scratch, each of `warm` from the trained backbone."""

    names: tuple[str, ...]
    epochs: int
    warm: tuple[int, ...]
    references: int


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    torch.set_num_threads(1)
    data, recipe, plan = _setting(options)
    settings = {
        "recipe": recipe.model_dump(),
        "data": {name: fact for name, fact in data.facts.items() if name != "path"},
        "plan": {**dataclasses.asdict(plan), "names": list(plan.names), "warm": list(plan.warm)},
    }
    trainings = earlier_trainings(options.out, settings)
    source = provenance(arguments, "benchmarks.warm_start")
    backbone: Start | None = None
    for key in _wanted(plan):
        if any(_key(t) == key for t in trainings):
            continue
        start: Start = FromScratch()
        if key[0] == "backbone":
            start = backbone = backbone or _trained_backbone(data, recipe, plan)
        trainings.append(_training(key, start, data, recipe))
        _write(options.out, settings, trainings, source, [])
        print(*key, f"{trainings[-1]['cpu_seconds']:.0f} s", flush=True)
    rows = table(trainings, plan, _proxies(data, recipe, plan))
    _write(options.out, settings, trainings, source, rows)
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    print(conclusion(rows, plan))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, help="CIFAR-10 as Parquet, a file or a folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "warm_start.json")
    parser.add_argument("--train", type=int, default=3_000, help="training images")
    parser.add_argument("--references", type=int, default=2, help="trainings of the reference")
    parser.add_argument("--quick", action="store_true", help="digits, five architectures")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data is needed (or --quick)")
    return options


def _setting(options: argparse.Namespace) -> tuple[Data, Recipe, Plan]:
    if options.quick:
        data = load_data("digits", TASK, train=100, validation=100)
        return data, Recipe(batch_size=50), Plan(ARCHITECTURES[:5], 2, (1,), 1)
    data = load_data("parquet", TASK, path=options.data, train=options.train, validation=5_000)
    return data, Recipe(), Plan(ARCHITECTURES, 10, (1, 2, 4), options.references)


Key = tuple[str, int, int, str]
"""Start, seed, epochs, architecture."""


def _wanted(plan: Plan) -> list[Key]:
    """Every training, the cheapest first."""
    kinds = [
        *(("backbone", 0, epochs) for epochs in plan.warm),
        ("scratch", 0, plan.epochs),
        *(("reference", 1 + seed, plan.epochs) for seed in range(plan.references)),
    ]
    return [(*kind, name) for kind in kinds for name in plan.names]


def _key(training: Mapping[str, Any]) -> Key:
    return tuple(training[part] for part in ("start", "seed", "epochs", "architecture"))  # type: ignore[return-value]


def _trained_backbone(data: Data, recipe: Recipe, plan: Plan) -> FromBackbone:
    """The plain backbone after as many epochs as the others from scratch, trained once."""
    network = build(architecture("none", data), seed=0)
    train(network, data, TASK, recipe, seed=0, epochs=plan.epochs)
    return FromBackbone(network.state_dict(), "trained here")


def _training(key: Key, start: Start, data: Data, recipe: Recipe) -> dict[str, Any]:
    kind, seed, epochs, name = key
    cpu_begin = time.process_time()
    network = start.network(architecture(name, data), seed)
    result = train(network, data, TASK, recipe, seed=seed, epochs=epochs)
    return {
        "start": kind,
        "seed": seed,
        "epochs": epochs,
        "architecture": name,
        "accuracy": result.metrics["accuracy"],
        "loss": result.metrics["validation_loss"],
        "cpu_seconds": round(time.process_time() - cpu_begin, 2),
    }


def _proxies(data: Data, recipe: Recipe, plan: Plan) -> dict[str, list[float]]:
    measure = BatchProxies(PROXIES, data, TASK, recipe, seed=0)
    found = [measure(architecture(name, data)) for name in plan.names]
    return {proxy: [values[proxy] for values in found] for proxy in PROXIES}


def table(
    trainings: Sequence[Mapping[str, Any]], plan: Plan, proxy_values: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """One row a start and number of epochs, then one a proxy."""
    done = {_key(t): t for t in trainings}

    def scores(start: str, epochs: int, score: str, seed: int = 0) -> np.ndarray:
        return np.array([done[start, seed, epochs, name][score] for name in plan.names])

    truth = {
        score: np.mean(
            [scores("reference", plan.epochs, score, 1 + s) for s in range(plan.references)], 0
        )
        for score in ("accuracy", "loss")
    }
    rows = []
    for start, epochs in [("scratch", plan.epochs), *(("backbone", e) for e in plan.warm)]:
        by_loss = rank_correlation(list(scores(start, epochs, "loss")), list(truth["loss"]))
        values = list(scores(start, epochs, "accuracy"))
        rows.append(_row(start, epochs, values, truth["accuracy"], _rounded(by_loss.tau)))
    for proxy, values in proxy_values.items():
        rows.append(_row(proxy, 0, values, truth["accuracy"], None))
    return rows


def _row(
    start: str, epochs: int, values: Sequence[float], truth: np.ndarray, by_loss: float | None
) -> dict[str, Any]:
    found = rank_correlation(values, list(truth))
    return {
        "start": start,
        "epochs": epochs,
        "tau": _rounded(found.tau),
        "low": _rounded(found.low),
        "high": _rounded(found.high),
        "tau_loss": by_loss,
        "spread": _rounded(float(np.std(values)), 4),
    }


def _rounded(value: float, digits: int = 3) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def conclusion(rows: Sequence[Mapping[str, Any]], plan: Plan) -> str:
    """After how many epochs the warm start reaches what scratch has."""
    goal = next(row["tau"] for row in rows if row["start"] == "scratch")
    if goal is None:
        return "From scratch no rank correlation can be told: nothing varies."
    reached = [
        row["epochs"]
        for row in rows
        if row["start"] == "backbone" and row["tau"] is not None and row["tau"] >= goal
    ]
    if not reached:
        return (
            f"Not reached: from scratch tau is {goal} after {plan.epochs} epochs, from the trained "
            f"backbone less after each of {', '.join(map(str, plan.warm))}."
        )
    return (
        f"Reached after {min(reached)} epochs from the trained backbone: tau at least the {goal} "
        f"of {plan.epochs} epochs from scratch."
    )


def _write(
    out: Path,
    settings: Mapping[str, Any],
    trainings: Sequence[Mapping[str, Any]],
    source: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    content = {
        "question": "How many epochs from a trained backbone rank as well as ten from scratch?",
        "provenance": source,
        "settings": settings,
        "table": rows,
        "trainings": trainings,
    }
    write_json(out, content)


if __name__ == "__main__":
    main()
