"""Compares the search strategies, with random search as the control.

Question: after how many trainings does each strategy find how much of the true front, and
how good an architecture within the bound on the cost?

    python -m benchmarks.strategies [--only NAME ...] [--problems NAME ...] [--tables PATH]
        [--seeds N] [--trainings N] [--quick]

Without `--only` it takes ours; NNI's tuners and Optuna's samplers are run if named. Nothing is
trained: scores come from recorded tables and from synthetic spaces (`benchmarks.problems`).
`--tables` names the folder of other people's tables and adds the problems made of them.

Set OMP_NUM_THREADS=1. All of ours take about 15 minutes on one core for a space of 4,096
architectures and 50 seeds, most of them `tpe` and `model`.

Every search begins with the plain backbone, as `attnas.search` does, maximises accuracy and
minimises the cost under the bound that half of the space meets. What breaks it costs no
training. Hypervolumes are shares of the feasible true front's; where a search sees something
else than the truth, the truth of what it takes for its front counts. The mark beside the
quartiles over seeds is that of a paired test against random search with the same seed
(Wilcoxon, two-sided). Under each measure stands which strategies are within noise of the
first: those that the one of the best mean does not beat in a paired test.

Prints a table and writes `benchmarks/results/strategies.json`; results of other strategies
and problems that are in the file already stay there.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from attnas.core import History, non_dominated
from attnas.strategies import STRATEGIES, Strategy, make_strategy, preparing_strategies
from benchmarks.problems import OBJECTIVES, PROBLEMS, TABLES, Problem
from benchmarks.provenance import RESULTS, provenance, read_json, write_json

SEEDS = 50
CHECKPOINTS = (20, 40, 80, 160)
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


def search(problem: Problem, strategy: Strategy, trainings: int) -> tuple[list[int], float]:
    """Indices of the architectures trained, in order, and mean CPU seconds of a proposal."""
    finished = [problem.trial(problem.space.plain, 0)]
    trained = [problem.space.index(problem.space.plain)] if finished[0].feasible else []
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
        best.append([problem.best_accuracy(trained[:n]) for n in checkpoints])
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
    if surely_better(values, control, 0.005):
        return "+"
    return "-" if surely_better(control, values, 0.005) else "="


def surely_better(a: NDArray[np.float64], b: NDArray[np.float64], level: float) -> bool:
    """Whether `a` beats `b` over the seeds that both have, in a one-sided paired test."""
    differences = a[: len(b)] - b[: len(a)]
    if not differences.any():
        return False
    return bool(wilcoxon(differences, alternative="greater").pvalue < level)


def show(problem: Problem, results: Mapping[str, Mapping[str, Any]]) -> None:
    front = int(non_dominated(problem.scaled[problem.feasible]).sum())
    print(
        f"\n{problem.name}: {problem.space.size} architectures, {front} on the feasible front, "
        f"best feasible accuracy {problem.best:.3f}"
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
        for trainings, names in first(results, measure).items():
            print(f"    first or within noise of it after {trainings}: {', '.join(names)}")


def first(results: Mapping[str, Mapping[str, Any]], measure: str) -> dict[int, list[str]]:
    """By checkpoint the strategy of the best mean, and those that it does not surely beat.

    Paired over the seeds that both have; one that was not run for so long is left out.
    """
    found = {}
    for trainings in dict.fromkeys(n for own in results.values() for n in own["checkpoints"]):
        columns = {
            name: np.array(own[measure])[:, own["checkpoints"].index(trainings)]
            for name, own in results.items()
            if trainings in own["checkpoints"]
        }
        order = sorted(columns, key=lambda name: -float(columns[name].mean()))
        best = columns[order[0]]
        found[trainings] = [
            name
            for name in order
            if name == order[0] or not surely_better(best, columns[name], 0.05)
        ]
    return found


def checkpoints_of(problem: Problem, last: int) -> tuple[int, ...]:
    """Those that leave at least a third of what is feasible untried."""
    most = min(last, int(problem.feasible.sum()) * 2 // 3)
    return tuple(n for n in CHECKPOINTS if n <= most) or (most,)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    seeds, trainings = (2, 20) if options.quick else (options.seeds, options.trainings)
    facts = {**provenance(arguments, "benchmarks.strategies"), "optuna": version("optuna")}
    for problem in (made(name, options.tables) for name in options.problems):
        for name in ["random", *(n for n in options.only if n != "random")]:
            checkpoints = checkpoints_of(problem, trainings)
            known = np.array(
                stored(options.out).get(problem.name, {}).get(name, {}).get("hypervolume", [[]])
            )
            if name == "random" and (known.shape >= np.array((seeds, len(checkpoints)))).all():
                continue  # the control is drawn already
            found = compare(problem, name, seeds, checkpoints)
            results = stored(options.out)  # read again: another process may have added to it
            library = {"nni": version("nni")} if name.startswith("nni:") else {}
            results.setdefault(problem.name, {})[name] = {**found, **facts, **library}
            write_json(options.out, {"results": results})
        show(problem, stored(options.out)[problem.name])


def made(name: str, tables: Path | None) -> Problem:
    """The problem of that name; some need the folder of tables."""
    return PROBLEMS[name]() if name in PROBLEMS or tables is None else TABLES[name](tables)


def stored(path: Path) -> dict[str, Any]:
    """The results in the file, by problem and strategy."""
    return (read_json(path) or {"results": {}})["results"]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    # halving has no rungs where nothing is trained, racing no second seed
    others = {*preparing_strategies(), "halving", "racing"}
    known = [name for name in STRATEGIES if name not in others]
    every = [*known, *BORROWED]
    parser.add_argument("--only", nargs="+", choices=every, default=known, metavar="NAME")
    parser.add_argument("--problems", nargs="+", choices=[*PROBLEMS, *TABLES], metavar="NAME")
    parser.add_argument(
        "--tables",
        type=Path,
        metavar="PATH",
        help=f"the folder of the tables of {', '.join(TABLES)}",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each strategy")
    parser.add_argument(
        "--trainings", type=int, default=CHECKPOINTS[-1], help="of each search, at most"
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds, 20 trainings")
    parser.add_argument("--out", type=Path, default=RESULTS / "strategies.json", help="the JSON")
    given = parser.parse_args(arguments)
    if given.problems is None:
        given.problems = [*PROBLEMS, *(TABLES if given.tables else ())]
    lacking = [name for name in given.problems if name in TABLES and given.tables is None]
    if lacking:
        parser.error(f"{', '.join(lacking)}: name the folder of the tables with --tables")
    return given


if __name__ == "__main__":
    main()
