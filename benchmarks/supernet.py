"""What is weight sharing worth on a space of attention blocks?

    python -m benchmarks.supernet --data PATH [--parts ranking truth search] [--only NAME ...]

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). Images are scaled to 16 x 16; 6,000
train and 4,000 validate. The space is that of `benchmarks.record_table` (ResNet-8, 340 networks).
One thread; about an hour in all on a quiet core of 2020. Stopped, the same command goes on.
`--quick` (a minute, meaningless figures) takes digits and hardly trains.

- `ranking` (10 minutes): Kendall's tau between the inherited and the stand-alone figures of 24
  random architectures, by strategy and by epochs of the supernet, with its 95 % interval:
  accuracy with accuracy, loss with accuracy (by the loss the strategies rank), loss with loss.
  `one seed` is the mean tau with single stand-alone trainings, to be compared with the ceiling:
  what the same figures of two stand-alone trainings with other seeds agree to.
- `truth` (6 minutes): those stand-alone trainings, 3 seeds each.
- `search` (50 minutes): each strategy and `random`, 3 seeds, with the latency at most 1.5 times
  the plain backbone's. Targets of 1.1, 1.25 and 1.5 times: asked, measured, kept, and accuracy and
  loss beside the best within the target that random search had found after as much time. Then the
  time until the hypervolume is reached that random search has after 30 trainings. Times are the
  process's, the supernet's training included; the latency table, which all share, is made first.

Prints tables and writes `benchmarks/results/supernet.json`.
"""

import argparse
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnas.config import Config, parse_config
from attnas.core import InputError, Objective, PredictedCost, Resources, Screening, Trial
from attnas.evaluator import SharedTraining, additive_costs, train
from attnas.observer import Observer
from attnas.problem import Problem, make_problem
from attnas.results import Run
from attnas.search_loop import search
from attnas.search_space import Architecture, SearchSpace, build
from attnas.setup import make_evaluator
from attnas.strategies import Preparing, make_strategy
from attnas.strategies.recommendation import read_found
from attnas.strategies.recommended import choose

from .provenance import RESULTS, provenance, read_json, write_json
from .supernet_tables import BOUND, ranked, show_ranking, show_targets, show_times

STRATEGIES = ("oneshot", "darts", "gdas", "proxyless")
PARTS = ("ranking", "truth", "search")
TARGETS = ("1.1x", "1.25x", "1.5x")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    torch.set_num_threads(1)
    size = QUICK if options.quick else FULL
    config = config_of(options, size)
    problem = make_problem(config)
    settings = {**size, "facts": dict(problem.data.facts) if problem.data else {}}
    settings["facts"].pop("path", None)
    results = begun(options.out, settings)
    results.update(provenance(arguments, "benchmarks.supernet"))
    work = options.out.with_suffix(".work")
    if "ranking" in options.parts:
        rank(problem, config, options.only, size, work, results, options.out)
    if "truth" in options.parts:
        find_truth(problem, config, size, results, options.out)
    if "search" in options.parts:
        run_searches(config, options.only, size, work, results, options.out)
    show_ranking(results)
    show_targets(results)
    show_times(results)


FULL: Mapping[str, Any] = {
    "metric": "latency_ms",
    "train": 6000,
    "validation": 4000,
    "epochs": 4,
    "supernet_epochs": [4, 12],
    "architectures": 24,
    "seeds": 3,
    "trials": 13,
    "random_trials": 31,
    "settings": {"oneshot": {}, "darts": {}, "gdas": {}, "proxyless": {}},
}
QUICK: Mapping[str, Any] = {
    "metric": "params",
    "train": 96,
    "validation": 96,
    "epochs": 1,
    "supernet_epochs": [1],
    "architectures": 5,
    "seeds": 2,
    "trials": 3,
    "random_trials": 4,
    "settings": {"oneshot": {"supernet_epochs": 1, "population": 3, "generations": 1}},
}


def config_of(options: argparse.Namespace, size: Mapping[str, Any]) -> Config:
    """The search that all parts share; strategy, seed, name and budget are put in later."""
    data: dict[str, Any] = {"source": "digits"}
    if not options.quick:
        data = {"source": "parquet", "path": options.data, "image_size": 16}
    return parse_config(
        {
            "data": {**data, "train": size["train"], "validation": size["validation"]},
            "search_space": {
                "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
                "blocks": ["none", "se", "eca", "cbam", "scse", "simam"],
                "ratios": [4, 8],
                "placements": ["residual", "post"],
                "stages": {
                    "layer1": {
                        "blocks": ["none", "se", "eca", "scse"],
                        "placements": ["residual"],
                    },
                    "layer2": {"blocks": ["none", "se", "eca"]},
                },
            },
            "objectives": {"accuracy": "max", size["metric"]: "min"},
            "constraints": {} if options.quick else {size["metric"]: f"<= {BOUND}x"},
            "training": {"epochs": size["epochs"], "batch_size": 64},
        }
    )


def begun(out: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The results of earlier calls.

    Raises:
        InputError: they were made with other settings.
    """
    results = read_json(out) or {"settings": settings, "ranking": {}, "truth": {}, "runs": {}}
    if results["settings"] != json.loads(json.dumps(settings)):
        raise InputError("holds results of other settings. Move it away.", file=str(out))
    return results


def rank(
    problem: Problem,
    config: Config,
    names: Sequence[str],
    size: Mapping[str, Any],
    work: Path,
    results: dict[str, Any],
    out: Path,
) -> None:
    """Inherited accuracies of the same random architectures, by strategy and length."""
    for name in names:
        for epochs in size["supernet_epochs"]:
            known = results["ranking"].setdefault(name, {})
            if str(epochs) in known:
                continue
            given = {**size["settings"].get(name, {}), "supernet_epochs": epochs}
            strategy = make_strategy(
                name,
                space=problem.space,
                objectives=(Objective("accuracy", "max"),),
                epochs=size["epochs"],
                seed=0,
                check=size["architectures"],
                **given,
            )
            if not isinstance(strategy, Preparing):
                raise InputError(f"{name} trains no supernet.", key="--only")
            began = time.process_time()
            resources = bare_resources(problem, config, work / "ranking" / f"{name}-{epochs}")
            made: Any = strategy.prepare(resources)
            known[str(epochs)] = {
                "seconds": time.process_time() - began,
                "inherited": {
                    text(c.architecture): [c.predicted["accuracy"], c.predicted["validation_loss"]]
                    for c in made.found.controls
                },
            }
            write_json(out, results)


def bare_resources(problem: Problem, config: Config, folder: Path) -> Resources:
    """What a strategy gets where accuracy alone counts: nothing is measured."""

    def no_table() -> PredictedCost:
        raise ValueError("latency counts for nothing here")

    space, data, task = problem.space, problem.data, problem.task
    assert data is not None
    assert task is not None
    return Resources(
        training=lambda seed: SharedTraining(space, data, task, config.training, seed=seed),
        constraints=(),
        screen=lambda architecture: Screening({}),
        additive_costs=partial(additive_costs, space),
        latency_table=no_table,
        facts={"data": dict(data.facts), "recipe": config.training.model_dump()},
        folder=folder,
        progress=lambda what, done, steps: None,
        note=print,
    )


def find_truth(
    problem: Problem, config: Config, size: Mapping[str, Any], results: dict[str, Any], out: Path
) -> None:
    """Accuracy and loss of stand-alone trainings of all that was ranked, by seed."""
    data, task = problem.data, problem.task
    assert data is not None
    assert task is not None
    for spelled in ranked(results):
        architecture = problem.space.architecture(spelled.split())
        for seed in range(size["seeds"]):
            of_seeds = results["truth"].setdefault(spelled, {})
            if str(seed) not in of_seeds:
                network = build(architecture, seed=seed)
                found = train(network, data, task, config.training, seed=seed).metrics
                of_seeds[str(seed)] = [found["accuracy"], found["validation_loss"]]
                write_json(out, results)


class Clock(Observer):
    """Notes the process's time at each trial since the search began."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self.seconds: list[float] = []

    def trial(self, trial: Trial) -> None:
        self.seconds.append(time.process_time() - self.began)


def run_searches(
    config: Config,
    names: Sequence[str],
    size: Mapping[str, Any],
    work: Path,
    results: dict[str, Any],
    out: Path,
) -> None:
    """Random search and each strategy with each seed; a search that was broken off begins anew."""
    problem = make_problem(config)
    if size["metric"] == "latency_ms" and (meter := make_evaluator(config, problem, None).latency):
        meter.table(print)
    for seed in range(size["seeds"]):
        for name in ("random", *names):
            known = results["runs"].setdefault(name, {})
            if str(seed) in known:
                continue
            settings = size["settings"].get(name, {})
            if name != "random":
                settings = {**settings, "targets": {size["metric"]: list(TARGETS)}, "check": 0}
            trials = size["random_trials" if name == "random" else "trials"]
            run_name = f"{name}-{seed}"
            shutil.rmtree(work / run_name, ignore_errors=True)
            asked = config.model_copy(
                update={
                    "name": run_name,
                    "seed": seed,
                    "strategy": config.strategy.model_validate({"name": name, **settings}),
                    "budget": config.budget.model_validate({"trials": trials}),
                }
            )
            clock = Clock()
            run = search(asked, runs=work, observer=clock)
            known[str(seed)] = recorded(run, name, clock, problem.space, size["metric"])
            write_json(out, results)


def recorded(run: Run, name: str, clock: Clock, space: SearchSpace, metric: str) -> dict[str, Any]:
    """The trials with their times, costs relative to the plain backbone's, and the targets."""
    plain = run.facts["plain"]["metrics"][metric]
    trials = [
        {
            "architecture": text(trial.architecture),
            "seconds": seconds,
            "state": trial.state,
            "accuracy": trial.metrics.get("accuracy"),
            "loss": trial.metrics.get("validation_loss"),
            "cost": trial.metrics[metric] / plain if metric in trial.metrics else None,
        }
        for trial, seconds in zip(run.trials, clock.seconds, strict=True)
    ]
    found = {"trials": trials, "targets": []}
    if name != "random":
        found["targets"] = kept_targets(run, name, space, metric)
    return found


def kept_targets(run: Run, name: str, space: SearchSpace, metric: str) -> list[dict[str, Any]]:
    """For each target what it ended at: cost and accuracy, or None."""
    plain = run.facts["plain"]["metrics"][metric]
    file = run.checkpoints / name / "recommendations.json"
    facts = json.loads(file.read_text(encoding="utf-8"))["facts"]
    found = read_found(file, facts, space, print)
    assert found is not None
    measured = {**found.measured, **{t.architecture: t.metrics for t in run.trials}}
    complete = {t.architecture: t for t in run.trials if t.state == "complete"}
    rejected = {t.architecture for t in run.trials} - set(complete)
    ends = []
    for target in found.targets:
        chosen = choose(target, found.candidates, measured, rejected)
        trial = complete.get(chosen.architecture) if chosen is not None else None
        ends.append(
            {
                "asked": target[metric] / plain,
                "measured": trial.metrics[metric] / plain if trial else None,
                "accuracy": trial.metrics["accuracy"] if trial else None,
                "loss": trial.metrics["validation_loss"] if trial else None,
            }
        )
    return ends


def text(architecture: Architecture) -> str:
    return " ".join(architecture.options)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--data", help="CIFAR-10 as Parquet: file or folder")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--only", nargs="+", choices=STRATEGIES, default=list(STRATEGIES), metavar="NAME"
    )
    parser.add_argument("--quick", action="store_true", help="digits, hardly trained")
    parser.add_argument("--out", type=Path, default=RESULTS / "supernet.json", help="the JSON")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data PATH is needed, or --quick")
    return options


if __name__ == "__main__":
    main()
