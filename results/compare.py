"""Runs side by side: how much their fronts cover, and whether they can be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import LATENCY, InputError, Objective, Points, Trial, hypervolume

from .front import losses
from .rows import flatten, plain_metrics, recommended

if TYPE_CHECKING:
    from .run import Run

MARGIN = 0.1  # by which the reference point lies beyond the worst point, so that extremes count
FACTS = (
    "backbone",
    "identity_start",
    "data",
    "device",
    "task",
    "recipe",
    "training_function",
    "start",
)  # what makes figures comparable


@dataclass(frozen=True)
class Side:
    """One of the runs compared.

    `covers` is for each of the runs, this one too, the share of its front that this run's
    front weakly dominates (the C-metric of Zitzler and Thiele 1999,
    doi:10.1109/4235.797969); None where that front is empty.
    """

    name: str
    trials: int
    front: tuple[Trial, ...]
    hypervolume: float
    covers: tuple[float | None, ...]
    best: Trial | None
    plain_latency: float | None


@dataclass(frozen=True)
class Comparison:
    """`warnings` are sentences on what keeps the runs from being quite comparable."""

    objectives: tuple[Objective, ...]
    sides: tuple[Side, ...]
    warnings: tuple[str, ...]


def compare(runs: Sequence["Run"]) -> Comparison:
    """The fronts of the runs on common scales.

    Latencies are compared as multiples of each run's own plain backbone: what a millisecond is
    changes with the moment and the machine.
    Each objective is scaled to 0 at the best and 1 at the worst point of all fronts; the
    reference point is 1.1 in each, and hypervolumes are shares of the box from 0 to it.
    They hold for these runs together: another set of runs has other scales.

    Raises:
        InputError: the runs have other objectives, or there are fewer than two.
    """
    if len(runs) < 2:
        raise InputError("give two runs or more to compare.")
    names = _names(runs)
    first = runs[0]
    for name, run in zip(names, runs, strict=True):
        if set(run.objectives) != set(first.objectives):
            raise InputError(
                f"the runs have other objectives and cannot be compared: {names[0]} "
                f"{_objectives(first)}; {name} {_objectives(run)}."
            )
    fronts = [run.front() for run in runs]
    plain = [_plain_latency(run) for run in runs]
    scaled = _scaled(
        [
            losses(front, first.objectives) / _units(first.objectives, plain, own)
            for front, own in zip(fronts, plain, strict=True)
        ]
    )
    reference = np.full(len(first.objectives), 1 + MARGIN)
    sides = tuple(
        Side(
            name=name,
            trials=len(run.trials),
            front=tuple(front),
            hypervolume=hypervolume(mine, reference) / float(np.prod(reference)),
            covers=tuple(coverage(mine, other) for other in scaled),
            best=recommended(run),
            plain_latency=own,
        )
        for name, run, front, mine, own in zip(names, runs, fronts, scaled, plain, strict=True)
    )
    return Comparison(tuple(first.objectives), sides, tuple(_warnings(names, runs)))


def _plain_latency(run: "Run") -> float | None:
    """Of the plain backbone, measured in the same pass as the front's."""
    found = plain_metrics(run).get(LATENCY.name)
    return found if found is not None and found > 0 else None


def _units(
    objectives: Sequence[Objective], plain: Sequence[float | None], own: float | None
) -> Points:
    """What each objective is divided by: a latency by the plain backbone's, if all are known."""
    known = None not in plain
    return np.array([own if known and o.metric == LATENCY.name else 1.0 for o in objectives])


def coverage(covering: Points, covered: Points) -> float | None:
    """Share of the points (n, m) that a point of `covering` weakly dominates, less is better.

    None if there is nothing to cover.
    """
    if len(covered) == 0:
        return None
    if len(covering) == 0:
        return 0.0
    return float((covering[:, None, :] <= covered[None]).all(axis=2).any(axis=0).mean())


def compare_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One dict a run, in plain types.

    Keys: `run`, `trials`, `front` (its size), `hypervolume` (share of the common box),
    `covers` (run -> share of its front weakly dominated, null if that is empty), `best`
    (trial number or null), `best_metrics` (objective -> value) and `plain_latency_ms` (of which
    latencies are compared as multiples, or null).
    """
    names = [side.name for side in comparison.sides]
    return [
        {
            "run": side.name,
            "trials": side.trials,
            "front": len(side.front),
            "hypervolume": side.hypervolume,
            "covers": {
                name: share
                for name, share in zip(names, side.covers, strict=True)
                if name != side.name
            },
            "best": None if side.best is None else side.best.number,
            "best_metrics": {
                o.metric: value
                for o in comparison.objectives
                if side.best is not None and math.isfinite(value := side.best.metrics[o.metric])
            },
            "plain_latency_ms": side.plain_latency,
        }
        for side in comparison.sides
    ]


def _names(runs: Sequence["Run"]) -> list[str]:
    """The runs' names, or their folders where names are equal."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    folders = [str(run.folder) for run in runs]
    if len(set(folders)) < len(folders):
        raise InputError("a run is given twice; give different runs to compare.")
    return folders


def _objectives(run: "Run") -> str:
    return ", ".join(f"{o.metric} {o.direction}" for o in run.objectives)


def _scaled(fronts: Sequence[Points]) -> list[Points]:
    """The fronts on the common scale; an objective on which all agree is 0."""
    together = np.vstack(fronts)
    if len(together) == 0:
        return list(fronts)
    low, high = together.min(axis=0), together.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return [(points - low) / span for points in fronts]


_APART = ("data.path", "data.validation_sha256")  # this one follows from splits_sha256
_FOLLOW_FROM_SIZES = ("data.class_counts", "data.splits_sha256")


def _warnings(names: Sequence[str], runs: Sequence["Run"]) -> list[str]:
    first = _comparable(runs[0])
    found = []
    for name, run in zip(names[1:], runs[1:], strict=True):
        other = _comparable(run)
        sizes = any(first.get(k) != other.get(k) for k in first if k.startswith("data.sizes."))
        for key in sorted(first.keys() | other.keys()):
            if sizes and key.startswith(_FOLLOW_FROM_SIZES):
                continue
            if first.get(key) != other.get(key):
                found.append(
                    f"{key} differs: {_value(first, key)} in {names[0]}, "
                    f"{_value(other, key)} in {name}."
                )
    return found


def _comparable(run: "Run") -> dict[str, Any]:
    """The facts by dotted key on which figures depend; where the data lie is none of them."""
    facts = {key: run.facts.get(key) for key in FACTS}
    facts["measured_on"] = run.environment.get("device")
    facts["precision"] = run.environment.get("precision")
    flat = flatten(facts)
    return {key: value for key, value in flat.items() if key not in _APART and value is not None}


def _value(facts: Mapping[str, Any], key: str) -> str:
    text = str(facts.get(key, "not given"))
    return text if len(text) <= 60 else f"{text[:57]}..."
