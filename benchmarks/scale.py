"""How well does a search use many workers, and what does the search itself cost?

Question: which share of their time do 1, 4, 16 and 64 workers train, and how long do a
proposal and the storing of a trial take when a run has up to 1,000 trials?

    python -m benchmarks.scale [--strategies NAME ...] [--real] [--quick]

About 3 minutes on one core. The workers are simulated: the product's own coordinator,
strategies and store run for real, a clock jumps from the end of one training to the next.
A training takes as long as one that was recorded (`benchmarks/tables`, 5 s in the mean: the
shorter the trainings, the harder). One process proposes and stores for all; the processor
time that this really takes is added to the clock, and the workers wait for it. (Not the wall's
time, since that would measure what else the machine does.) The latencies are the table's: what
measuring costs, `benchmarks.latency` tells.

Efficiency is the workers' busy time, as a share of workers times duration; the last trials,
for which fewer are left than there are workers, count too. `ideal` is the same of the same
trainings if proposals and storing took no time.

`--real` adds a search on the digits with 1 and with 2 workers of Ray, some minutes more.

Prints tables and writes `benchmarks/results/scale.json`.
"""

import argparse
import heapq
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attnas.config import Config, parse_config
from attnas.coordinator import Coordinator, Task
from attnas.core import TrainingResult
from attnas.evaluation import make_trial, screen, train
from attnas.evaluator import Evaluator
from attnas.facts import environment, make_facts
from attnas.observer import Observer
from attnas.problem import Problem, make_problem
from attnas.results import Run
from attnas.search_loop import search
from attnas.search_space import SearchSpace
from attnas.setup import make_evaluator, make_searcher
from benchmarks.provenance import RESULTS, print_table, provenance, write_json
from benchmarks.record_table import TABLE

STRATEGIES = ("local", "evolution", "tpe", "random")
WORKERS = (1, 4, 16, 64)
TRIALS = 1000
SPACE = {
    "backbone": {"name": "resnet_cifar", "depth": 8},
    "blocks": ["none", "se", "eca", "scse", "cbam", "gc"],
    "ratios": [4, 8],
    "placements": ["residual", "post"],
}


@dataclass
class Clock:
    """Simulated seconds, and the processor's that went into them."""

    now: float = 0.0
    trained: list[float] = field(default_factory=list)  # by begin
    proposal_ms: list[float] = field(default_factory=list)
    append_ms: list[float] = field(default_factory=list)

    @contextmanager
    def real(self, kept: list[float]) -> Iterator[None]:
        """What the block takes of the processor passes on this clock too."""
        began = time.process_time()
        yield
        seconds = time.process_time() - began
        kept.append(1000 * seconds)
        self.now += seconds


def simulate(coordinator: Coordinator, evaluator: Evaluator, workers: int) -> Clock:
    """Runs the search to its end."""
    clock = Clock()
    training: list[tuple[float, int, Task, TrainingResult]] = []  # by their end
    while True:
        while len(training) < workers and (task := _propose(coordinator, clock)) is not None:
            trained = train(task.proposal, evaluator, lambda *_: None)
            assert not trained.failure, trained.failure
            clock.trained.append(trained.seconds)
            end = clock.now + trained.seconds
            heapq.heappush(training, (end, task.number, task, trained))
        if not training:
            return clock
        end, _, task, trained = heapq.heappop(training)
        clock.now = max(clock.now, end)
        screened, problem = screen(task.proposal, evaluator), coordinator.problem
        trial = make_trial(
            task.proposal,
            task.number,
            screened,
            trained,
            problem.objectives,
            problem.constraints,
            seed=0,
        )
        with clock.real(clock.append_ms):
            coordinator.finish(task, trial)


def shortest(seconds: Sequence[float], workers: int) -> float:
    """The duration of those trainings, begun in that order, if nothing else took time."""
    free_at = [0.0] * workers
    for each in seconds:
        heapq.heapreplace(free_at, free_at[0] + each)
    return max(free_at)


def _propose(coordinator: Coordinator, clock: Clock) -> Task | None:
    with clock.real(clock.proposal_ms):
        task = coordinator.next()
    if task is None:
        clock.proposal_ms.pop()
    return task


def synthetic_table(folder: Path) -> tuple[Path, SearchSpace]:
    """A table of the whole `SPACE`: scores by a formula, times drawn from the recorded ones."""
    first = folder / "first.csv"
    row = {"layer1": "none", "layer2": "none", "layer3": "none", "epochs": 6, "seconds": 1.0}
    pd.DataFrame([{**row, "accuracy": 0.5, "latency_ms": 1.0}]).to_csv(first, index=False)
    space = make_problem(_config("space", "random", first, 1)).space
    rng = np.random.default_rng(0)
    recorded = pd.read_parquet(TABLE)["seconds"].to_numpy()
    worth = {o: rng.normal() for o in sorted({o for options in space.options for o in options})}
    cost = {option: 0.0 if option == "none" else rng.gamma(2.0) for option in worth}
    rows = [
        {
            **a.by_name,
            "epochs": 6,
            "accuracy": 0.6 + 0.01 * sum(worth[o] for o in a.options),
            "latency_ms": 5 + sum(cost[o] for o in a.options),
            "seconds": float(rng.choice(recorded)),
        }
        for a in space.enumerate()
    ]
    table = folder / "table.parquet"
    pd.DataFrame(rows).to_parquet(table)
    return table, space


def _config(name: str, strategy: str, table: Path, trials: int) -> Config:
    return parse_config(
        {
            "name": name,
            "search_space": SPACE,
            "strategy": {"name": strategy},
            "budget": {"trials": trials},
            "evaluator": {"table": str(table)},
        }
    )


def one(
    folder: Path, problem: Problem, table: Path, strategy: str, workers: int, trials: int
) -> dict[str, Any]:
    """A search of that many trials on that many simulated workers."""
    config = _config(f"{strategy}-{workers}", strategy, table, trials)
    evaluator = make_evaluator(config, problem, None)
    run = Run.create(
        folder / config.name,
        config=config.model_dump(mode="json", exclude_none=True),
        facts=make_facts(config, problem, evaluator.screen(problem.space.plain)),
        environment=environment(evaluator),
    )
    with run, run.lock():
        searcher = make_searcher(config, problem)
        coordinator = Coordinator(run, config, problem, searcher, Observer())
        clock = simulate(coordinator, evaluator, workers)
        distinct = len({trial.architecture for trial in run.trials})
    if distinct != trials:
        raise RuntimeError(f"{distinct} distinct architectures in {trials} trials")
    busy = sum(clock.trained)
    return {
        "trials": trials,
        "efficiency": busy / (workers * clock.now),
        "ideal": busy / (workers * shortest(clock.trained, workers)),
        "proposal_ms": _quantiles(clock.proposal_ms),
        "proposal_ms_at_the_end": _quantiles(clock.proposal_ms[-100:]),
        "append_ms": _quantiles(clock.append_ms),
    }


def _quantiles(values: Sequence[float]) -> list[float]:
    return [float(q) for q in np.quantile(values, (0.5, 0.95))]


def real(folder: Path, trials: int, epochs: int) -> dict[str, Any]:
    """The same search on the digits in this process, and with 1 and 2 workers of Ray."""
    found = {}
    for name in ("local", "ray-1", "ray-2"):
        workers = int(name[-1]) if name != "local" else 0
        engine: Any = {"ray": {"workers": workers}} if workers else "local"
        config = {
            "name": name,
            "data": {"source": "digits"},
            "search_space": {"backbone": {"name": "resnet_cifar", "depth": 8}},
            "strategy": {"name": "random"},
            "training": {"epochs": epochs},
            "budget": {"trials": trials},
            "engine": engine,
        }
        watch = _Watch()
        search(config, runs=folder / "real", observer=watch)
        found[name] = watch.figures(max(1, workers))
    return found


class _Watch(Observer):
    """When the first proposal was handed out and the trials were stored, and what they took."""

    def __init__(self) -> None:
        self.began, self.stored, self.seconds = 0.0, list[float](), list[float]()

    def evaluating(self, number: int, proposal: Any) -> None:
        self.began = self.began or time.monotonic()

    def trial(self, trial: Any) -> None:
        self.stored.append(time.monotonic())
        self.seconds.append(trial.seconds)

    def figures(self, workers: int) -> dict[str, float]:
        """`efficiency` from the begin of the first trial on: without the start of Ray."""
        elapsed = self.stored[-1] - self.stored[0] + self.seconds[0]
        return {
            "seconds": self.stored[-1] - self.began,
            "until_first_trial": self.stored[0] - self.began,
            "seconds_a_trial": float(np.mean(self.seconds)),
            "efficiency": sum(self.seconds) / (workers * elapsed),
        }


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    workers, trials = ((1, 4), 30) if options.quick else (WORKERS, TRIALS)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        table, space = synthetic_table(Path(folder))
        problem = make_problem(_config("problem", "random", table, trials))
        for strategy in options.strategies:
            results[strategy] = {}
            for n in workers:
                found = one(Path(folder), problem, table, strategy, n, trials)
                results[strategy][str(n)] = found
                print(f"{strategy}, {n} workers: {found['efficiency']:.1%}", flush=True)
        content: dict[str, Any] = {
            **provenance(arguments, "benchmarks.scale"),
            "space_size": space.size,
            "simulated": results,
        }
        if options.real:
            few, epochs = (3, 1) if options.quick else (12, 20)
            content["real"] = real(Path(folder), few, epochs)
    write_json(options.out, content)
    show(content)


def show(content: Mapping[str, Any]) -> None:
    print()
    head = (
        "strategy",
        "workers",
        "efficiency",
        "ideal",
        "proposal ms (95 %)",
        "at the end",
        "append",
    )
    print_table(
        head,
        [
            (
                strategy,
                n,
                f"{r['efficiency']:.1%}",
                f"{r['ideal']:.1%}",
                *(
                    "{:.1f} ({:.1f})".format(*r[key])
                    for key in ("proposal_ms", "proposal_ms_at_the_end", "append_ms")
                ),
            )
            for strategy, by_workers in content["simulated"].items()
            for n, r in by_workers.items()
        ],
    )
    if "real" in content:
        print()
        print_table(
            ("engine", "seconds", "until the first trial", "a trial", "efficiency"),
            [
                (
                    name,
                    *(
                        f"{r[key]:.1f}"
                        for key in ("seconds", "until_first_trial", "seconds_a_trial")
                    ),
                    f"{r['efficiency']:.1%}",
                )
                for name, r in content["real"].items()
            ],
        )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--real", action="store_true", help="with Ray's workers, on the digits")
    parser.add_argument("--quick", action="store_true", help="few trials, for the tests")
    parser.add_argument("--out", type=Path, default=RESULTS / "scale.json")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
