"""Spaces with all their scores, on which searches are simulated: tables and synthetic ones.

Recorded tables: our own (`benchmarks.record_table`), and in the folder that `--tables` names
those of others:

- macro: NAS-Bench-Macro (Su et al. 2021, arXiv:2103.11922), `nas_bench_macro_cifar10.parquet`:
  8 stages of 3 options, CIFAR-10, three seeds. A search sees the accuracy of the first seed;
  what it found is reported as the mean of the three. Cost: multiply-adds.
- accel: Accel-NASBench, `accel_nasbench.parquet`: 28 decisions, of which a sample of 5,121
  architectures was trained on ImageNet. The space is that sample (`benchmarks.pool`). Cost:
  latency on a ZCU102.

Synthetic, all draws from one seed:

- additive, interactions, rugged: 4 stages of 8 options. An accuracy per option, added up over
  the stages; as much again from pairs of neighbouring stages; additive, and as much again at
  random per architecture, which nobody can learn.
- noisy: interactions, of which a search sees each with noise of half its standard deviation.
- plateau: 6 stages of 5 options; an architecture that lacks one of two options that it must
  have somewhere guesses, as a tenth of the space does.
- cells: 6 edges of 5 operations between 4 nodes, as in a cell space: what lies on no path
  from the first to the last node changes nothing, and cells without any path guess.
- deep: 10 stages of 3 options, of which three matter most; neighbours interact.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attnas.core import Objective, Trial, hypervolume, non_dominated
from attnas.evaluator import Table
from attnas.search_space import (
    Architecture,
    AttentionOption,
    Backbone,
    SearchSpace,
    StagePattern,
    stage_decisions,
)
from benchmarks.pool import Pool
from benchmarks.record_table import EPOCHS, TABLE, recorded_space, resnet8

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
BLOCKS = ("se", "cbam", "scse", "gc")
OPTIONS = ("none", *(str(AttentionOption(b, r, "residual")) for r in (4, 8) for b in BLOCKS))
"""What stands for the options of spaces whose networks are never built."""


@dataclass(frozen=True)
class Problem:
    """A space with all its scores by index, and the bound on the cost.

    `accuracy` is what a search sees, `truth` what it is worth (None: the same). The cost is
    called latency_ms, whatever it is.
    """

    name: str
    space: SearchSpace
    accuracy: NDArray[np.float64]  # (size,)
    latency_ms: NDArray[np.float64]  # (size,)
    truth: NDArray[np.float64] | None = None  # (size,)

    @cached_property
    def bound(self) -> float:
        """The latency that half of the space meets."""
        return float(np.median(self.latency_ms))

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        return self.latency_ms <= self.bound

    @cached_property
    def worth(self) -> NDArray[np.float64]:
        """The true accuracy (size,)."""
        return self.accuracy if self.truth is None else self.truth

    @cached_property
    def best(self) -> float:
        """The best feasible accuracy."""
        return float(self.worth[self.feasible].max())

    @cached_property
    def scaled(self) -> NDArray[np.float64]:
        """True losses (size, 2), 0 to 1 over the feasible architectures."""
        losses = np.stack([-self.worth, self.latency_ms], axis=1)
        low, high = losses[self.feasible].min(axis=0), losses[self.feasible].max(axis=0)
        return (losses - low) / (high - low)

    def hypervolume_share(self, found: Sequence[int]) -> float:
        """What the feasible architectures found cover of the true front's hypervolume.

        Where a search sees something else than the truth, only what it takes for its front
        counts.
        """
        shown = list(found)
        if self.truth is not None and shown:
            seen = np.stack([-self.accuracy[shown], self.latency_ms[shown]], axis=1)
            shown = np.array(shown)[non_dominated(seen)].tolist()
        return hypervolume(self.scaled[shown].reshape(-1, 2), (1.0, 1.0)) / self._best_volume

    def best_accuracy(self, found: Sequence[int]) -> float:
        """The true accuracy of the one that a search takes for the best."""
        shown = list(found)
        return float(self.worth[shown[int(np.argmax(self.accuracy[shown]))]])

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


def macro(tables: Path) -> Problem:
    """NAS-Bench-Macro; seen is the first seed's accuracy, true the mean of three."""
    options = [f"c{i}" for i in range(8)]
    rows = pd.read_parquet(tables / "nas_bench_macro_cifar10.parquet").sort_values(options)
    seen, true, flops = (
        rows[name].to_numpy(dtype=float) for name in ("test_acc_seed0", "mean_acc", "flops")
    )
    return Problem("macro", space_of(*[3] * 8), seen, flops, true)


def accel(tables: Path) -> Problem:
    """The trained sample of Accel-NASBench; of equal architectures the first."""
    rows = pd.read_parquet(tables / "accel_nasbench.parquet")
    names = [name for name in rows.columns if name.startswith("block")]
    rows = rows.dropna(subset=["latency_zcu102_mean"]).drop_duplicates(names)
    columns = [np.unique(rows[name], return_inverse=True) for name in names]
    whole = space_of(*(len(values) for values, _ in columns))
    members = np.stack([numbers for _, numbers in columns], axis=1)
    pool = Pool.of(whole, members)
    accuracy, latency_ms = (
        rows[name].to_numpy(dtype=float) for name in ("val_top1", "latency_zcu102_mean")
    )
    return Problem("accel", pool, accuracy, latency_ms)


def synthetic(kind: str, *, options: int = 8) -> Problem:
    """4 stages with the same number of options."""
    rng = np.random.default_rng(0)
    space = space_of(*[options] * 4)
    own = rng.normal(size=(4, options))
    numbers = numbers_of(space)
    accuracy = added(own, numbers)
    if kind in ("interactions", "noisy"):
        more = _of_neighbours(rng, numbers, options)
        accuracy = accuracy + more / more.std() * accuracy.std()
    elif kind == "rugged":
        accuracy = accuracy + rng.normal(size=space.size) * accuracy.std()
    latency_ms = 5 + added(_costs(rng, 4, options), numbers)
    if kind != "noisy":
        return Problem(kind, space, accuracy, latency_ms)
    seen = accuracy + 0.5 * accuracy.std() * rng.normal(size=space.size)
    return Problem(kind, space, seen, latency_ms, accuracy)


def plateau() -> Problem:
    """Two options are needed somewhere; without one of them an architecture guesses."""
    rng = np.random.default_rng(0)
    space = space_of(*[5] * 6)
    numbers = numbers_of(space)
    accuracy = added(rng.normal(size=(6, 5)), numbers)
    accuracy = accuracy + 0.3 * accuracy.std() * rng.normal(size=space.size)
    needed = (numbers == 1).any(axis=1) | (numbers == 2).any(axis=1)
    accuracy[~needed] = accuracy.min() - 5 * accuracy.std()
    return Problem("plateau", space, accuracy, 5 + added(_costs(rng, 6, 5), numbers))


def cells() -> Problem:
    """4 nodes in a row with an edge between each two; the cell's strength saturates.

    An edge passes on none, all, or a part of what its node has, and adds features of its own;
    a node has the sum of its edges.
    """
    rng = np.random.default_rng(0)
    space = space_of(*[5] * 6)
    numbers = numbers_of(space)
    passes = np.array([0.0, 1.0, 0.7, 1.0, 1.0])[numbers]  # none, skip, pool, two convolutions
    adds = np.array([0.0, 0.0, 0.1, 0.6, 1.0])[numbers] * rng.uniform(0.7, 1.3, size=(6,))
    reached = [np.ones(space.size, dtype=bool)]
    strength = [np.zeros(space.size)]
    edges = iter(range(6))
    for node in range(1, 4):
        incoming = [(next(edges), source) for source in range(node)]
        flows = [(numbers[:, e] > 0) & reached[s] for e, s in incoming]
        parts = [passes[:, e] * strength[s] + adds[:, e] for e, s in incoming]
        reached.append(np.any(flows, axis=0))
        strength.append(sum(np.where(f, p, 0.0) for f, p in zip(flows, parts, strict=True)))
    accuracy = 94 - 30 * np.exp(-strength[3]) + 0.3 * rng.normal(size=space.size)
    accuracy[~reached[3]] = 10.0
    cost = np.array([0.0, 0.02, 0.1, 0.4, 1.0])[numbers] * rng.uniform(0.9, 1.1, size=(6,))
    return Problem("cells", space, accuracy, 5 + cost.sum(axis=1))


def deep() -> Problem:
    """10 stages; the effects fall from stage to stage in an order drawn at random."""
    rng = np.random.default_rng(0)
    space = space_of(*[3] * 10)
    numbers = numbers_of(space)
    weight = rng.permutation(0.6 ** np.arange(10))
    accuracy = added(weight[:, None] * rng.normal(size=(10, 3)), numbers)
    more = _of_neighbours(rng, numbers, 3)
    accuracy = accuracy + 0.5 * more / more.std() * accuracy.std()
    return Problem("deep", space, accuracy, 5 + added(_costs(rng, 10, 3), numbers))


def space_of(*sizes: int) -> SearchSpace:
    """A space with so many options per stage; its networks are never built."""
    stages = tuple(StagePattern(f"layer{i + 1}", (), ()) for i in range(len(sizes)))
    backbone = Backbone("synthetic", (), (3, 32, 32), (10,), stages)
    allowed = tuple(OPTIONS[:size] for size in sizes)
    return SearchSpace(backbone, stage_decisions(backbone), allowed)


def numbers_of(space: SearchSpace) -> NDArray[np.int64]:
    """The number of each stage's option, (size, stages), in the space's order."""
    sizes = [len(options) for options in space.options]
    return np.stack(np.unravel_index(np.arange(space.size), sizes), axis=1)


def added(own: NDArray[np.float64], numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """The sum over stages of each option's own value (stages, options): (size,)."""
    return np.asarray(own[np.arange(len(own)), numbers].sum(axis=1))


def _of_neighbours(
    rng: np.random.Generator, numbers: NDArray[np.int64], options: int
) -> NDArray[np.float64]:
    """A value for each pair of options of neighbouring stages, added up: (size,)."""
    stages = numbers.shape[1]
    pairs = rng.normal(size=(stages - 1, options, options))
    terms = [pairs[a, numbers[:, a], numbers[:, b]] for a, b in pairwise(range(stages))]
    return np.asarray(np.stack(terms, axis=1).sum(axis=1))


def _costs(rng: np.random.Generator, stages: int, options: int) -> NDArray[np.float64]:
    cost = rng.gamma(2.0, size=(stages, options))
    cost[:, 0] = 0  # no attention
    return cost


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "recorded": recorded,
    "additive": lambda: synthetic("additive"),
    "interactions": lambda: synthetic("interactions"),
    "rugged": lambda: synthetic("rugged"),
    "noisy": lambda: synthetic("noisy"),
    "plateau": plateau,
    "cells": cells,
    "deep": deep,
}
TABLES: Mapping[str, Callable[[Path], Problem]] = {"macro": macro, "accel": accel}
"""Those made of the files in a folder."""
