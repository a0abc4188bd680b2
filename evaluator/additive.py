"""Costs that add up exactly over the decisions of an architecture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import nn

from attnas.core import METRICS, AdditiveCost
from attnas.search_space import (
    Attention,
    AttentionOption,
    SearchSpace,
    Site,
    block_at,
    build,
)

from .complexity import Complexity, complexity

ADDITIVE = ("params", "flops", "activations")
"""The metrics of a whole network that are exactly the plain backbone's and the blocks' sum."""

_Key = tuple[str, int | None, str, tuple[int, int, int, str]]


def additive_costs(
    space: SearchSpace, metrics: Sequence[str] = ("params", "flops")
) -> dict[str, AdditiveCost]:
    """The exact costs of a space of attention alone, by metric.

    Metrics are any of `ADDITIVE`, and a user's own that are registered as cheap and additive.
    A block is inserted where nothing was, around what stays or in place of a module, so a
    network's count is the plain backbone's and its blocks' own, less what they replace. Each
    distinct block is counted once, on the map that it will see: as many small traces as there
    are blocks, not one of every network. A user's own metric is measured on the plain backbone
    with one option at a time.

    Raises:
        ValueError: a metric does not add up, or a decision is not of attention.
    """
    if not space.is_shared:
        raise ValueError("only the costs of attention add up exactly")
    return {metric: _cost(space, metric) for metric in metrics}


def _cost(space: SearchSpace, metric: str) -> AdditiveCost:
    if metric not in ADDITIVE:
        return _measured(space, metric)
    plain, added = _counted(space)
    costs = tuple(
        tuple(float(sum(getattr(c, metric) for c in option)) for option in decision)
        for decision in added
    )
    return AdditiveCost(metric, float(getattr(plain, metric)), costs)


def _measured(space: SearchSpace, metric: str) -> AdditiveCost:
    """The costs by a metric of a user's own."""
    known = METRICS[metric]
    if known.measure is None or not (known.cheap and known.additive):
        raise ValueError(f"{metric} does not add up over decisions")

    def value(number: int | None = None, option: str = "") -> float:
        options = list(space.plain.options)
        if number is not None:
            options[number] = option
        network = build(replace(space.plain, options=tuple(options)), seed=0).eval()
        assert known.measure is not None
        return float(known.measure(network, space.backbone.input_shape))

    with torch.random.fork_rng(devices=[]):
        plain = value()
        costs = tuple(
            tuple(value(number, option) - plain for option in options)
            for number, options in enumerate(space.options)
        )
    return AdditiveCost(metric, plain, costs)


@lru_cache(maxsize=16)
def _counted(space: SearchSpace) -> tuple[Complexity, list[list[list[Complexity]]]]:
    """The plain backbone, and by decision and option each block's own; torch's generator is
    kept."""
    counted: dict[_Key, Complexity] = {}
    with torch.random.fork_rng(devices=[]):
        network = build(space.plain, seed=0)
        plain = complexity(network, space.backbone.input_shape)
        added = [
            [_blocks(space, network, number, option, counted) for option in options]
            for number, options in enumerate(space.options)
        ]
    return plain, added


def _blocks(
    space: SearchSpace,
    plain: nn.Module,
    number: int,
    option: str,
    counted: dict[_Key, Complexity],
) -> list[Complexity]:
    """What each block costs that the option inserts; `counted` is filled in."""
    decision, chosen = space.decisions[number], AttentionOption.parse(option)
    if chosen.placement is None or not isinstance(decision, Attention):
        return []
    found = []
    for _, site in decision.placed(option, space.backbone):
        shape = (site.channels, site.height, site.width, str(site.layout))
        key = chosen.block, chosen.ratio, site.path if site.mode == "replace" else "", shape
        if key not in counted:
            counted[key] = _at(space, plain, site, chosen)
        found.append(counted[key])
    return found


def _at(space: SearchSpace, plain: nn.Module, site: Site, chosen: AttentionOption) -> Complexity:
    """What a block costs more at its site than what it replaces there, if anything."""
    shape = site.input_shape
    added = complexity(block_at(chosen, site, identity_start=space.identity_start), shape)
    if site.mode != "replace":
        return added
    replaced = complexity(plain.get_submodule(site.path), shape)
    return Complexity(
        params=added.params - replaced.params,
        flops=added.flops - replaced.flops,
        activations=added.activations - replaced.activations,
        uncounted=added.uncounted,
    )
