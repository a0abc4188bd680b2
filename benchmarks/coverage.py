"""How often do the intervals, marks and verdicts of attnas hold?

    python -m benchmarks.coverage [--parts NAME ...] [--quick] [--out FILE]

Each row of the table is a claim in one case, with the share of repetitions in which it held and
the 95 % (Wilson) interval of that share; the goal of an interval is 93 to 97 %. Beside each, the
method that attnas used before. Parts:

- `latency_simulated` (4 minutes): intervals of latencies on a simulated machine;
- `latency` (about 30 minutes): in fresh processes on this one, `--cases` are the backbones;
- `marks` (1 minute): marks of noise in runs in which no trial differs from the plain backbone;
- `confirmations` (2 minutes): intervals and verdicts of `confirm`, with `--tables` also with seeds'
  deviations that were recorded.

What earlier calls wrote of other parts stays in the file.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest

from . import coverage_latency, coverage_statistics
from .provenance import RESULTS, print_table, provenance, read_json, write_json

Part = Callable[[argparse.Namespace], dict[str, Any]]
"""What a part gives: `claims`, a list of `claim`, `case`, `method`, `held` and `of`; and whatever
else it wants to keep."""

PARTS: dict[str, Part] = {
    "latency_simulated": coverage_latency.simulated,
    "latency": coverage_latency.processes,
    "marks": coverage_statistics.marks,
    "confirmations": coverage_statistics.confirmations,
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    found = {name: PARTS[name](options) for name in options.parts}
    for part in found.values():
        for claim in part["claims"]:
            claim |= share(claim["held"], claim["of"])
    show(found)
    said = {
        **provenance(arguments, "benchmarks.coverage"),
        "seed": options.seed,
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }
    earlier = (read_json(options.out) or {}).get("parts", {})
    written = {
        "question": (__doc__ or "").partition("\n")[0],
        "parts": {**earlier, **{name: {**said, **part} for name, part in found.items()}},
    }
    write_json(options.out, written)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--cases", nargs="+", choices=coverage_latency.cases(quick=False))
    parser.add_argument("--tables", type=Path, help="folder of recorded spaces")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "coverage.json")
    return parser.parse_args(arguments)


def share(held: int, of: int) -> dict[str, float]:
    """The share with its 95 % interval; repetitions that share a process are not independent."""
    within = binomtest(held, of).proportion_ci(method="wilson")
    return {"share": held / of, "low": float(within.low), "high": float(within.high)}


def show(found: dict[str, dict[str, Any]]) -> None:
    rows = [
        [
            part,
            claim["claim"],
            claim["case"],
            claim["method"],
            claim["of"],
            f"{100 * claim['share']:.1f}",
            f"{100 * claim['low']:.0f} to {100 * claim['high']:.0f}",
            claim.get("width", ""),
        ]
        for part, content in found.items()
        for claim in content["claims"]
    ]
    head = ["part", "claim", "case", "method", "cases", "holds %", "95 %", "width %"]
    print_table(head, rows)


if __name__ == "__main__":
    main()
