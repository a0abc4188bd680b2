"""The front of a run: its trials that are dominated by nobody, and what to take of them."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attnas.core import (
    METRICS,
    Objective,
    Points,
    Trial,
    non_dominated,
    share_of_box,
    unknown,
)

from .rungs import longest

if TYPE_CHECKING:
    from attnas.search_space import Architecture

    from .run import Run


def losses(trials: Sequence[Trial], objectives: Sequence[Objective]) -> Points:
    """The objectives of the trials turned so that less is better: (trials, objectives).

    Raises:
        ValueError: a trial lacks a metric; the message names both.
    """
    table = np.empty((len(trials), len(objectives)))
    for row, trial in zip(table, trials, strict=True):
        for column, objective in enumerate(objectives):
            if objective.metric not in trial.metrics:
                raise ValueError(f"trial {trial.number} has no metric {objective.metric!r}")
            row[column] = objective.loss(trial.metrics)
    return table


def front(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[Trial]:
    """Feasible trials that no feasible trial dominates, by trial number.

    Of an architecture that was trained for several numbers of epochs its longest training
    counts, of one trained with several seeds their mean. Equal trials all stay; a NaN metric keeps
    a trial off the front.

    Raises:
        ValueError: a feasible trial lacks a metric; the message names both.
    """
    feasible = sorted((t for t in longest(trials) if t.feasible), key=lambda t: t.number)
    mask = non_dominated(losses(feasible, objectives))
    return [trial for trial, stays in zip(feasible, mask, strict=True) if stays]


def reference_box(
    objectives: Sequence[Objective],
    plain: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
) -> tuple[Points, Points]:
    """The reference and the ideal point of a run's hypervolume, turned so that less is better.

    The box reaches from guessing to perfection (`ends`, by metric, as the task says), and from
    twice the plain backbone's cost to none. It depends on no trial, so hypervolumes of runs on
    one backbone, data set and device can be compared.

    Raises:
        ValueError: a metric is neither among `ends` nor among `plain`.
    """
    reference, ideal = [], []
    for objective in objectives:
        if objective.metric not in ends and objective.metric not in plain:
            raise ValueError(f"the plain backbone has no metric {objective.metric!r}")
        both = ends.get(objective.metric) or (0.0, 2 * plain[objective.metric] or 1.0)
        as_losses = sorted(objective.loss({objective.metric: end}) for end in both)
        if as_losses[0] == as_losses[1]:
            as_losses[1] += 1.0
        ideal.append(as_losses[0])
        reference.append(as_losses[1])
    return np.array(reference), np.array(ideal)


def box_of(run: "Run") -> tuple[Points, Points]:
    """The `reference_box` of a run with a feasible trial.

    A cost not measured on the plain backbone is the first trial's; the ends of what no task knows
    are the worst and the best trial's.
    """
    first = next(trial for trial in run.trials if trial.feasible)
    ends = {name: (a, b) for name, (a, b) in run.facts.get("box", {}).items()}
    for objective in run.objectives:
        if objective.described.cheap or objective.metric in ends:
            continue
        values = [t.metrics.get(objective.metric, math.nan) for t in run.trials]
        known = [value for value in values if math.isfinite(value)]
        ends[objective.metric] = min(known, default=0.0), max(known, default=0.0)
    return reference_box(run.objectives, {**first.metrics, **run.facts["plain"]["metrics"]}, ends)


def hypervolume_over_trials(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    reference: ArrayLike,
    ideal: ArrayLike,
) -> Points:
    """`share_of_box` of the front after each trial: shape (trials,).

    It falls only where an architecture's longer training takes the place of its shorter one, or
    the mean of several seeds that of fewer.

    Raises:
        ValueError: a feasible trial lacks a metric; the message names both.
    """
    shares = np.zeros(len(trials))
    most: dict[Architecture, int] = {}
    held: list[Trial] = []
    for index, trial in enumerate(trials):
        shares[index] = shares[index - 1] if index else 0.0
        reached = most.get(trial.architecture, 0)
        if trial.state != "complete" or trial.epochs < reached:
            continue
        most[trial.architecture] = trial.epochs
        # a longer training may leave a gap on the front that dominated trials fill, and one more
        # seed changes what the earlier ones were
        longer = reached < trial.epochs and any(t.architecture == trial.architecture for t in held)
        rivals = trials[:index] if longer or reached == trial.epochs else held
        grown = front([*rivals, trial], objectives)
        if grown != held:
            held = grown
            shares[index] = share_of_box(losses(held, objectives), reference, ideal)
    return shares


def best(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
) -> tuple[Trial | None, Trial | None]:
    """(best feasible trial within the bounds, feasible trial that misses them by least).

    One of both is None, both when no trial is feasible. A miss is the sum of the relative
    excesses; a bound on a metric that a trial lacks, or has as NaN, is missed by infinity.
    The first objective decides, among equals the next, at last the lower number: so without
    bounds the best is on the front. Of an architecture its longest training counts.

    Raises:
        InputError: a bound is on an unknown metric.
    """
    known = {name for trial in trials for name in trial.metrics}
    bounds = [(_named(m, known), value, 1) for m, value in (at_most or {}).items()]
    bounds += [(_named(m, known), value, -1) for m, value in (at_least or {}).items()]
    feasible = [t for t in longest(trials) if t.feasible and _known(t, objectives[0])]
    misses = [_miss(trial, bounds) for trial in feasible]
    within = [t for t, miss in zip(feasible, misses, strict=True) if miss == 0]
    if within:
        return min(within, key=lambda t: [o.loss(t.metrics) for o in objectives]), None
    nearest = min(zip(misses, feasible, strict=True), key=lambda pair: pair[0], default=(0, None))
    return None, nearest[1]


def _named(name: str, known: set[str]) -> str:
    """The metric's name, if trials have it or it is registered."""
    if name not in known and name not in METRICS:
        raise unknown("metric", name, {*known, *METRICS})
    return name


def _known(trial: Trial, objective: Objective) -> bool:
    return math.isfinite(trial.metrics.get(objective.metric, math.nan))


def _miss(trial: Trial, bounds: Sequence[tuple[str, float, int]]) -> float:
    total = 0.0
    for name, bound, sign in bounds:
        value = trial.metrics.get(name, math.nan)
        if math.isnan(value):
            return math.inf
        if sign * (value - bound) > 0:
            total += abs(value - bound) / (abs(bound) or 1.0)
    return total
