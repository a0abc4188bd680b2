"""Is what a search recommends worth its latency, beside what a person would place?

Question: the search of `examples/cifar10.yaml` (which attention, where, in a ResNet-8 that may take
at most 15 % longer in batches of 16?) has 40 trainings, some 45 minutes of two cores. Is its
recommendation better than the plain backbone, and than SE or ECA everywhere, and does `model`,
the default, find more than `random`?

    python -m benchmarks.worth --data PATH

PATH is CIFAR-10 as Parquet (Hugging Face's image layout). For each strategy the search, with two
workers of Ray (the extra `ray`), and `attnas confirm`: recommendation, baselines and plain
backbone trained for 18 epochs with 5 new seeds, scored on the 10,000 test images that no search
has seen; some 25 minutes more. Stopped, the same command goes on. `--quick` (seconds,
meaningless figures) takes digits.

Columns: accuracies in percent; `+` and `-` are differences in points with 95 % intervals, of the
recommendation to the plain backbone and to each baseline (`attnas confirm`), and of the first
strategy's recommendation to those of the others. `latency` is relative to the plain backbone.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from attnas import Run, confirm, search
from attnas.core import Trial
from attnas.observer import Observer
from attnas.results import Confirmation, seed_difference

from .provenance import RESULTS, print_table, provenance, write_json

CONFIG = Path(__file__).parents[1] / "examples" / "cifar10.yaml"
WORKERS = 2
HEAD = ("strategy", "trained", "what", "architecture", "latency", "test accuracy", "difference")
QUICK: Mapping[str, Any] = {
    "data": {"source": "digits", "train": 200, "validation": 100},
    "training": {"epochs": 1},
    "constraints": {"params": "<= 1.2x"},
    "budget": {"trials": 4},
    "engine": "local",
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    found: dict[str, tuple[Run, Confirmation]] = {}
    for name in options.strategies:
        named = {"name": name, "strategy": {"name": name}}
        run = search(_config(options) | named, runs=options.runs, observer=_Lines())
        workers = 1 if options.quick else WORKERS
        confirmed = confirm(
            run, seeds=options.seeds, epochs=options.epochs, workers=workers, say=print
        )
        found[name] = run, confirmed
    rows, results = [], {}
    for name, (run, confirmed) in found.items():
        results[name] = _result(run, confirmed)
        rows += _rows(name, results[name])
    between = _between({name: confirmed for name, (_, confirmed) in found.items()})
    print_table(HEAD, rows)
    for name, difference in between.items():
        print(f"{options.strategies[0]} less {name}: {_text(difference)} points")
    for name, result in results.items():
        print(f"{name}: {result['confirmed']['verdict']}")
    source = provenance(arguments, "benchmarks.worth")
    settings = _config(options)
    settings["data"].pop("path", None)
    write_json(
        options.out,
        {"provenance": source, "settings": settings, "strategies": results, "between": between},
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", help="CIFAR-10 as Parquet, a file or a folder")
    parser.add_argument("--runs", type=Path, default=Path("build/worth"), help="keeps the runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "worth.json")
    parser.add_argument("--strategies", nargs="+", default=["model", "random"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--quick", action="store_true", help="digits, hardly trained")
    options = parser.parse_args(arguments)
    if not options.quick and options.data is None:
        parser.error("--data is needed (or --quick)")
    if options.quick:
        options.seeds, options.epochs = 2, 1
    return options


def _config(options: argparse.Namespace) -> dict[str, Any]:
    """The example's config, on the data that are given."""
    content: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    if options.quick:
        content |= QUICK
    else:
        content["data"]["path"] = options.data
    return content


class _Lines(Observer):
    """Says each trial that was trained in a line."""

    def trial(self, trial: Trial) -> None:
        if trial.state == "complete":
            print(f"{trial.number:4d}  {trial.metrics['accuracy']:.4f}  {trial.architecture}")


def _result(run: Run, confirmed: Confirmation) -> dict[str, Any]:
    """What a search did and recommends, and what its confirmation says."""
    best, plain = run.best(), run.plain
    assert plain is not None
    return {
        "trained": sum(trial.state == "complete" for trial in run.trials),
        "rejected": sum(trial.state == "infeasible" for trial in run.trials),
        "recommended": dict(best.architecture.by_name),
        "validation_accuracy": best.metrics["accuracy"],
        "plain_validation_accuracy": plain.metrics["accuracy"],
        "latency_ratios": {
            str(trial.number): round(trial.metrics["latency_ms"] / plain.metrics["latency_ms"], 3)
            for trial in (plain, best, *run.baselines.values())
            if "latency_ms" in trial.metrics
        },
        "confirmed": confirmed.summary(),
    }


def _rows(strategy: str, result: Mapping[str, Any]) -> list[list[str]]:
    """A row for the plain backbone, the recommendation and each baseline."""
    summary, ratios = result["confirmed"], result["latency_ratios"]
    rows = [
        [strategy, str(result["trained"]), "plain", "", "1", f"{100 * summary['plain']:.2f}", ""]
    ]
    against = {entry["baseline"]: entry for entry in summary["baselines"]}
    for entry in summary["front"]:
        recommended = entry["trial"] == summary["winner"]
        name = "recommended" if recommended else str(entry["baseline"] or f"trial {entry['trial']}")
        difference = f"{_text(entry)} to plain"
        if name in against:
            difference += f"; recommended {_text(against[name])} to it"
        rows.append(
            [
                *("", "", name, " ".join(entry["architecture"].values())),
                *(str(ratios.get(str(entry["trial"]), "")), f"{100 * entry['value']:.2f}"),
                difference,
            ]
        )
    return rows


def _between(confirmed: Mapping[str, Confirmation]) -> dict[str, dict[str, float]]:
    """The first strategy's recommendation less that of each other one, on equal seeds."""
    scores = {}
    for name, confirmation in confirmed.items():
        entries = {entry.trial: entry for entry in (confirmation.plain, *confirmation.front)}
        winner = (
            entries[confirmation.winner] if confirmation.winner is not None else confirmation.plain
        )
        scores[name] = [score.scores for score in winner.scores]
    first, *others = scores
    found = {}
    for name in others:
        difference = seed_difference(scores[first], scores[name], 0.05)
        low, high = difference.interval
        found[name] = {
            "difference": difference.difference,
            "difference_low": low,
            "difference_high": high,
        }
    return found


def _text(entry: Mapping[str, float]) -> str:
    """A difference in points with its interval."""
    return "{:+.2f} ({:+.2f} to {:+.2f})".format(
        *(100 * entry[key] for key in ("difference", "difference_low", "difference_high"))
    )


if __name__ == "__main__":
    main()
