"""Seconds and megabytes of opening, showing and extending runs of many trials.

    python -m benchmarks.results [--trials 100 1000 10000 100000] [--quick] [--out FILE]

Each step is a process of its own. `s` is its wall time and `CPU s` what the processor worked,
which others on the machine change less; `MB` is the most memory that it held. `resume` is a search
that finds its budget used, once torch and Optuna are loaded, which takes as long for every run.
`append` is the mean of the last 100 trials that were stored.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from attnas.config import parse_config
from attnas.core import ItemScores, Screening, Trial
from attnas.facts import make_facts
from attnas.problem import Problem, make_problem
from attnas.results import Run

from .provenance import RESULTS, print_table, provenance, write_json

ITEMS = 5_000  # of the validation split
SPACE = {
    "backbone": {"name": "resnet_cifar", "depth": 20},
    "blocks": ["none", "se", "eca", "cbam", "scse"],
    "ratios": [4, 8, 16],
    "placements": ["residual", "post"],
    "per": "unit",
}
_TIMED = """
import json, sys, time
from pathlib import Path
{before}
began, cpu = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
status = Path("/proc/self/status").read_text().split()
most = int(status[status.index("VmHWM:") + 1]) / 1000  # of this program alone, unlike ru_maxrss
print(json.dumps({{"seconds": seconds, "cpu_s": cpu, "mb": most}}), file=sys.stderr)
"""
_COMMAND = """
from attnas.entry import run_command
assert run_command({arguments!r}) == 0
"""
_LOADED = "import alembic, optuna, sqlalchemy, torch, attnas.live, attnas.search_loop"
STEPS = {
    "open": "import attnas; run = attnas.load_run('many')",
    "pareto": _COMMAND.format(arguments=["pareto", "many"]),
    "show": _COMMAND.format(arguments=["show", "many", "1"]),
    "export": _COMMAND.format(arguments=["export", "many", "-o", "best.yaml"]),
    "frame": "import attnas; attnas.load_run('many').frame()",
    "report": _COMMAND.format(arguments=["report", "many", "-o", "report.html"]),
    "resume": _COMMAND.format(arguments=["search", "config.json", "--set", "budget.trials=1"]),
}


def config(folder: Path, trials: int) -> dict[str, Any]:
    """Of a search that has its trials already; the table is never asked."""
    return {
        "name": "many",
        "search_space": SPACE,
        "constraints": {"latency_ms": "<= 1.3x"},
        "strategy": {"name": "random"},
        "budget": {"trials": trials},
        "evaluator": {"table": str(folder / "table.csv")},
    }


def made_up(problem: Problem, trials: int) -> Iterator[Trial]:
    """Trials as a search gives them, the plain backbone first: one in five infeasible."""
    rng = np.random.default_rng(0)
    began = datetime(2026, 1, 1, tzinfo=UTC)
    hard = rng.random(ITEMS)
    for number in range(trials):
        space = problem.space
        architecture = space.plain if number == 0 else space.sample(rng)
        changed = sum(option != "none" for option in architecture.options)
        latency = 1 + 0.04 * changed + 0.02 * float(rng.random())
        metrics = {"latency_ms": latency, "params": 270_000.0 + 400 * changed}
        broken = {"latency_ms <= 1.3x": latency / 1.3 - 1} if latency > 1.3 else {}
        made = {
            "number": number,
            "architecture": architecture,
            "epochs": 6,
            "seconds": 20.0,
            "started": (began + timedelta(seconds=20 * number)).isoformat(),
            "intervals": {"latency_ms": (0.99 * latency, 1.01 * latency)},
        }
        if broken:
            yield Trial(state="infeasible", metrics=metrics, violations=broken, **made)
            continue
        right = hard + 0.1 * rng.standard_normal(ITEMS) < 0.6 + 0.01 * changed
        metrics |= {"accuracy": float(right.mean()), "validation_loss": 1 - float(right.mean())}
        scores = ItemScores.of("accuracy", right)
        yield Trial(state="complete", metrics=metrics, scores=scores, **made)


def fill(folder: Path, trials: int) -> dict[str, Any]:
    """Makes the run `many` in `folder`/runs; milliseconds to store each of the last trials."""
    row = {"epochs": 6, "seconds": 1.0, "accuracy": 0.5, "latency_ms": 1.0}
    header = {f"layer{s}.{u}": "none" for s in (1, 2, 3) for u in (0, 1, 2)} | row
    table = "\n".join([",".join(header), ",".join(map(str, header.values()))])
    (folder / "table.csv").write_text(f"{table}\n", encoding="utf-8")
    content = config(folder, trials)
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    parsed = parse_config(content)
    problem = make_problem(parsed)
    facts = make_facts(parsed, problem, Screening({"latency_ms": 1.0, "params": 270_000.0}))
    last: list[tuple[float, float]] = []
    with (
        Run.create(
            folder / "runs" / "many",
            config=parsed.model_dump(mode="json", exclude_none=True),
            facts=facts,
            environment={},
        ) as run,
        run.lock(),
    ):
        for trial in made_up(problem, trials):
            before = time.perf_counter(), time.process_time()
            run.append(trial)
            last.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    seconds, cpu = np.mean(last[-100:], axis=0)
    return {"seconds": float(seconds), "cpu_s": float(cpu), "mb": None}


def timed(step: str, folder: Path) -> dict[str, Any]:
    """Seconds and megabytes of a step, in a process of its own."""
    before = _LOADED if step == "resume" else ""
    call = [sys.executable, "-c", _TIMED.format(before=before, work=STEPS[step])]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{step}: {done.stderr}")
    return dict(json.loads(done.stderr.splitlines()[-1]))


def measure(trials: int, steps: Sequence[str]) -> dict[str, Any]:
    """All steps on a run of so many trials."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        found = {"append": fill(folder, trials)}
        found |= {step: timed(step, folder) for step in steps}
        if "report" in steps:
            found["report"]["file_mb"] = (folder / "report.html").stat().st_size / 1e6
    return {"trials": trials, "steps": found}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--quick", action="store_true", help="few trials")
    parser.add_argument("--out", type=Path, default=RESULTS / "results.json")
    given = parser.parse_args(arguments)
    sizes = [5, 20] if given.quick else given.trials
    rows = []
    for trials in sizes:
        rows.append(measure(trials, given.steps))
        print_table(["trials", "step", "s", "CPU s", "MB", "file MB"], _lines(rows[-1:]))
        said = provenance(arguments, "benchmarks.results")
        write_json(given.out, {**said, "items": ITEMS, "runs": rows})


def _lines(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    lines = []
    for row in rows:
        for step, found in row["steps"].items():
            figures = (found["mb"], found.get("file_mb"))
            shown = ["" if value is None else f"{value:.1f}" for value in figures]
            lines.append(
                [
                    f"{row['trials']:,}",
                    step,
                    f"{found['seconds']:.4g}",
                    f"{found['cpu_s']:.4g}",
                    *shown,
                ]
            )
    return lines


if __name__ == "__main__":
    main()
