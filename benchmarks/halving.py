"""Compares successive halving with full training at equal hypervolume.

Question: how many epochs does halving need for what full training finds?

    python -m benchmarks.halving [--tables FILE ...] [--quick]
    python -m benchmarks.halving --data PATH [--quick]

The first replays tables with several numbers of epochs (`benchmarks.record_table --rungs`):
some minutes for 30 seeds, nothing is trained. A search maximises accuracy and minimises
latency under the bound that half of the table meets, begins with the plain backbone, and
trains 15 architectures fully; halving around the same strategy, beginning on the first or on a
later rung, gets as many epochs. What counts is the hypervolume of the architectures that were
trained fully, as a share of the true front's. `full`: epochs after which full training has the
hypervolume that it ends with; `halving`: epochs after which halving has 99 % of that (as if
never: twice the budget). `loss` is what halving lacks of full training's final hypervolume
after 0.4 of its epochs, negative where it has more; `stopped` is what full training itself
lacks then, the control.

The second trains for real on CIFAR-10 as Parquet, about an hour on a core: one search of each
kind, accuracy against parameters, which are exact; halving gets 0.4 of the epochs. Stopped,
the same command goes on.

Prints a table and writes `benchmarks/results/halving.json`.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from attnas.core import History, Objective, Trial, hypervolume, non_dominated
from attnas.evaluator import Table
from attnas.results import Run, epochs_trained, rung_correlations
from attnas.search_space import Architecture, SearchSpace
from attnas.strategies import Strategy, make_strategy
from benchmarks.provenance import RESULTS, print_table, provenance, read_json, write_json
from benchmarks.record_table import TABLE, WIDTH, recorded_space, resnet8

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
INSIDE = ("random", "local")
SEEDS, TRIALS = 30, 15
SHARE = 0.4  # of the epochs of full training
TABLES = (
    TABLE.with_name("cifar10-resnet8-rungs.parquet"),
    TABLE.with_name("cifar10-resnet8-paper-starts-rungs.parquet"),
)


@dataclass(frozen=True)
class Replay:
    """Recorded figures of the architectures of a space after each of the rungs."""

    space: SearchSpace
    rungs: tuple[int, ...]
    figures: Mapping[tuple[Architecture, int], Mapping[str, float]]

    @cached_property
    def bound(self) -> float:
        """The latency that half of what is recorded meets, and the plain backbone."""
        recorded = [m["latency_ms"] for (_, e), m in self.figures.items() if e == self.rungs[-1]]
        plain = self.figures[self.space.plain, self.rungs[-1]]["latency_ms"]
        return max(float(np.median(recorded)), plain)

    def trial(
        self, architecture: Architecture, number: int, epochs: int, schedule_epochs: int | None
    ) -> Trial:
        """The recorded result; what is not recorded or over the bound is rejected for nothing."""
        found = self.figures.get((architecture, epochs))
        if found is None:
            return Trial(number, architecture, epochs, "infeasible", {}, {}, {"recorded >= 1": 1.0})
        excess = found["latency_ms"] / self.bound - 1
        if excess > 0:
            broken = {f"latency_ms <= {self.bound:.4f}": excess}
            latency = {"latency_ms": found["latency_ms"]}
            return Trial(number, architecture, epochs, "infeasible", latency, {}, broken)
        return Trial(
            number, architecture, epochs, "complete", found, schedule_epochs=schedule_epochs
        )

    def volume(self, trials: Sequence[Trial]) -> float:
        """What the fully trained ones cover, as a share of the true front's hypervolume."""
        whole = [t.architecture for t in trials if t.feasible and t.epochs == self.rungs[-1]]
        return self._volume(whole) / self._best

    @cached_property
    def _best(self) -> float:
        return self._volume(
            a
            for (a, epochs), found in self.figures.items()
            if epochs == self.rungs[-1] and found["latency_ms"] <= self.bound
        )

    @cached_property
    def _box(self) -> tuple[float, float, float, float]:
        """Worst and best accuracy, best latency, and the bound."""
        whole = [m for (_, e), m in self.figures.items() if e == self.rungs[-1]]
        within = [m for m in whole if m["latency_ms"] <= self.bound]
        scores = [m["accuracy"] for m in within]
        return min(scores), max(scores), min(m["latency_ms"] for m in within), self.bound

    def _volume(self, architectures: Any) -> float:
        low, high, fastest, slowest = self._box
        found = [self.figures[a, self.rungs[-1]] for a in architectures]
        points = np.array(
            [
                [
                    (high - m["accuracy"]) / (high - low),
                    (m["latency_ms"] - fastest) / (slowest - fastest),
                ]
                for m in found
            ]
        ).reshape(-1, 2)
        return hypervolume(points[non_dominated(points)], (1.0, 1.0))


def load(path: Path) -> Replay:
    """The table; its space is that of `record_table`, with the settings noted beside it."""
    noted = (read_json(path.with_suffix(".json")) or {"settings": {}})["settings"]
    space = recorded_space(
        resnet8(width=noted.get("width", WIDTH)), identity_start=noted.get("identity_start", True)
    )
    table = Table.load(path, space, metrics=("accuracy", "latency_ms"))
    return Replay(space, table.epochs, {key: row.metrics for key, row in table.rows.items()})


def search(replay: Replay, strategy: Strategy, epochs: int) -> list[tuple[int, float]]:
    """(epochs trained, share of the hypervolume) after each training, until there are so many.

    As in `attnas.search`, the plain backbone is trained first for as many epochs as others.
    """
    trials: list[Trial] = []
    curve: list[tuple[int, float]] = []
    used = 0
    while used < epochs:
        proposal = strategy.propose(History(tuple(trials), (), len(trials)))
        if proposal is None:
            break
        plain = any(t.architecture.is_plain and t.epochs == proposal.epochs for t in trials)
        architecture = proposal.architecture if plain else replay.space.plain
        trials.append(
            replay.trial(architecture, len(trials), proposal.epochs, proposal.schedule_epochs)
        )
        if trials[-1].state == "complete":
            used = epochs_trained(trials)
            curve.append((used, replay.volume(trials)))
    return curve


def reached(curve: Sequence[tuple[int, float]], volume: float) -> int | None:
    """Epochs after which a curve is at the volume for the first time."""
    return next((epochs for epochs, found in curve if found >= volume - 1e-12), None)


def at(curve: Sequence[tuple[int, float]], epochs: float) -> float:
    """The volume after so many epochs."""
    return max((found for used, found in curve if used <= epochs), default=0.0)


def compare(
    replay: Replay, inside: str, lowest: int, seeds: int, trials: int
) -> list[dict[str, float]]:
    """One row a seed; halving's rungs begin at `lowest` epochs."""
    budget = trials * replay.rungs[-1]
    given = {"space": replay.space, "objectives": OBJECTIVES, "epochs": replay.rungs[-1]}
    eta = round(replay.rungs[1] / replay.rungs[0])
    rows = []
    for seed in range(seeds):
        full = search(replay, make_strategy(inside, seed=seed, **given), budget)
        halving = make_strategy(
            "halving", around=inside, eta=eta, min_epochs=lowest, seed=seed, **given
        )
        halved = search(replay, halving, budget)
        final = full[-1][1]
        needed = reached(full, final) or budget
        with_halving = reached(halved, 0.99 * final)
        rows.append(
            {
                "volume": final,
                "full": needed,
                "halving": 2 * budget if with_halving is None else with_halving,
                "ratio": (2 * budget if with_halving is None else with_halving) / needed,
                "loss": 1 - at(halved, SHARE * budget) / final,
                "stopped": 1 - at(full, SHARE * budget) / final,
            }
        )
    return rows


def replayed(options: argparse.Namespace) -> dict[str, Any]:
    """By table and name of what is compared, the rows of all seeds."""
    seeds, trials = (2, 8) if options.quick else (SEEDS, options.trials)
    tables = {}
    for path in options.tables:
        replay = load(path)
        results = {
            f"{inside} from {lowest}": compare(replay, inside, lowest, seeds, trials)
            for inside in INSIDE
            for lowest in replay.rungs[:-1]
        }
        recorded = [
            Trial(i, a, epochs, "complete", found)
            for i, ((a, epochs), found) in enumerate(replay.figures.items())
        ]
        number = len(recorded) // len(replay.rungs)
        print(f"{path.stem}: {number} architectures after {replay.rungs} epochs.")
        correlations = rung_correlations(recorded, "accuracy")
        for found in correlations:
            print(f"Kendall's tau between epochs {found}.")
        names = ("volume", "full", "halving", "ratio", "loss", "stopped")
        print(f"Medians [quartiles] over {seeds} seeds; full training: {trials} trials.")
        print_table(
            ("inside", *names),
            [
                [name, *(quartiles([row[column] for row in rows]) for column in names)]
                for name, rows in results.items()
            ],
        )
        tables[path.stem] = {
            "architectures": number,
            "rungs": list(replay.rungs),
            "correlations": [str(found) for found in correlations],
            "searches": results,
        }
    return {"seeds": seeds, "trials": trials, "tables": tables}


def quartiles(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.3g} [{low:.3g} {high:.3g}]"


def trained(options: argparse.Namespace) -> dict[str, Any]:
    """One search of each kind, for real."""
    from attnas import search as run_search

    epochs, trials, images = (3, 3, 200) if options.quick else (18, 20, 5000)
    around = {"name": "local", "initial": 5}
    halving = {"name": "halving", "around": around, "eta": 3, "min_epochs": max(1, epochs // 9)}
    runs = {}
    for name, strategy, budget in (
        ("full", around, {"trials": trials}),
        ("halving", halving, {"epochs": round(SHARE * trials * epochs)}),
    ):
        runs[name] = run_search(
            {
                "name": f"halving-benchmark-{name}{'-quick' if options.quick else ''}",
                "data": {
                    "source": options.source,
                    "path": options.data,
                    "train": images,
                    "validation": images,
                },
                "search_space": {
                    "backbone": {"name": "resnet_cifar", "depth": 8, "width": 8},
                    "blocks": ["none", "se", "eca", "cbam", "scse"],
                    "ratios": [4, 8],
                },
                "objectives": {"accuracy": "max", "params": "min"},
                "strategy": strategy,
                "training": {"epochs": epochs},
                "budget": budget,
            },
            runs=options.runs,
        )
    rows = [_row(name, run, epochs) for name, run in runs.items()]
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    return {"epochs": epochs, "trained": rows}


def _row(name: str, run: Run, epochs: int) -> dict[str, Any]:
    """What a search took and found; its hypervolume is of what was trained fully."""
    whole = [t for t in run.trials if t.feasible and t.epochs == epochs]
    scores = [(-t.metrics["accuracy"], t.metrics["params"]) for t in whole]
    plain = run.facts["plain"]["metrics"]["params"]
    points = np.array([[a, params / (2 * plain)] for a, params in scores]).reshape(-1, 2)
    return {
        "search": name,
        "trainings": len(run.trials),
        "fully trained": len(whole),
        "epochs": epochs_trained(run.trials),
        "seconds": round(sum(t.seconds for t in run.trials)),
        "hypervolume": round(hypervolume(points, (-1 / run.backbone.output_shape[0], 1.0)), 5),
        "best accuracy": max((t.metrics["accuracy"] for t in whole), default=float("nan")),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    result = trained(options) if options.data or options.source == "digits" else replayed(options)
    known = read_json(options.out) or {}
    facts = provenance(arguments, "benchmarks.halving")
    kind = "trained" if "trained" in result else "replayed"
    write_json(options.out, {**known, kind: {**result, **facts}})


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument(
        "--tables", type=Path, nargs="+", default=list(TABLES), help="recorded after several epochs"
    )
    parser.add_argument("--data", help="CIFAR-10: train for real")
    parser.add_argument("--source", default="parquet", help="what kind of data that is")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--trials", type=int, default=TRIALS, help="full trainings of a replay")
    parser.add_argument("--quick", action="store_true", help="2 seeds and 8 trials, or 3 trials")
    parser.add_argument("--out", type=Path, default=RESULTS / "halving.json", help="the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
