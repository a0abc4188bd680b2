"""What a search itself costs a trial, beside the evaluation.

Question: how many milliseconds of a trial go into proposing it, storing it and showing it,
when 500 trials are in the run?

    python -m benchmarks.overhead [--only NAME ...] [--quick]

About a minute on one core. The run is a real one, with
its store on the disk and the live view drawn into memory as on a terminal; the trials are those
of a synthetic space of 4,096 architectures (`benchmarks.problems`, "interactions"), so that
evaluating costs nothing. The first 500 are drawn at random and stored once for all strategies.

Prints a table, medians and 95th percentiles of wall and processor time, and writes
`benchmarks/results/overhead.json`. The goal is a median under 20 ms
for all but `model`, and under 100 ms for that.
"""

import argparse
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from attnas.config import parse_config
from attnas.coordinator import Coordinator
from attnas.core import ItemScores, Screening, Trial
from attnas.facts import make_facts
from attnas.live import LiveView
from attnas.problem import Problem
from attnas.results import Run
from attnas.strategies import STRATEGIES, make_strategy, preparing_strategies
from benchmarks import problems as spaces
from benchmarks.provenance import RESULTS, print_table, provenance, read_json, write_json

TRIALS, MEASURED = 500, 50
PHASES = ("propose", "store and show", "all")


@dataclass
class Stopwatch:
    """Wall and processor milliseconds by phase, one entry a trial."""

    wall: dict[str, list[float]]
    processor: dict[str, list[float]]

    def timed(self, phase: str, work: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        self.wall[phase].append(1000 * (time.perf_counter() - wall))
        self.processor[phase].append(1000 * (time.process_time() - processor))
        return result

    def summary(self) -> dict[str, dict[str, float]]:
        """Median and 95th percentile by phase and in all, in ms."""
        found = {}
        for kind, times in (("wall", self.wall), ("processor", self.processor)):
            by_phase = {**times, "all": np.sum(list(times.values()), axis=0)}
            for phase in PHASES:
                middle, high = np.quantile(by_phase[phase], (0.5, 0.95))
                found[f"{phase}, {kind}"] = {"median": float(middle), "p95": float(high)}
        return found


def stored_run(space: spaces.Problem, folder: Path, trials: int) -> None:
    """A run of that many different trials, the plain backbone first."""
    config = parse_config({"name": folder.name})
    plain = space.trial(space.space.plain, 0)
    facts = make_facts(config, _problem(space), Screening(plain.metrics))
    made = {"config": config.model_dump(mode="json", exclude_none=True), "environment": {}}
    order = np.random.default_rng(0).permutation(space.space.size)
    every = list(space.space.enumerate())
    chosen = [space.space.plain, *(every[i] for i in order if not every[i].is_plain)][:trials]
    with Run.create(folder, facts=facts, **made) as run, run.lock():
        for number, architecture in enumerate(chosen):
            run.append(_complete(space.trial(architecture, number)))


def _problem(space: spaces.Problem) -> Problem:
    return Problem(space.space, spaces.OBJECTIVES, ())


def _complete(trial: Trial) -> Trial:
    """With what a trained trial has, so that as many bytes are stored."""
    scores = ItemScores("accuracy", 5000, "bits", bytes(625))
    return replace(trial, scores=scores, started="2026-01-31T10:00:00")


def measure(space: spaces.Problem, name: str, folder: Path, trials: int) -> Stopwatch:
    """Times the search's own part of so many trials on the run in the folder."""
    config = parse_config(
        {"name": folder.name, "strategy": {"name": name}, "budget": {"trials": 10**6}}
    )
    strategy = make_strategy(
        name, space=space.space, objectives=spaces.OBJECTIVES, epochs=1, seed=0
    )
    watch = Stopwatch({p: [] for p in PHASES[:2]}, {p: [] for p in PHASES[:2]})
    view = LiveView(Console(file=io.StringIO(), force_terminal=True))
    with Run.open(folder) as run, run.lock(), view.shown():
        view.begin(run, config)
        coordinator = Coordinator(run, config, _problem(space), strategy, view)
        for number in range(trials + 1):
            task = watch.timed("propose", coordinator.next)
            if task is None:
                break
            trial = _complete(space.trial(task.proposal.architecture, task.number))
            watch.timed("store and show", lambda t=task, r=trial: coordinator.finish(t, r))
            if number == 0:  # what is made once: connections, caches
                watch = Stopwatch({p: [] for p in PHASES[:2]}, {p: [] for p in PHASES[:2]})
    return watch


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    count, measured = (30, 3) if options.quick else (TRIALS, MEASURED)
    space = spaces.synthetic("interactions")
    facts = provenance(arguments, "benchmarks.overhead")
    with tempfile.TemporaryDirectory() as temporary:
        template = Path(temporary) / "template" / "run"
        stored_run(space, template, count)
        for name in options.only:
            folder = shutil.copytree(template, Path(temporary) / name.replace(":", "-") / "run")
            found = measure(space, name, folder, measured)
            results = stored(options.out)
            results[name] = {"trials": count, **found.summary(), **facts}
            write_json(options.out, {"results": results})
    show(stored(options.out))


def stored(path: Path) -> dict[str, Any]:
    """The results in the file, by strategy."""
    return (read_json(path) or {"results": {}})["results"]


def show(results: dict[str, Any]) -> None:
    print("milliseconds a trial: median / 95th percentile, wall (processor)")
    rows = []
    for name, found in sorted(results.items()):
        cells = []
        for phase in PHASES:
            wall, own = found[f"{phase}, wall"], found[f"{phase}, processor"]
            cells.append(
                f"{wall['median']:.1f} / {wall['p95']:.1f} ({own['median']:.1f} / {own['p95']:.1f})"
            )
        rows.append([name, found["trials"], *cells])
    print_table(["strategy", "trials in the run", *PHASES], rows)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    around_others = {"halving", "racing"}  # they cost what the strategy inside costs, and a fit
    known = [n for n in STRATEGIES if n not in {*preparing_strategies(), *around_others}]
    parser.add_argument("--only", nargs="+", default=known, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="30 trials in the run, 3 measured")
    parser.add_argument("--out", type=Path, default=RESULTS / "overhead.json", help="the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
