"""How well do latencies repeat, within a process and between processes?

    python -m benchmarks.latency [--quick] [--busy N] [--architectures N] [--passes N] [--out FILE]

About 20 minutes on a quiet machine; `--architectures 8 --passes 4` takes a third of it. 20
architectures of `resnet_cifar` of depth 20 on 32 x 32 images at batch 1 on one thread, each
measured in 5 passes within one process, and in 5 fresh processes, as a search screens them: one
after the other. `--busy` processes keep cores busy meanwhile. Two figures: the spread of an
architecture's latencies (standard deviation over mean, averaged over the architectures; goal
1 %), and Kendall's tau between the orders that two passes give (mean over the pairs of passes;
goal 0.9).

Beside it, in the same passes: the medians of pairs on one instance that attnas took before
(`median_of_pairs`); the timing loop that one would write, the mean wall time of calls after
warm-up, with as many calls; and the same loop on the processor's clock. The first two are
ratios to the plain backbone.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau
from torch import nn

from attnas.evaluator import Device, Latency, device, measure_latency
from attnas.search_space import Architecture, SearchSpace, build, make_backbone

from . import median_of_pairs
from .provenance import print_table

OUT = Path(__file__).parent / "results" / "latency.json"
SHAPE = (3, 32, 32)
METHODS = {
    "pairs": "pairs with a reference",
    "before": "medians of pairs, one instance",
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
    if options.one_pass:
        print(json.dumps(one_pass(options)))
        return
    with busy(options.busy):
        passes = {
            "one process": [one_pass(options) for _ in range(options.passes)],
            "fresh processes": [in_a_process(options) for _ in range(options.passes)],
        }
    summary = {
        where: {method: summarise([one[method] for one in found]) for method in METHODS}
        for where, found in passes.items()
    }
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
        "architectures": [str(architecture) for architecture in chosen(options)[1]],
        "passes": passes,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(written, indent=1) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--busy", type=int, default=1, help="processes that disturb")
    parser.add_argument("--seconds", type=float, default=2.5, help="limit a candidate and pass")
    parser.add_argument("--architectures", type=int, default=20)
    parser.add_argument("--passes", type=int, default=5, help="in one process, and processes")
    parser.add_argument("--one-pass", action="store_true", help="print one pass as JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    options.depth = 20
    if options.quick:
        options.architectures, options.passes = 3, 2
        options.depth, options.seconds = 8, 0.1
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


def chosen(options: argparse.Namespace) -> tuple[SearchSpace, list[Architecture]]:
    space, rng = searched(options.depth), np.random.default_rng(options.seed)
    return space, [space.sample(rng) for _ in range(options.architectures)]


def one_pass(options: argparse.Namespace) -> dict[str, Any]:
    """For each method the figures in the order of the architectures."""
    on = device("torch-cpu")
    space, architectures = chosen(options)
    networks = [build(architecture, seed=0).eval() for architecture in architectures]
    plain = build(space.plain, seed=0).eval()
    rng = np.random.default_rng()

    def each(method: Callable[..., list[Latency]]) -> tuple[list[Latency], float]:
        began, found = time.perf_counter(), []
        for network in networks:
            found += method(
                on, [network], plain, SHAPE, rng=rng, reference_ms=1.0, max_seconds=options.seconds
            )
        return found, time.perf_counter() - began

    pairs, pairs_seconds = each(measure_latency)
    before, before_seconds = each(median_of_pairs.measure_latency)
    calls = 2 * int(np.mean([x.pairs for x in before]))  # each pair timed two networks
    wall, processor = loops(on, networks, calls)
    return {
        "pairs": [x.ratio for x in pairs],
        "pairs_intervals": [(x.low, x.high) for x in pairs],
        "pairs_instances": [x.instances for x in pairs],
        "pairs_settled": [x.settled for x in pairs],
        "pairs_seconds": pairs_seconds,
        "before": [x.ratio for x in before],
        "before_intervals": [(x.low, x.high) for x in before],
        "before_seconds": before_seconds,
        "loop": wall,
        "loop_processor": processor,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def in_a_process(options: argparse.Namespace) -> dict[str, Any]:
    """One pass of a fresh process."""
    command = [sys.executable, "-m", "benchmarks.latency", "--one-pass"]
    command += ["--seed", str(options.seed), "--seconds", str(options.seconds)]
    command += ["--architectures", str(options.architectures)]
    command += ["--quick"] if options.quick else []
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


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


def show(summary: dict[str, dict[str, dict[str, float]]]) -> None:
    rows = [
        [
            where,
            METHODS[method],
            f"{100 * found['spread']:.2f}",
            f"{100 * found['largest_spread']:.2f}",
            f"{found['spread'] / methods['pairs']['spread']:.1f}",
            f"{found['tau']:.3f}",
            f"{found['least_tau']:.3f}",
        ]
        for where, methods in summary.items()
        for method, found in methods.items()
    ]
    head = ["passes in", "method", "spread %", "largest %", "ratio", "tau", "least tau"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
