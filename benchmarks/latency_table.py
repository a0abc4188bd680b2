"""How well does the latency table predict networks that it has not seen, and at what cost?

    python -m benchmarks.latency_table [--quick] [--seconds S] [--out FILE]

About 5 minutes on a quiet machine. `resnet_cifar` of depth 20 and `mobilenetv2` of width 1 on
32 x 32 images, batch 1, one thread; 5 blocks, 3 ratios, 2 placements. The table is made as a
search makes it (goal: at most 60 seconds), then 25 other random networks are measured more
closely than the table's own. Figures: mean absolute percentage error (goal 3 %), Kendall's tau
(goal 0.9) and R2 of the predictions for those 25.

Beside it the baseline that needs no regression: each option measured alone in its stage of an
otherwise plain network, with the same number of networks and in the same session, and the
differences from the plain backbone added up.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnas.core import AdditiveCost
from attnas.evaluator import (
    SECONDS,
    Device,
    Latency,
    device,
    make_latency_table,
    measure_latency,
    wanted_networks,
)
from attnas.evaluator.latency_table import design, held_out_error
from attnas.search_space import Architecture, SearchSpace, build, make_backbone

from .provenance import RESULTS, print_table, provenance, write_json

SHAPE = (3, 32, 32)
BACKBONES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "resnet_cifar": ({"depth": 20}, ["residual", "post"]),
    "mobilenetv2": ({"width": 1.0}, ["expanded", "residual"]),
}
QUICK = {"resnet_cifar": ({"depth": 8, "width": 16}, ["residual", "post"])}
BLOCKS = ["none", "se", "eca", "cbam", "scse"]
TOGETHER = 5


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    on = device("torch-cpu")
    results = {}
    for name, (settings, placements) in (QUICK if options.quick else BACKBONES).items():
        space = searched(name, settings, placements, options.blocks)
        results[name] = {"settings": settings, **compared(on, space, options)}
    show(results)
    written = {
        "question": (__doc__ or "").partition("\n")[0],
        **provenance(arguments, "benchmarks.latency_table"),
        "seed": options.seed,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "device": on.describe(),
        "results": results,
    }
    write_json(options.out, written)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="budget of a table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "latency_table.json")
    options = parser.parse_args(arguments)
    options.unseen, options.limit = (4, 0.01) if options.quick else (25, 2.0)
    options.seconds = 0.1 if options.quick else options.seconds
    options.blocks = ["none", "se", "eca"] if options.quick else BLOCKS
    return options


def searched(
    name: str, settings: dict[str, Any], placements: list[str], blocks: list[str]
) -> SearchSpace:
    backbone = make_backbone(name=name, arguments=settings, input_shape=SHAPE, output_shape=(10,))
    return SearchSpace.create(
        backbone,
        blocks=blocks,
        ratios=[4, 8, 16],
        placements=placements,
    )


def compared(on: Device, space: SearchSpace, options: argparse.Namespace) -> dict[str, Any]:
    """The table's and the baseline's errors on networks that neither has seen."""
    table = make_latency_table(space, on, seed=options.seed, seconds=options.seconds)
    rng = np.random.default_rng((options.seed, 2))
    unseen = others(space, options, rng)
    measured = measure(on, space, unseen, table.plain_ms, options.limit, rng)
    truth = np.array([found.ms for found in measured])
    began = time.monotonic()
    single = one_change_at_a_time(on, space, table.plain_ms, options, rng)
    single_seconds = time.monotonic() - began
    by_table = np.array([table.predict(architecture) for architecture in unseen])
    by_single = np.array([single.at(space.positions(architecture)) for architecture in unseen])
    return {
        "architectures": space.size,
        "options": [len(allowed) for allowed in space.options],
        "plain_ms": table.plain_ms,
        "unseen": {
            "networks": [str(architecture) for architecture in unseen],
            "measured_ms": truth.tolist(),
            "half_interval": float(
                np.mean([(found.high - found.low) / found.ms / 2 for found in measured])
            ),
            "spread": float(truth.std(ddof=1) / truth.mean()),
        },
        "table": {
            "seconds": table.seconds,
            "networks": table.error.networks,
            "own_held_out": asdict(table.error),
            "predicted_ms": by_table.tolist(),
            "unseen": asdict(held_out_error(by_table, truth)),
        },
        "one_change": {
            "seconds": single_seconds,
            "networks": sum(len(allowed) for allowed in space.options),
            "predicted_ms": by_single.tolist(),
            "unseen": asdict(held_out_error(by_single, truth)),
        },
    }


def others(
    space: SearchSpace, options: argparse.Namespace, rng: np.random.Generator
) -> list[Architecture]:
    """Distinct random networks that the table was not fitted to."""
    wanted = wanted_networks(space)
    taken = set(design(space, np.random.default_rng((options.seed, 0)), wanted))
    found: dict[Architecture, None] = {}
    while len(found) < options.unseen:
        architecture = space.sample(rng)
        if architecture not in taken:
            found[architecture] = None
    return list(found)


def measure(
    on: Device,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    plain_ms: float,
    limit: float,
    rng: np.random.Generator,
) -> list[Latency]:
    """A few at a time; `limit` is in seconds of the device's clock, a network."""
    plain = build(space.plain, seed=0).eval()
    found: list[Latency] = []
    for start in range(0, len(architectures), TOGETHER):
        together = architectures[start : start + TOGETHER]
        found += measure_latency(
            on,
            [build(architecture, seed=0).eval() for architecture in together],
            plain,
            SHAPE,
            rng=rng,
            reference_ms=plain_ms,
            max_seconds=limit,
            now=on.clock,
        )
    return found


def one_change_at_a_time(
    on: Device,
    space: SearchSpace,
    plain_ms: float,
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> AdditiveCost:
    """Each option's own difference from the plain backbone."""
    changed = [
        _changed(space, i, option)
        for i, allowed in enumerate(space.options)
        for option in allowed
        if option != "none"
    ]
    measured = measure(on, space, changed, plain_ms, 0.2 * options.limit, rng)  # as the table's
    ms = {str(a): found.ms for a, found in zip(changed, measured, strict=True)}
    costs = tuple(
        tuple(
            0.0 if option == "none" else ms[str(_changed(space, i, option))] - plain_ms
            for option in allowed
        )
        for i, allowed in enumerate(space.options)
    )
    return AdditiveCost("latency_ms", plain_ms, costs)


def _changed(space: SearchSpace, stage: int, option: str) -> Architecture:
    plain = space.plain.options
    return space.read([*plain[:stage], option, *plain[stage + 1 :]])


def show(results: dict[str, Any]) -> None:
    head = ["backbone", "method", "seconds", "networks", "MAPE %", "tau", "R2"]
    rows = [
        [
            f"{name} {' '.join(f'{k}={v:g}' for k, v in found['settings'].items())}",
            method,
            f"{found[key]['seconds']:.0f}",
            found[key]["networks"],
            f"{100 * found[key]['unseen']['mape']:.2f}",
            f"{found[key]['unseen']['tau']:.3f}",
            f"{found[key]['unseen']['r2']:.3f}",
        ]
        for name, found in results.items()
        for method, key in (("table", "table"), ("one change at a time", "one_change"))
    ]
    print_table(head, rows)


if __name__ == "__main__":
    main()
