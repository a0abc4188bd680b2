"""Costs that add up over the stages of an architecture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from attnas.search_space import NONE, Architecture, Choice, SearchSpace
from attnas.search_space.blocks import block
from attnas.search_space.build import build

from .complexity import Complexity, complexity

ADDITIVE = ("params", "flops", "activations")
"""The metrics of a whole network that are exactly the plain backbone's and the blocks' sum."""

_Key = tuple[Choice, tuple[int, int, int]]


@dataclass(frozen=True)
class AdditiveCost:
    """A metric as the plain backbone's value plus what each stage's choice adds.

    `costs[i][j]` is what option j of stage i adds to `base`, in the order of `space.allowed`.
    """

    metric: str
    base: float
    costs: tuple[tuple[float, ...], ...]

    def of(self, architecture: Architecture, space: SearchSpace) -> float:
        """The metric of an architecture of the space.

        Raises:
            ValueError: a choice is not in the space.
        """
        options = zip(self.costs, space.allowed, architecture.choices, strict=True)
        return self.base + sum(
            costs[_position(allowed, choice)] for costs, allowed, choice in options
        )

    def expected(self, weights: Sequence[Tensor]) -> Tensor:
        """The mean where stage i takes option j with probability `weights[i][j]`; a scalar."""
        parts = [(w * w.new_tensor(c)).sum() for w, c in zip(weights, self.costs, strict=True)]
        return self.base + sum(parts[1:], parts[0])


def additive_costs(
    space: SearchSpace, metrics: Sequence[str] = ("params", "flops")
) -> dict[str, AdditiveCost]:
    """The exact costs of a space, by metric; any of `ADDITIVE`.

    Blocks are inserted where nothing was or around what stays, so a network's count is the
    plain backbone's and its blocks' own. Each distinct block is counted once, on the map that
    it will see: as many small traces as there are blocks, not one of every network.

    Raises:
        ValueError: a metric does not add up.
    """
    unknown = [metric for metric in metrics if metric not in ADDITIVE]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not one of {', '.join(ADDITIVE)}")
    plain, added = _counted(space)
    return {
        metric: AdditiveCost(
            metric,
            float(getattr(plain, metric)),
            tuple(
                tuple(float(sum(getattr(c, metric) for c in option)) for option in stage)
                for stage in added
            ),
        )
        for metric in metrics
    }


@lru_cache(maxsize=16)
def _counted(space: SearchSpace) -> tuple[Complexity, list[list[list[Complexity]]]]:
    """The plain backbone, and by stage and option each block's own; torch's generator is kept."""
    counted: dict[_Key, Complexity] = {}
    with torch.random.fork_rng(devices=[]):
        plain = complexity(build(space.plain, seed=0), space.backbone.input_shape)
        added = [
            [_blocks(space, stage, choice, counted) for choice in allowed]
            for stage, allowed in zip(space.stage_names, space.allowed, strict=True)
        ]
    return plain, added


def _blocks(
    space: SearchSpace, stage: str, choice: Choice, counted: dict[_Key, Complexity]
) -> list[Complexity]:
    """What each block costs that the choice puts into the stage; `counted` is filled in."""
    if choice == NONE:
        return []
    found = []
    for unit in space.backbone.sites(stage):
        site = unit.get(str(choice.placement))
        if site is None:
            continue
        shape = (site.channels, site.height, site.width)
        key = Choice(choice.block, choice.ratio, ""), shape
        if key not in counted:
            made = block(choice.block).make(
                site.channels, choice.ratio, identity_start=space.identity_start
            )
            counted[key] = complexity(made, shape)
        found.append(counted[key])
    return found


def _position(allowed: Sequence[Choice], choice: Choice) -> int:
    try:
        return allowed.index(choice)
    except ValueError:
        raise ValueError(f"{choice} is not one of {', '.join(map(str, allowed))}") from None
