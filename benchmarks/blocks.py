"""How fast is each block, against timm's class for it and against the memory's bandwidth?

    python -m benchmarks.blocks [--quick] [--only BLOCK ...] [--order ORDER] [--out FILE]

Some 6 minutes on one core. Each block alone, as its paper has it, in eval and eager mode, on one
thread: at four sizes of maps, batch 1 and 32, channels_last (or `--order contiguous`). Where timm
has a class for the same function, both are run in turns, which of the two first by chance; `ratio`
is timm's time over ours, the median of the pairs (above 1: ours is faster). Goals: nothing slower
by more than 5 %, and 1.15 as the geometric mean. timm's tokens and pixels are views of the maps,
so nothing is copied for it that its networks would not copy.

`limit` is our time over that of copying such a map once, the least that a block must move, as it
reads each value and writes one. `--quick` takes a few blocks at one size, for a second.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from math import exp, log
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnas.search_space import BLOCKS, Block

from .provenance import RESULTS, print_table, provenance, write_json
from .timm_blocks import references

SIZES = ((64, 32), (128, 16), (256, 14), (512, 7))
BATCHES = (1, 32)
QUICK = ("se", "cbam", "simam")
ORDERS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
WARMUP = 2


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    sizes, batches = (SIZES[:1], BATCHES[:1]) if options.quick else (SIZES, BATCHES)
    names = options.only or (QUICK if options.quick else sorted(BLOCKS))
    cases: list[dict[str, Any]] = []
    for channels, side in sizes:
        for batch in batches:
            x = _maps(batch, channels, side, options)
            copying = _copying(x, options)
            for name in names:
                case = _case(BLOCKS[name], x, options, rng)
                if case is not None:
                    cases.append({**case, "limit": case["ms"] / copying})
    show(cases)
    content = {
        "question": (__doc__ or "").partition("\n")[0],
        **provenance(arguments, "benchmarks.blocks"),
        "timm": _version("timm"),
        "order": options.order,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "summary": summary(cases),
        "cases": cases,
    }
    write_json(options.out, content)


def _case(
    entry: Block, x: Tensor, options: argparse.Namespace, rng: np.random.Generator
) -> dict[str, Any] | None:
    """Milliseconds of one block at one size, beside timm's; None where it cannot be placed."""
    batch, channels, height, width = x.shape
    ratio, make = references().get(entry.name, (usual_ratio(entry), None))
    if not entry.legal(channels, height, width, ratio):
        return None
    ours = entry.make(channels, ratio, identity_start=False, size=(height, width))
    runs = [_prepared(ours, x, options.order)]
    if make is not None and (theirs := _reference(make, x, options.order)) is not None:
        runs.append(theirs)
    times = _in_turns(runs, options.seconds * len(runs) / 2, rng)
    found = {
        "block": entry.name,
        "channels": channels,
        "side": height,
        "batch": batch,
        "ms": median(pair[0] for pair in times),
        "timm_ms": None,
        "ratio": None,
        "repeats": len(times),
    }
    if len(runs) == 2:
        found["timm_ms"] = median(pair[1] for pair in times)
        found["ratio"] = median(pair[1] / pair[0] for pair in times)
    return found


def usual_ratio(entry: Block) -> int | None:
    """The middle of the ratios that it knows."""
    return entry.ratios[len(entry.ratios) // 2] if entry.ratios else None


def _reference(
    make: Callable[..., nn.Module], x: Tensor, order: str
) -> Callable[[], Tensor] | None:
    """timm's module for this place, None where its class refuses the size."""
    try:
        run = _prepared(make(x.shape[1], tuple(x.shape[2:])), x, order)
        return run if run().shape == x.shape else None
    except (AssertionError, RuntimeError):
        return None


def _prepared(module: nn.Module, x: Tensor, order: str) -> Callable[[], Tensor]:
    module = module.eval().to(memory_format=ORDERS[order])  # type: ignore[call-overload]

    @torch.inference_mode()
    def run() -> Tensor:
        return module(x)

    return run


def _in_turns(
    runs: Sequence[Callable[[], Any]], seconds: float, rng: np.random.Generator
) -> list[list[float]]:
    """Milliseconds of each in every round; rounds until the time is used, at least 3."""
    for run in runs:
        for _ in range(WARMUP):
            run()
    rounds: list[list[float]] = []
    while len(rounds) < 3 or sum(map(sum, rounds)) < 1e3 * seconds:
        taken = [0.0] * len(runs)
        for number in rng.permutation(len(runs)):
            taken[number] = _timed(runs[number])
        rounds.append(taken)
    return rounds


def _timed(run: Callable[[], Any]) -> float:
    """Milliseconds of the processor, which other programs do not add to."""
    from attnas.evaluator import device

    clock = device("torch-cpu").clock
    began = clock()
    run()
    return (clock() - began) / 1e6


def _maps(batch: int, channels: int, side: int, options: argparse.Namespace) -> Tensor:
    generator = torch.Generator().manual_seed(options.seed)
    x = torch.randn(batch, channels, side, side, generator=generator)
    return x.contiguous(memory_format=ORDERS[options.order])


def _copying(x: Tensor, options: argparse.Namespace) -> float:
    """Milliseconds to read such maps and write as many."""
    into = torch.empty_like(x)
    rng = np.random.default_rng(0)
    return median(ms for [ms] in _in_turns([lambda: into.copy_(x)], options.seconds / 2, rng))


def summary(cases: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over the cases with timm's class: the geometric mean of the ratios, and the slower blocks."""
    compared = [case for case in cases if case["ratio"] is not None]
    if not compared:
        return {"compared": 0, "geometric_mean": None, "slower_than_goal": []}
    return {
        "compared": len(compared),
        "geometric_mean": exp(mean(log(case["ratio"]) for case in compared)),
        "slower_than_goal": [
            {key: case[key] for key in ("block", "channels", "side", "batch", "ratio")}
            for case in compared
            if case["ratio"] < 0.95
        ],
    }


def show(cases: Sequence[dict[str, Any]]) -> None:
    """One line a block: its time, timm's over it, and it over a copy, of all sizes."""
    rows = []
    for name in dict.fromkeys(case["block"] for case in cases):
        own = [case for case in cases if case["block"] == name]
        ratios = [case["ratio"] for case in own if case["ratio"] is not None]
        limits = exp(mean(log(case["limit"]) for case in own))
        rows.append(
            [
                name,
                *(f"{case['ms']:.3f}" for case in (own[0], own[-1])),
                f"{exp(mean(map(log, ratios))):.2f}" if ratios else "",
                f"{min(ratios):.2f}" if ratios else "",
                f"{limits:.1f}",
            ]
        )
    print_table(["block", "first ms", "last ms", "ratio", "least", "limit"], rows)
    found = summary(cases)
    if found["compared"]:
        slower = len(found["slower_than_goal"])
        print(
            f"\nGeometric mean of {found['compared']} ratios to timm: "
            f"{found['geometric_mean']:.2f}; {slower} below 0.95."
        )


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=sorted(BLOCKS), default=())
    parser.add_argument("--order", choices=sorted(ORDERS), default="channels_last")
    parser.add_argument("--seconds", type=float, help="for each block at each size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    options.out = options.out or RESULTS / ("blocks-quick.json" if options.quick else "blocks.json")
    options.seconds = options.seconds or (0.02 if options.quick else 0.2)
    return options


if __name__ == "__main__":
    main()
