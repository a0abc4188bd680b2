"""Seconds of the commands that only look, on a run of recorded trials.

    python -m benchmarks.commands [--trials 100] [--quick] [--out FILE]

Prints user and wall seconds, the least of several, and what of the large libraries was loaded.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import attnas
from attnas.config import parse_config
from attnas.problem import make_problem

from .provenance import RESULTS, print_table, provenance, write_json

LARGE = ("torch", "optuna", "sqlalchemy", "pandas", "scipy.stats", "scipy.special", "plotly")
PROGRAM = Path(sys.executable).with_name("attnas")
COMMANDS = (
    "--help",
    "strategies",
    "devices",
    "blocks",
    "pareto a",
    "show a 3",
    "export a -o best.yaml",
    "compare a b",
)
SPACE = {
    "blocks": ["none", "se", "eca", "cbam"],
    "ratios": [4, 8, 16],
    "placements": ["residual", "post"],
}


def recorded(folder: Path, trials: int) -> None:
    """Two runs of so many trials, replayed from a table of made-up figures."""
    row = {"epochs": 6, "seconds": 1.0, "accuracy": 0.5, "latency_ms": 1.0}
    content = {"search_space": SPACE, "evaluator": {"table": str(folder / "table.csv")}}
    space_only = {"search_space": SPACE, "evaluator": None, "data": {"source": "digits"}}
    space = make_problem(parse_config(space_only)).space
    rows = []
    for i, architecture in zip(range(20 * trials), space.enumerate(), strict=False):
        accuracy, latency_ms = 0.6 + 0.001 * (i * 37 % 200), 1 + 0.003 * (i * 53 % 199)
        figures = {"accuracy": accuracy, "latency_ms": latency_ms}
        rows.append(row | figures | architecture.by_name)
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    for seed, name in enumerate("ab"):
        config = content | {"name": name, "seed": seed, "budget": {"trials": trials}}
        config["strategy"] = {"name": "grid"}
        attnas.search(config, runs=folder / "runs", observer=attnas.Observer()).close()


def timed(command: str, folder: Path, repeats: int) -> dict[str, object]:
    """The least user and wall seconds of a command, and the large libraries that it loads."""
    user, wall = [], []
    for _ in range(repeats):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, time.monotonic()
        call = [str(PROGRAM), *command.split()]
        subprocess.run(call, cwd=folder, check=True, capture_output=True)
        user.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before)
        wall.append(time.monotonic() - began)
    call = [sys.executable, "-X", "importtime", "-m", "attnas", *command.split()]
    said = subprocess.run(call, cwd=folder, check=True, capture_output=True, text=True).stderr
    loaded = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    large = [name for name in LARGE if name in loaded]
    return {"command": command, "user_s": min(user), "wall_s": min(wall), "loads": large}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="few trials, each command once")
    parser.add_argument("--out", type=Path, default=RESULTS / "commands.json")
    given = parser.parse_args(arguments)
    trials, repeats = (5, 1) if given.quick else (given.trials, 3)
    with tempfile.TemporaryDirectory() as made:
        recorded(Path(made), trials)
        rows = [timed(command, Path(made), repeats) for command in COMMANDS]
    print_table(
        ["command", "user s", "wall s", "loads"],
        [
            [row["command"], f"{row['user_s']:.2f}", f"{row['wall_s']:.2f}", row["loads"]]
            for row in rows
        ],
    )
    said = provenance(arguments, "benchmarks.commands")
    write_json(given.out, {**said, "trials": trials, "commands": rows})


if __name__ == "__main__":
    main()
