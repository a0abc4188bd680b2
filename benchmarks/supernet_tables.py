"""What `benchmarks.supernet` prints: tables of its results."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnas.core import hypervolume, rank_correlation

from .provenance import print_table

Floats = NDArray[np.float64]

BOUND = 1.5
"""The greatest latency that is searched, in the plain backbone's."""
WORSE = {"accuracy": 0.05, "loss": 0.1}
"""How far below the plain backbone's accuracy, or above its loss, the hypervolume's corner is."""


def show_ranking(results: Mapping[str, Any]) -> None:
    """Tau by strategy and length, beside the ceiling, of each kind of comparison."""
    truth = results["truth"]
    seeds = max(map(len, truth.values()), default=0)
    trained = [c for c in ranked(results) if len(truth.get(c, ())) == seeds]
    if seeds < 2 or len(trained) < 2:
        return
    figures = np.array([list(truth[c].values()) for c in trained])  # (n, seeds, 2)
    alone = {"accuracy": figures[:, :, 0], "loss": -figures[:, :, 1]}  # more is better
    rows = []
    for by, against in (("accuracy", "accuracy"), ("loss", "accuracy"), ("loss", "loss")):
        pairs = list(permutations(range(seeds), 2))
        ceiling = float(np.mean([_tau(alone[by][:, a], alone[against][:, b]) for a, b in pairs]))
        rows.append([by, against, "stand-alone", "", "", "", f"{ceiling:.2f}", "1.00", ""])
        for name, lengths in results["ranking"].items():
            for epochs, found in lengths.items():
                values = np.array([found["inherited"][c] for c in trained])
                inherited = values[:, 0] if by == "accuracy" else -values[:, 1]
                mean = rank_correlation(inherited.tolist(), alone[against].mean(axis=1).tolist())
                single = float(np.mean([_tau(inherited, one) for one in alone[against].T]))
                rows.append(
                    [
                        by,
                        against,
                        name,
                        epochs,
                        f"{mean.tau:.2f}",
                        f"{mean.low:.2f} .. {mean.high:.2f}",
                        f"{single:.2f}",
                        f"{single / ceiling:.2f}",
                        f"{found['seconds']:.0f}",
                    ]
                )
    print(
        f"\nKendall's tau between inherited and stand-alone figures of {len(trained)} "
        f"architectures; tau: with the mean of {seeds} seeds"
    )
    head = ["inherited", "alone", "strategy", "epochs", "tau", "95 %", "one seed", "of ceiling"]
    print_table([*head, "seconds"], rows)


def _tau(a: Floats, b: Floats) -> float:
    return rank_correlation(a.tolist(), b.tolist()).tau


def show_targets(results: Mapping[str, Any]) -> None:
    """Asked, measured, kept; accuracy and loss beside random search's best in the same time."""
    rows = []
    for name, seeds in results["runs"].items():
        if name == "random":
            continue
        for seed, found in seeds.items():
            took = found["trials"][-1]["seconds"]
            for end in found["targets"]:
                kept = end["measured"] is not None
                row = [name, seed, f"{end['asked']:.2f}x"]
                row += [f"{end['measured']:.3f}x" if kept else "-", "yes" if kept else "no"]
                for figure in WORSE:
                    control = best_within(
                        results["runs"]["random"][seed], end["asked"], took, figure
                    )
                    best = best_within(found, end["asked"], took, figure)
                    row += [_shown(value, figure) for value in (end[figure], best, control)]
                rows.append([*row, f"{took:.0f}"])
    if rows:
        print(
            "\nLatency asked for and measured; accuracy (%) and loss (nats) of what is recommended,"
            "\nof the run's best within the target, and of random search's best in as much time"
        )
        head = ["strategy", "seed", "asked", "measured", "kept"]
        print_table([*head, "accuracy", "best", "random", "loss", "best", "random", "s"], rows)


def _shown(value: float | None, figure: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.2f}" if figure == "accuracy" else f"{value:.3f}"


def best_within(
    found: Mapping[str, Any], bound: float, seconds: float, figure: str
) -> float | None:
    """The best accuracy or loss within a latency that a search had found by then."""
    fitting = [
        float(trial[figure])
        for trial in found["trials"]
        if trial["state"] == "complete" and trial["cost"] <= bound and trial["seconds"] <= seconds
    ]
    if not fitting:
        return None
    return max(fitting) if figure == "accuracy" else min(fitting)


def show_times(results: Mapping[str, Any]) -> None:
    """Time to the hypervolume that random search has at its end, as a ratio to its time."""
    for figure in WORSE:
        rows = []
        for name, seeds in results["runs"].items():
            ratios = []
            for seed, found in seeds.items():
                control = results["runs"]["random"][seed]
                goal = volumes(control, figure)[-1][1]
                needed = next((t for t, v in volumes(found, figure) if v >= goal), None)
                last = control["trials"][-1]["seconds"]
                ratios.append(np.inf if needed is None else needed / last)
            rows.append([name, *("not reached" if r == np.inf else f"{r:.2f}" for r in ratios)])
        if rows:
            print(
                "\nTime to random search's last hypervolume, as a ratio to its time; latency and "
                f"{figure}"
            )
            seeds = list(results["runs"]["random"])
            print_table(["strategy", *(f"seed {seed}" for seed in seeds)], rows)


def volumes(found: Mapping[str, Any], figure: str) -> list[tuple[float, float]]:
    """Seconds and hypervolume after each trial, the corner relative to the plain backbone."""
    sign = -1 if figure == "accuracy" else 1
    corner = (sign * found["trials"][0][figure] + WORSE[figure], BOUND)
    points: list[tuple[float, float]] = []
    result = []
    for trial in found["trials"]:
        if trial["state"] == "complete":
            points.append((sign * trial[figure], trial["cost"]))
        volume = hypervolume(np.array(points).reshape(-1, 2), corner)
        result.append((trial["seconds"], float(volume)))
    return result


def ranked(results: Mapping[str, Any]) -> list[str]:
    """The architectures whose inherited accuracy is known, of all strategies."""
    return list(
        dict.fromkeys(
            spelled
            for lengths in results["ranking"].values()
            for found in lengths.values()
            for spelled in found["inherited"]
        )
    )
