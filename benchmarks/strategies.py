"""Compares the search strategies, with random search as the control.

Question: after how many trainings does each strategy find how much of the true front, and
how good an architecture within the latency bound?

    python -m benchmarks.strategies [--only NAME ...] [--problems NAME ...] [--quick]

Without `--only` it takes ours; NNI's tuners and Optuna's samplers are run if named, on the
recorded table in 10 minutes (`--problems recorded --only nni:TPE ...`).

About 15 minutes on one core for all but `gp`, and 20 more for `gp` (0.3 s a proposal; so it
has fewer seeds and trainings). Nothing is trained: scores come from a recorded table
(`benchmarks.record_table`) and from three synthetic spaces of 4 stages with 8 options:

- additive: an accuracy per option, added up over the stages;
- interactions: as much again from pairs of neighbouring stages;
- rugged: additive, and as much again at random per architecture, which nobody can learn.

Every search begins with the plain backbone, as `attnas.search` does, maximises accuracy and
minimises latency under the bound that half of the space meets. What breaks it costs no
training. Hypervolumes are shares of the feasible true front's. The mark beside the quartiles
over seeds is that of a paired test against random search with the same seed (Wilcoxon, two-sided).

Prints a table and writes `benchmarks/results/strategies.json`; results of other strategies
and problems that are in the file already stay there.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from attnas.core import History, Objective, Trial, hypervolume, non_dominated
from attnas.evaluator import Table
from attnas.search_space import (
    Architecture,
    AttentionOption,
    Backbone,
    SearchSpace,
    StagePattern,
    stage_decisions,
)
from attnas.strategies import STRATEGIES, Strategy, make_strategy, preparing_strategies
from benchmarks.provenance import RESULTS, provenance, read_json, write_json
from benchmarks.record_table import EPOCHS, TABLE, recorded_space, resnet8

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
SEEDS = 50
CHECKPOINTS = (20, 40, 80, 160)
CHEAPER: Mapping[str, tuple[int, int]] = {"gp": (10, 40)}  # seeds, trainings
BORROWED: Mapping[str, Mapping[str, Any]] = {  # with the settings that are not the default
    "nni:Anneal": {},
    "nni:Evolution": {},
    "nni:Random": {},
    "nni:TPE": {},
    "optuna:NSGAIIISampler": {},
    "optuna:NSGAIISampler": {},
    "optuna:RandomSampler": {},
    "optuna:TPESampler": {"multivariate": True},
}
PROPOSALS_PER_TRAINING = 20  # of a search that finds too little feasible


@dataclass(frozen=True)
class Problem:
    """A space with all its scores: accuracy and latency in ms by index, and the bound."""

    name: str
    space: SearchSpace
    accuracy: NDArray[np.float64]  # (size,)
    latency_ms: NDArray[np.float64]  # (size,)

    @cached_property
    def bound(self) -> float:
        """The latency that half of the space meets."""
        return float(np.median(self.latency_ms))

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        return self.latency_ms <= self.bound

    @cached_property
    def scaled(self) -> NDArray[np.float64]:
        """Losses (size, 2), 0 to 1 over the feasible architectures."""
        losses = np.stack([-self.accuracy, self.latency_ms], axis=1)
        low, high = losses[self.feasible].min(axis=0), losses[self.feasible].max(axis=0)
        return (losses - low) / (high - low)

    def hypervolume_share(self, found: Sequence[int]) -> float:
        """What the feasible architectures found cover of the true front's hypervolume."""
        return hypervolume(self.scaled[list(found)].reshape(-1, 2), (1.0, 1.0)) / self._best_volume

    def trial(self, architecture: Architecture, number: int) -> Trial:
        index = self.space.index(architecture)
        latency = float(self.latency_ms[index])
        if not self.feasible[index]:
            broken = {f"latency_ms <= {self.bound:.3f}": latency / self.bound - 1}
            metrics = {"latency_ms": latency}
            return Trial(number, architecture, 1, "infeasible", metrics, {}, broken)
        metrics = {"accuracy": float(self.accuracy[index]), "latency_ms": latency}
        return Trial(number, architecture, 1, "complete", metrics)

    @cached_property
    def _best_volume(self) -> float:
        points = self.scaled[self.feasible]
        return hypervolume(points[non_dominated(points)], (1.0, 1.0))


def recorded(path: Path = TABLE) -> Problem:
    """The recorded table; accuracy after its only fidelity."""
    space = recorded_space(resnet8())
    table = Table.load(path, space, metrics=("accuracy", "latency_ms"))
    rows = [table.lookup(architecture, EPOCHS).metrics for architecture in space.enumerate()]
    accuracy, latency_ms = (
        np.array([row[name] for row in rows]) for name in ("accuracy", "latency_ms")
    )
    return Problem("recorded", space, accuracy, latency_ms)


def synthetic(kind: str, *, options: int = 8) -> Problem:
    """4 stages with the same number of options; all draws from one seed."""
    rng = np.random.default_rng(0)
    stages = tuple(StagePattern(f"layer{i + 1}", (), ()) for i in range(4))
    blocks = ("se", "cbam", "scse", "gc")
    attention = [str(AttentionOption(b, r, "residual")) for r in (4, 8) for b in blocks]
    backbone = Backbone("synthetic", (), (3, 32, 32), (10,), stages)
    allowed = ("none", *attention[: options - 1])
    space = SearchSpace(backbone, stage_decisions(backbone), (allowed,) * 4)
    own = rng.normal(size=(4, options))
    numbers = np.stack(np.unravel_index(np.arange(space.size), (options,) * 4), axis=1)
    accuracy = own[np.arange(4), numbers].sum(axis=1)
    if kind == "interactions":
        pairs = rng.normal(size=(3, options, options))
        more = pairs[np.arange(3), numbers[:, :-1], numbers[:, 1:]].sum(axis=1)
        accuracy = accuracy + more / more.std() * accuracy.std()
    elif kind == "rugged":
        accuracy = accuracy + rng.normal(size=space.size) * accuracy.std()
    cost = rng.gamma(2.0, size=(4, options))
    cost[:, 0] = 0  # no attention
    latency_ms = 5 + cost[np.arange(4), numbers].sum(axis=1)
    return Problem(kind, space, accuracy, latency_ms)


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "recorded": recorded,
    "additive": lambda: synthetic("additive"),
    "interactions": lambda: synthetic("interactions"),
    "rugged": lambda: synthetic("rugged"),
}


def search(problem: Problem, strategy: Strategy, trainings: int) -> tuple[list[int], float]:
    """Indices of the architectures trained, in order, and mean CPU seconds of a proposal."""
    finished = [problem.trial(problem.space.plain, 0)]
    trained = [0] if finished[0].feasible else []
    proposing = 0.0
    while len(trained) < trainings and len(finished) < PROPOSALS_PER_TRAINING * trainings:
        history = History(tuple(finished), (), len(finished))
        began = time.process_time()
        proposal = strategy.propose(history)
        proposing += time.process_time() - began
        if proposal is None:
            break
        finished.append(problem.trial(proposal.architecture, len(finished)))
        if finished[-1].feasible:
            trained.append(problem.space.index(proposal.architecture))
    return trained, proposing / max(1, len(finished) - 1)


def compare(problem: Problem, name: str, seeds: int, checkpoints: Sequence[int]) -> dict[str, Any]:
    """Hypervolume share and best accuracy of each seed at each checkpoint: (seeds, points)."""
    volumes, best, seconds = [], [], []
    for seed in range(seeds):
        strategy = make_strategy(
            name,
            space=problem.space,
            objectives=OBJECTIVES,
            epochs=1,
            seed=seed,
            **BORROWED.get(name, {}),
        )
        trained, proposing = search(problem, strategy, checkpoints[-1])
        volumes.append([problem.hypervolume_share(trained[:n]) for n in checkpoints])
        best.append([float(problem.accuracy[trained[:n]].max()) for n in checkpoints])
        seconds.append(proposing)
    return {
        "settings": dict(BORROWED.get(name, {})),
        "checkpoints": list(checkpoints),
        "hypervolume": volumes,
        "best_accuracy": best,
        "ms_per_proposal": 1000 * float(np.mean(seconds)),
    }


def summary(results: Mapping[str, Mapping[str, Any]], name: str, measure: str) -> list[str]:
    """Per checkpoint: quartiles of a measure, and the paired test against random search."""
    own, control = results[name], results["random"]
    cells = []
    for column in range(len(own["checkpoints"])):
        values = np.array(own[measure])[:, column]
        other = np.array(control[measure])[: len(values), column]
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        cells.append(f"{middle:.3f} [{low:.3f} {high:.3f}]{mark(values, other)}")
    return cells


def mark(values: NDArray[np.float64], control: NDArray[np.float64]) -> str:
    """`+` better than the control, `-` worse, at p < 0.01; `=` neither."""
    differences = values - control[: len(values)]
    if not differences.any():
        return "="
    if wilcoxon(differences, alternative="greater").pvalue < 0.005:
        return "+"
    return "-" if wilcoxon(differences, alternative="less").pvalue < 0.005 else "="


def show(problem: Problem, results: Mapping[str, Mapping[str, Any]]) -> None:
    best = problem.accuracy[problem.feasible].max()
    front = int(non_dominated(problem.scaled[problem.feasible]).sum())
    print(
        f"\n{problem.name}: {problem.space.size} architectures, {front} on the feasible front, "
        f"best feasible accuracy {best:.3f}"
    )
    for measure, title in (
        ("hypervolume", "share of the front's hypervolume"),
        ("best_accuracy", "best feasible accuracy"),
    ):
        print(f"  {title}: median [quartiles], + - = against random (p < 0.01)")
        width = max(10, *map(len, results))
        for name in sorted(results):
            own = results[name]
            cells = (
                f"{n:>4}: {cell}"
                for n, cell in zip(own["checkpoints"], summary(results, name, measure), strict=True)
            )
            print(f"    {name:<{width}} {own['ms_per_proposal']:7.1f} ms  {'  '.join(cells)}")


def checkpoints_of(problem: Problem, last: int) -> tuple[int, ...]:
    """Those that leave at least a third of what is feasible untried."""
    most = min(last, int(problem.feasible.sum()) * 2 // 3)
    return tuple(n for n in CHECKPOINTS if n <= most) or (most,)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    most_seeds, most_trainings = (2, 20) if options.quick else (options.seeds, CHECKPOINTS[-1])
    facts = {**provenance(arguments, "benchmarks.strategies"), "optuna": version("optuna")}
    for problem in (PROBLEMS[name]() for name in options.problems):
        for name in ["random", *(n for n in options.only if n != "random")]:
            seeds, last = CHEAPER.get(name, (SEEDS, CHECKPOINTS[-1]))
            seeds, last = min(seeds, most_seeds), min(last, most_trainings)
            known = stored(options.out).get(problem.name, {})
            if name == "random" and len(known.get(name, {}).get("hypervolume", ())) >= seeds:
                continue  # the control is drawn already
            found = compare(problem, name, seeds, checkpoints_of(problem, last))
            results = stored(options.out)  # read again: another process may have added to it
            library = {"nni": version("nni")} if name.startswith("nni:") else {}
            results.setdefault(problem.name, {})[name] = {**found, **facts, **library}
            write_json(options.out, {"results": results})
        show(problem, stored(options.out)[problem.name])


def stored(path: Path) -> dict[str, Any]:
    """The results in the file, by problem and strategy."""
    return (read_json(path) or {"results": {}})["results"]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    known = [name for name in STRATEGIES if name not in preparing_strategies()]
    every = [*known, *BORROWED]
    parser.add_argument("--only", nargs="+", choices=every, default=known, metavar="NAME")
    parser.add_argument(
        "--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS), metavar="NAME"
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most so many")
    parser.add_argument("--quick", action="store_true", help="2 seeds, 20 trainings")
    parser.add_argument("--out", type=Path, default=RESULTS / "strategies.json", help="the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
