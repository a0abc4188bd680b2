"""What `benchmarks.supernet` prints: tables of its results."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from attnas.results import hypervolume, rank_correlation

from .provenance import print_table

BOUND = 1.5
"""The greatest latency that is searched, in the plain backbone's."""
LOSS_OF_ACCURACY = 0.05  # below the plain backbone's: the corner of the hypervolume


def show_ranking(results: Mapping[str, Any]) -> None:
    """Tau by strategy and length, beside the ceiling; by accuracy, then by loss."""
    truth = results["truth"]
    seeds = max(map(len, truth.values()), default=0)
    trained = [c for c in ranked(results) if len(truth.get(c, ())) == seeds]
    if seeds < 2 or len(trained) < 2:
        return
    rows = []
    for place, figure in enumerate(("accuracy", "loss")):
        by_seed = np.array([[s[place] for s in truth[c].values()] for c in trained])  # (n, seeds)
        pairs = list(combinations(by_seed.T, 2))
        ceiling = float(np.mean([rank_correlation(a, b).tau for a, b in pairs]))
        alone = rank_correlation(*pairs[0])
        interval = f"{alone.low:.2f} .. {alone.high:.2f}"
        tau = f"{alone.tau:.2f}"
        rows.append([figure, "stand-alone", "", tau, interval, f"{ceiling:.2f}", "1.00", ""])
        for name, lengths in results["ranking"].items():
            for epochs, found in lengths.items():
                inherited = [found["inherited"][c][place] for c in trained]
                c = rank_correlation(inherited, by_seed.mean(axis=1).tolist())
                single = float(np.mean([rank_correlation(inherited, s).tau for s in by_seed.T]))
                rows.append(
                    [
                        figure,
                        name,
                        epochs,
                        f"{c.tau:.2f}",
                        f"{c.low:.2f} .. {c.high:.2f}",
                        f"{single:.2f}",
                        f"{single / ceiling:.2f}",
                        f"{found['seconds']:.0f}",
                    ]
                )
    print(f"\nKendall's tau over {len(trained)} architectures")
    print_table(
        ["by", "strategy", "epochs", "tau", "95 %", "one seed", "of ceiling", "seconds"], rows
    )


def show_targets(results: Mapping[str, Any]) -> None:
    """Asked, measured, kept, and accuracy beside random search's in the same time."""
    rows = []
    for name, seeds in results["runs"].items():
        if name == "random":
            continue
        for seed, found in seeds.items():
            spent = found["trials"][-1]["seconds"]
            for end in found["targets"]:
                beside = best_within(results["runs"]["random"][seed], end["asked"], spent)
                rows.append(
                    [
                        name,
                        seed,
                        f"{end['asked']:.2f}x",
                        "-" if end["measured"] is None else f"{end['measured']:.3f}x",
                        "yes" if end["measured"] is not None else "no",
                        "-" if end["accuracy"] is None else f"{100 * end['accuracy']:.2f}",
                        "-" if beside is None else f"{100 * beside:.2f}",
                        f"{spent:.0f}",
                    ]
                )
    if rows:
        print("\nLatency asked for and measured; accuracy in %, random search's in as much time")
        print_table(
            ["strategy", "seed", "asked", "measured", "kept", "accuracy", "random", "s"], rows
        )


def best_within(found: Mapping[str, Any], bound: float, seconds: float) -> float | None:
    """The best accuracy within a latency that a search had found by then."""
    fitting = [
        trial["accuracy"]
        for trial in found["trials"]
        if trial["state"] == "complete" and trial["cost"] <= bound and trial["seconds"] <= seconds
    ]
    return max(fitting, default=None)


def show_times(results: Mapping[str, Any]) -> None:
    """Time to the hypervolume that random search has at its end, as a ratio to its time."""
    rows = []
    for name, seeds in results["runs"].items():
        ratios = []
        for seed, found in seeds.items():
            control = results["runs"]["random"][seed]
            goal = volumes(control)[-1][1]
            needed = next((t for t, volume in volumes(found) if volume >= goal), None)
            ratios.append(np.inf if needed is None else needed / control["trials"][-1]["seconds"])
        shown = ["not reached" if r == np.inf else f"{r:.2f}" for r in ratios]
        rows.append([name, *shown])
    if rows:
        print("\nTime to random search's last hypervolume, as a ratio to its time, by seed")
        seeds = list(results["runs"]["random"])
        print_table(["strategy", *(f"seed {seed}" for seed in seeds)], rows)


def volumes(found: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Seconds and hypervolume after each trial, the corner relative to the plain backbone."""
    plain = found["trials"][0]["accuracy"]
    points: list[tuple[float, float]] = []
    result = []
    for trial in found["trials"]:
        if trial["state"] == "complete":
            points.append((-trial["accuracy"], trial["cost"]))
        corner = (LOSS_OF_ACCURACY - plain, BOUND)
        volume = hypervolume(np.array(points).reshape(-1, 2), corner)
        result.append((trial["seconds"], float(volume)))
    return result


def ranked(results: Mapping[str, Any]) -> list[str]:
    """The architectures whose inherited accuracy is known, of all strategies."""
    return list(
        dict.fromkeys(
            choices
            for lengths in results["ranking"].values()
            for found in lengths.values()
            for choices in found["inherited"]
        )
    )
