"""Trainings of one architecture with several seeds: one candidate, by the mean of its figures.

Model. A figure is its architecture's mean, an effect of the seed that all architectures share
(equal initial weights and data order: common random numbers), and noise of variance s2, the
same for all. The architectures with several seeds are those that looked good, so their second
figures fall on average, whatever the seeds do; a seed's effect is therefore seen on the plain
backbone alone, which is trained with each seed whatever it gives. Its difference to that of the
run's own seed has a variance of 2 s2 by noise, so only what is beyond that is taken off (the
shrinkage of James and Stein 1961, "Estimation with quadratic loss", over the seeds). s2 is that
of the residuals of a two-way layout of architectures and seeds by least squares.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from .metrics import described
from .trial import Trial, violations_text

if TYPE_CHECKING:
    from attnas.search_space import Architecture

LEVEL = 0.05  # what an interval may err by


@dataclass(frozen=True)
class SeedNoise:
    """What seeds do to a metric: the variance of one training, and what each seed moves all by.

    `degrees` of freedom of the variance; with 0 nothing is known, and the variance is 0. `kept` is
    the share of what the plain backbone was moved by that `effects` are, the rest is its noise.
    """

    variance: float = 0.0
    degrees: int = 0
    effects: Mapping[int, float] = field(default_factory=dict)
    kept: float = 0.0

    @classmethod
    def of(cls, groups: Iterable[Sequence[Trial]], metric: str) -> "SeedNoise":
        """From the trainings of each architecture that were done for as many epochs."""
        known = [[t for t in group if math.isfinite(_value(t, metric))] for group in groups]
        several = [group for group in known if len(group) > 1]
        seeds = sorted({t.seed for group in several for t in group})
        rows = [(i, seeds.index(t.seed)) for i, group in enumerate(several) for t in group]
        if not rows:
            return cls()
        values = np.array([_value(t, metric) for group in several for t in group])
        places = np.array(rows)
        design = np.zeros((len(rows), len(several) + len(seeds)))
        design[np.arange(len(rows)), places[:, 0]] = 1
        design[np.arange(len(rows)), len(several) + places[:, 1]] = 1
        fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
        degrees = len(rows) - int(rank)
        missed = values - design @ fitted
        variance = float(missed @ missed) / degrees if degrees else 0.0
        return cls(variance, degrees, *_effects(several, metric, variance if degrees else math.inf))

    def half_width(self, trainings: int) -> float:
        """Of the interval of the mean of so many trainings; 0 where nothing is known.

        Effects that were taken off have the noise of the plain backbone's trainings, of which
        that with the run's own seed is in all of them.
        """
        if not self.degrees:
            return 0.0
        others = trainings - 1
        of_effects = self.kept * (others + others**2) / trainings**2
        t = float(stdtrit(self.degrees, 1 - LEVEL / 2))
        return t * math.sqrt(self.variance * (1 / trainings + of_effects))


def _effects(
    several: Sequence[Sequence[Trial]], metric: str, variance: float
) -> tuple[dict[int, float], float]:
    """What each seed moved the plain backbone by, less what its noise explains; what is kept."""
    plain = next((group for group in several if group[0].architecture.is_plain), None)
    if plain is None:
        return {}, 0.0
    first, *others = plain
    moved = {t.seed: _value(t, metric) - _value(first, metric) for t in others}
    square = sum(value**2 for value in moved.values()) / len(moved)
    kept = max(0.0, 1 - 2 * variance / square) if square > 0 else 0.0
    return {seed: kept * value for seed, value in moved.items()}, kept


def seed_noise(trials: Iterable[Trial], metric: str, epochs: int) -> SeedNoise:
    """What seeds do to a metric after so many epochs."""
    groups = _by_architecture(t for t in trials if t.epochs == epochs)
    return SeedNoise.of(groups.values(), metric)


def merged(trials: Iterable[Trial]) -> list[Trial]:
    """Those complete trials that differ in their seed alone as one, in order of number.

    Its number is that of the first of them. What training tells is the mean, each figure less
    its seed's effect, so on the scale of the run's own seed; the interval is over seeds and
    items. What is known without training is the first one's. Trials of a seed that the
    architecture had already, and all that are not complete, stay as they are.
    """
    given = list(trials)
    if len({t.seed for t in given if t.state == "complete"}) < 2:
        return given
    found: list[Trial] = []
    for epochs in dict.fromkeys(t.epochs for t in given if t.state == "complete"):
        groups = _by_architecture(t for t in given if t.epochs == epochs)
        several = {a: group for a, group in groups.items() if len(group) > 1}
        if several:
            found += _means(list(several.values()))
    if not found:
        return given
    gone = {one.number for mean in found for one in mean.replicates}
    return sorted([*found, *(t for t in given if t.number not in gone)], key=lambda t: t.number)


def _by_architecture(trials: Iterable[Trial]) -> "dict[Architecture, list[Trial]]":
    """The complete trainings of each architecture, of a seed the first."""
    groups: dict[Architecture, dict[int, Trial]] = {}
    for trial in trials:
        if trial.state == "complete" and not trial.replicates:
            groups.setdefault(trial.architecture, {}).setdefault(trial.seed, trial)
    return {architecture: list(group.values()) for architecture, group in groups.items()}


def _means(groups: Sequence[Sequence[Trial]]) -> list[Trial]:
    names = dict.fromkeys(name for group in groups for t in group for name in t.metrics)
    trained = [name for name in names if not described(name).cheap]
    noises = {name: SeedNoise.of(groups, name) for name in trained}
    return [_mean(group, noises) for group in groups]


def _mean(group: Sequence[Trial], noises: Mapping[str, SeedNoise]) -> Trial:
    first = group[0]
    metrics, intervals = dict(first.metrics), dict(first.intervals)
    for name, noise in noises.items():
        scored = [t for t in group if math.isfinite(_value(t, name))]
        if not scored:
            continue
        values = [_value(t, name) - noise.effects.get(t.seed, 0.0) for t in scored]
        metrics[name] = sum(values) / len(values)
        if noise.degrees or name in intervals:
            intervals[name] = _interval(metrics[name], scored, name, noise)
    violations = {name: e for name, e in first.violations.items() if described(_of(name)).cheap}
    violations |= _broken(group, metrics)
    return replace(
        first,
        metrics=metrics,
        intervals=intervals,
        violations=violations,
        reason=violations_text(violations),
        seconds=sum(t.seconds for t in group),
        scores=None,
        replicates=tuple(group),
    )


def _interval(
    mean: float, group: Sequence[Trial], name: str, noise: SeedNoise
) -> tuple[float, float]:
    """Over seeds and items: the items are the same for all seeds, so their part stays."""
    by_seed = noise.half_width(len(group))
    sides = [
        (_value(t, name) - low, high - _value(t, name))
        for t in group
        for low, high in [t.intervals.get(name, (_value(t, name),) * 2)]
    ]
    below, above = (sum(side) / len(group) for side in zip(*sides, strict=True))
    return mean - math.hypot(by_seed, below), mean + math.hypot(by_seed, above)


def _broken(group: Sequence[Trial], metrics: Mapping[str, float]) -> dict[str, float]:
    """The bounds on what training tells that the means break; known from a training that did."""
    found = {}
    for trial in group:
        for text, excess in trial.violations.items():
            name = _of(text)
            if described(name).cheap or name not in metrics or text in found:
                continue
            found[text] = excess
            if math.isfinite(excess):
                bound = bound_broken(text, _value(trial, name), excess)
                sign = -1.0 if text.split()[1] == ">=" else 1.0
                found[text] = sign * (metrics[name] / bound - 1)
    return {text: excess for text, excess in found.items() if excess > 0}


def bound_broken(text: str, value: float, excess: float) -> float:
    """The bound of a broken constraint `metric op bound`, absolute, from the relative excess.

    With the metric's value the excess, a finite one, gives it also where the text is relative to
    the plain backbone's figure.
    """
    sign = -1.0 if text.split()[1] == ">=" else 1.0
    return value / (1 + sign * excess)


def _of(text: str) -> str:
    """The metric of a constraint."""
    return text.split()[0]


def _value(trial: Trial, metric: str) -> float:
    return trial.metrics.get(metric, math.nan)
