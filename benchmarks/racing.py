"""Compares racing with picking by one seed, at equal cost.

Question: of as many trainings, are some better spent on second and third seeds of contenders than
on new candidates?

    python -m benchmarks.racing [--around NAME ...] [--worlds NAME ...] [--tables PATH]
        [--repetitions N] [--quick]

Nothing is trained. A world is a space with all true accuracies and with what each training shows:

- interactions, noise of 0.1, 0.3 and 0.5: that synthetic space (`benchmarks.problems`); a seed adds
  normal noise of so many standard deviations of the truth.
- shared: noise of 0.3, and every seed moves all architectures alike, by 1 standard deviation.

With `--tables`, the folder of NAS-Bench-Macro (`benchmarks.problems`), three seeds recorded:

- macro, held out: a search sees two of the seeds, in an order drawn for each repetition; the
  third is the truth. It is a noisy one: curse and regret are right on average, but the best by
  it is no longer the best, so the share of true best is low for everybody, and regret is
  counted against the best by the mean of the three.
- macro, drawn: the truth is the mean of the three; a training shows it and a residual of an
  architecture of about the same accuracy (among the 50 next on each side), times sqrt(3 / 2), as
  the mean of three took a third of their variance. Any number of seeds.

A search maximises accuracy and minimises the cost under the bound that half of the space meets.
Every new seed costs a training of the plain backbone, as in `attnas.search`. It picks the
architecture of the best mean. `one seed` is the strategy itself, `racing` around it spends as many
trainings, `every seed` is the control: each candidate gets as many seeds as racing's contenders
may get, so a third of the candidates (half of them where two seeds are shown).

`curse`: the accuracy shown of the pick less the true one. `true best`: how often no architecture
that was trained is truly better. `regret`: the best true accuracy of the space less the pick's.
`volume`: the share of the true front's hypervolume that what it takes for its front has.
Intervals are at 95 % over repetitions; `+` and `-` say what is better or worse than one seed
in a paired test (Wilcoxon, two-sided, p < 0.05).

Set OMP_NUM_THREADS=1. Prints a table and writes `benchmarks/results/racing.json`; results of other
worlds and strategies that are in the file already stay there.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from attnas.core import History, Proposal, Trial, hypervolume, merged, non_dominated
from attnas.strategies import Strategy, make_strategy
from attnas.strategies.racing import STRIDE
from benchmarks.problems import OBJECTIVES, Problem, macro, synthetic
from benchmarks.provenance import RESULTS, print_table, provenance, read_json, write_json

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator], Floats]

REPETITIONS = 50
CHECKPOINTS = (20, 40, 80)
AROUND = ("random", "local", "model")
WAYS = ("one seed", "racing", "every seed")
MEASURES = ("curse", "true_best", "regret", "volume")
SCREENED_PER_TRAINING = 20
NEXT = 50  # architectures on each side whose residuals stand for one's own


@dataclass(frozen=True)
class World:
    """A space with its true values, and what trainings with each of its seeds show.

    `shown` makes, for a repetition's random numbers, a table (seeds, size); `truth` (size,) is
    another one in each repetition where a recorded seed stands for it.
    """

    name: str
    problem: Problem
    seeds: int
    shown: Callable[[np.random.Generator], tuple[Floats, Floats]]


def synthetic_world(name: str, noise: float, by_seed: float = 0.0) -> World:
    """`interactions`, with noise and seed effects in standard deviations of the truth."""
    problem = synthetic("interactions")
    scale = float(problem.accuracy.std())

    def shown(rng: np.random.Generator) -> tuple[Floats, Floats]:
        own = noise * rng.normal(size=(3, problem.space.size))
        common = by_seed * rng.normal(size=(3, 1))
        return problem.accuracy + scale * (own + common), problem.accuracy

    return World(name, problem, 3, shown)


def macro_world(tables: Path, *, held_out: bool) -> World:
    """NAS-Bench-Macro; see the module."""
    options = [f"c{i}" for i in range(8)]
    rows = pd.read_parquet(tables / "nas_bench_macro_cifar10.parquet").sort_values(options)
    seeds = np.stack([rows[f"test_acc_seed{i}"].to_numpy(dtype=float) for i in range(3)])
    problem, mean = macro(tables), seeds.mean(axis=0)
    residuals = (seeds - mean) * np.sqrt(3 / 2)
    order = np.argsort(mean)
    place = np.argsort(order)

    def of_records(rng: np.random.Generator) -> tuple[Floats, Floats]:
        first, second, third = rng.permutation(3)
        return seeds[[first, second]], seeds[third]

    def drawn(rng: np.random.Generator) -> tuple[Floats, Floats]:
        away = rng.integers(-NEXT, NEXT + 1, size=(3, len(mean)))
        lender = order[np.clip(place + away, 0, len(mean) - 1)]
        return mean + residuals[rng.integers(3, size=lender.shape), lender], mean

    if held_out:
        return World("macro, held out", problem, 2, of_records)
    return World("macro, drawn", problem, 3, drawn)


WORLDS: Mapping[str, Callable[[], World]] = {
    "noise 0.1": partial(synthetic_world, "noise 0.1", 0.1),
    "noise 0.3": partial(synthetic_world, "noise 0.3", 0.3),
    "noise 0.5": partial(synthetic_world, "noise 0.5", 0.5),
    "shared": partial(synthetic_world, "shared", 0.3, by_seed=1.0),
}
TABLES: Mapping[str, Callable[[Path], World]] = {
    "macro, held out": partial(macro_world, held_out=True),
    "macro, drawn": partial(macro_world, held_out=False),
}


@dataclass(frozen=True)
class EverySeed:
    """The control: each candidate of a strategy with all seeds before the next candidate."""

    inner: Strategy
    seeds: Sequence[int]

    def propose(self, history: History) -> Proposal | None:
        trained = [t for t in history.finished if t.state == "complete"]
        last = trained[-1]
        left = [s for s in self.seeds if s not in {t.seed for t in trained if _same(t, last)}]
        if left:
            return Proposal(last.architecture, 1, seed=left[0])
        return self.inner.propose(History(merged(history.finished), (), history.next_number))


def _same(a: Trial, b: Trial) -> bool:
    return a.architecture == b.architecture


@dataclass(frozen=True)
class Search:
    """One search in one repetition of a world."""

    world: World
    shown: Floats
    seed: int

    def run(self, strategy: Strategy | EverySeed, trainings: int) -> list[list[Trial]]:
        """All trials after each training, the trials of plain backbones included."""
        plain = self.world.problem.space.plain
        finished = [self._trial(Proposal(plain, 1, seed=self.seed), 0)]
        after = [list(finished)]
        while len(after) < trainings and len(finished) < SCREENED_PER_TRAINING * trainings:
            proposal = strategy.propose(History(tuple(finished), (), len(finished)))
            if proposal is None:
                break
            began = {t.seed for t in finished if t.architecture.is_plain}
            needed = [proposal]
            if proposal.seed is not None and proposal.seed not in began:
                needed = [Proposal(plain, 1, seed=proposal.seed)]
            for each in needed:
                finished.append(self._trial(each, len(finished)))
                if finished[-1].state == "complete":
                    after.append(list(finished))
        return after

    def _trial(self, proposal: Proposal, number: int) -> Trial:
        problem = self.world.problem
        seed = self.seed if proposal.seed is None else proposal.seed
        index = problem.space.index(proposal.architecture)
        trial = problem.trial(proposal.architecture, number)
        if trial.state != "complete" and not proposal.architecture.is_plain:
            return trial
        metrics = {
            "accuracy": float(self.shown[(seed - self.seed) // STRIDE, index]),
            "latency_ms": float(problem.latency_ms[index]),
        }
        return Trial(
            number, proposal.architecture, 1, "complete", metrics, {}, trial.violations, seed=seed
        )


def measured(world: World, trials: Sequence[Trial], truth: Floats) -> dict[str, float]:
    """The measures of the module of one search."""
    space, problem = world.problem.space, world.problem
    candidates = [t for t in merged(trials) if t.feasible]
    indices = np.array([space.index(t.architecture) for t in candidates])
    values = np.array([t.metrics["accuracy"] for t in candidates])
    pick = indices[int(np.argmax(values))]
    best = problem.worth[problem.feasible].max()
    shown = np.stack([-values, problem.latency_ms[indices]], axis=1)
    front = indices[non_dominated(shown)]
    return {
        "curse": float(values.max() - truth[pick]),
        "true_best": float(truth[pick] >= truth[indices].max()),
        "regret": float(best - truth[pick]),
        "volume": hypervolume(problem.scaled[front], (1.0, 1.0)) / _volume(problem),
        "candidates": float(len(candidates)),
    }


def _volume(problem: Problem) -> float:
    points = problem.scaled[problem.feasible]
    return hypervolume(points[non_dominated(points)], (1.0, 1.0))


def compare(world: World, around: str, way: str, repetitions: int, last: int) -> dict[str, Any]:
    """Every measure by repetition and checkpoint: (repetitions, checkpoints)."""
    checkpoints = [n for n in CHECKPOINTS if n <= last]
    found: dict[str, list[list[float]]] = {name: [] for name in (*MEASURES, "candidates")}
    for repetition in range(repetitions):
        shown, truth = world.shown(np.random.default_rng((1, repetition)))
        strategy = made(world, around, way, repetition)
        after = Search(world, shown, repetition).run(strategy, last)
        rows = [measured(world, after[min(n, len(after)) - 1], truth) for n in checkpoints]
        for name, values in found.items():
            values.append([row[name] for row in rows])
    return {"checkpoints": checkpoints, "seeds": world.seeds, **found}


def made(world: World, around: str, way: str, seed: int) -> Strategy | EverySeed:
    """The strategy of that way around another one."""
    given: dict[str, Any] = {
        "space": world.problem.space,
        "objectives": OBJECTIVES,
        "epochs": 1,
        "seed": seed,
    }
    if way == "racing":
        return make_strategy("racing", around=around, seeds=world.seeds, **given)
    inner = make_strategy(around, **given)
    if way == "one seed":
        return inner
    return EverySeed(inner, [seed + STRIDE * i for i in range(world.seeds)])


def show(world: str, results: Mapping[str, Mapping[str, Any]]) -> None:
    """A table for each number of trainings."""
    some = next(iter(results.values()))
    for column, trainings in enumerate(some["checkpoints"]):
        print(f"\n{world}, {trainings} trainings, {len(some['curse'])} repetitions")
        rows = []
        for name, own in sorted(results.items()):
            around, _, way = name.partition(": ")
            cells = [cell(results, around, way, measure, column) for measure in MEASURES]
            candidates = np.array(own["candidates"])[:, column].mean()
            rows.append([around, way, f"{candidates:.1f}", *cells])
        print_table(["around", "way", "candidates", *MEASURES], rows)


def cell(
    results: Mapping[str, Mapping[str, Any]], around: str, way: str, measure: str, column: int
) -> str:
    """Mean and 95 % half-width, and the mark against one seed."""
    values = np.array(results[f"{around}: {way}"][measure])[:, column]
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
    text = f"{values.mean():.3f} ±{half:.3f}"
    other = results.get(f"{around}: one seed")
    if way == "one seed" or other is None:
        return text
    gained = np.array(other[measure])[:, column][: len(values)] - values
    if measure in ("true_best", "volume"):
        gained = -gained
    if not gained.any() or wilcoxon(gained).pvalue >= 0.05:
        return text
    return f"{text} {'+' if gained.mean() > 0 else '-'}"


def stored(path: Path) -> dict[str, Any]:
    """The results in the file, by world and strategy."""
    return (read_json(path) or {"results": {}})["results"]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    repetitions, last = (3, 20) if options.quick else (options.repetitions, CHECKPOINTS[-1])
    facts = provenance(arguments, "benchmarks.racing")
    for name in options.worlds:
        world = WORLDS[name]() if name in WORLDS else TABLES[name](options.tables)
        for around in options.around:
            for way in WAYS:
                found = compare(world, around, way, repetitions, last)
                results = stored(options.out)  # read again: another process may have added to it
                results.setdefault(name, {})[f"{around}: {way}"] = {**found, **facts}
                write_json(options.out, {"results": results})
        show(name, stored(options.out)[name])


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--around", nargs="+", choices=AROUND, default=AROUND, metavar="NAME")
    parser.add_argument("--worlds", nargs="+", choices=[*WORLDS, *TABLES], metavar="NAME")
    parser.add_argument(
        "--tables", type=Path, metavar="PATH", help="the folder of nas_bench_macro_cifar10.parquet"
    )
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--quick", action="store_true", help="3 repetitions, 20 trainings")
    parser.add_argument("--out", type=Path, default=RESULTS / "racing.json", help="the JSON")
    given = parser.parse_args(arguments)
    if given.worlds is None:
        given.worlds = [*WORLDS, *(TABLES if given.tables else ())]
    lacking = [name for name in given.worlds if name in TABLES and given.tables is None]
    if lacking:
        parser.error(f"{', '.join(lacking)}: name the folder of the table with --tables")
    return given


if __name__ == "__main__":
    main()
