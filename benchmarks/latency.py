"""How well do latencies repeat, measured in pairs with a reference or in a plain loop?

    python -m benchmarks.latency [--quick] [--out FILE]

About 3 minutes on a quiet machine. 20 architectures of `resnet_cifar` of depth 20 at batch 1
on one thread, each measured in 5 passes minutes apart, while another process keeps a second
core busy. Two figures: the spread of an architecture's 5 latencies (standard deviation over
mean, averaged over the architectures; goal 1 %), and Kendall's tau between the orders that
two passes give (mean over the pairs of passes; goal 0.9).

Beside it, in the same passes: the timing loop that one would write, the mean wall time of
calls after warm-up, with as many calls; and the same loop on the processor's clock, which
tells what is due to the clock from what is due to the pairing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import kendalltau
from torch import nn

from attnas.evaluator import Device, device, measure_latency, measure_reference
from attnas.search_space import Architecture, SearchSpace, build, make_backbone

OUT = Path(__file__).parent / "results" / "latency.json"
SHAPE = (3, 32, 32)
METHODS = {
    "pairs": "pairs with a reference",
    "loop": "plain loop",
    "loop_processor": "plain loop, processor time",
}
_BUSY = """
import os, numpy
matrix = numpy.ones((300, 300), "float32")
while os.getppid() == {parent}:
    matrix @ matrix
"""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    space = searched(options.depth)
    architectures = [space.sample(rng) for _ in range(options.architectures)]
    with busy(options.busy):
        passes = measure(device("torch-cpu"), space, architectures, options, rng)
    summary = {method: summarise([one[method] for one in passes]) for method in METHODS}
    show(summary)
    written = {
        "question": (__doc__ or "").partition("\n")[0],
        "command": " ".join(["python -m benchmarks.latency", *(arguments or sys.argv[1:])]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": options.seed,
        "busy_processes": options.busy,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "device": device("torch-cpu").describe(),
        "python": sys.version.split()[0],
        "summary": summary,
        "architectures": [str(architecture) for architecture in architectures],
        "passes": passes,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(written, indent=1) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--busy", type=int, default=1, help="processes that disturb")
    parser.add_argument("--seconds", type=float, default=5.0, help="limit a candidate and pass")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    quick = options.quick
    options.architectures, options.passes = (3, 2) if quick else (20, 5)
    options.depth, options.seconds = (8, 0.1) if quick else (20, options.seconds)
    return options


def searched(depth: int) -> SearchSpace:
    backbone = make_backbone(
        name="resnet_cifar", arguments={"depth": depth}, input_shape=SHAPE, output_shape=(10,)
    )
    return SearchSpace.create(
        backbone,
        blocks=["none", "se", "eca", "cbam", "scse"],
        ratios=[4, 8, 16],
        placements=["residual", "post"],
    )


def measure(
    on: Device,
    space: SearchSpace,
    architectures: Sequence[Architecture],
    options: argparse.Namespace,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """For each pass and method the latencies in ms, in the order of the architectures."""
    networks = [build(architecture, seed=0).eval() for architecture in architectures]
    plain = build(space.plain, seed=0).eval()
    limit = options.seconds
    reference_ms = measure_reference(on, plain, SHAPE, max_seconds=limit).ms
    passes = []
    for _ in range(options.passes):
        began = time.perf_counter()
        found = measure_latency(
            on, networks, plain, SHAPE, rng=rng, reference_ms=reference_ms, max_seconds=limit
        )
        seconds = time.perf_counter() - began
        calls = 2 * int(np.mean([x.pairs for x in found]))  # each pair timed two networks
        wall, processor = loops(on, networks, calls)
        passes.append(
            {
                "pairs": [x.ms for x in found],
                "pairs_intervals": [(x.low, x.high) for x in found],
                "pairs_counts": [x.pairs for x in found],
                "pairs_seconds": seconds,
                "loop": wall,
                "loop_processor": processor,
            }
        )
    return passes


def loops(on: Device, networks: Sequence[nn.Module], calls: int) -> tuple[list[float], list[float]]:
    """Mean milliseconds of a call, network after network, by wall and by processor time."""
    wall, processor = [], []
    with on.measuring():
        for network in networks:
            run = on.prepare(network, SHAPE)
            for _ in range(10):
                run()
            began = time.perf_counter_ns(), time.thread_time_ns()
            for _ in range(calls):
                run()
            wall.append((time.perf_counter_ns() - began[0]) / calls / 1e6)
            processor.append((time.thread_time_ns() - began[1]) / calls / 1e6)
    return wall, processor


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keeps that many cores busy meanwhile."""
    single = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _BUSY.format(parent=os.getpid())]
    children = [subprocess.Popen(command, env=single) for _ in range(processes)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def summarise(passes: Sequence[Sequence[float]]) -> dict[str, float]:
    """Repeatability of latencies (passes x architectures)."""
    figures = np.array(passes)
    spreads = figures.std(axis=0, ddof=1) / figures.mean(axis=0)
    taus = [kendalltau(one, other).statistic for one, other in combinations(figures, 2)]
    return {
        "spread": float(spreads.mean()),
        "largest_spread": float(spreads.max()),
        "tau": float(np.mean(taus)),
        "least_tau": float(np.min(taus)),
    }


def show(summary: dict[str, dict[str, float]]) -> None:
    table = Table("method", "spread %", "largest %", "ratio", "tau", "least tau")
    ours = summary["pairs"]["spread"]
    for method, found in summary.items():
        table.add_row(
            METHODS[method],
            f"{100 * found['spread']:.2f}",
            f"{100 * found['largest_spread']:.2f}",
            f"{found['spread'] / ours:.1f}",
            f"{found['tau']:.3f}",
            f"{found['least_tau']:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
