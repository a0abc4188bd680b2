"""From an architecture to the network."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .architecture import Architecture
from .blocks import block
from .choice import NONE, Choice
from .errors import InputError
from .insertion import insert
from .options import checked
from .tracing import Site


def build(
    architecture: Architecture,
    *,
    seed: int | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """The network of an architecture on the CPU: its plain backbone with the blocks inserted.

    With a seed the backbone's initial weights are the same whatever is inserted (common
    random numbers), a block's depend on the seed and on its place alone, and torch's
    generator is left as it was. Without, all are drawn from torch's generator.

    Args:
        weights: the state of a plain backbone, loaded before the blocks are inserted; with
            an identity start the network computes at first what that backbone does.

    Raises:
        InputError: no unit of a stage has the placement chosen for it, or the block or its
            ratio is unknown or cannot stand there.
    """
    wanted = [
        (site, chosen)
        for stage, choice in architecture.by_stage.items()
        for site, chosen in _sites(architecture, stage, checked(choice))
    ]
    with seeded(seed, ""):
        network = architecture.backbone.network()
    if weights is not None:
        network.load_state_dict(weights)
    inserted = []
    for site, choice in wanted:
        with seeded(seed, site.path):
            made = block(choice.block).make(
                site.channels, choice.ratio, identity_start=architecture.identity_start
            )
        inserted.append((site.mode, site.path, made))
    insert(network, inserted)
    return network


def _sites(architecture: Architecture, stage: str, choice: Choice) -> Iterator[tuple[Site, Choice]]:
    """Where the choice goes in the stage."""
    if choice == NONE:
        return
    units, placement = architecture.backbone.sites(stage), str(choice.placement)
    sites = [unit[placement] for unit in units if placement in unit]
    if not sites:
        known = dict.fromkeys(name for unit in units for name in unit)
        raise InputError(
            f"{choice}: no unit of the stage '{stage}' has the placement '{placement}'. "
            f"Known there: {', '.join(known)}."
        )
    for site in sites:
        if not block(choice.block).legal(site.channels, site.height, site.width, choice.ratio):
            raise InputError(
                f"{choice}: cannot stand at '{site.path}' of the stage '{stage}' "
                f"({site.channels} channels, map {site.height} x {site.width})."
            )
        yield site, choice


@contextmanager
def seeded(seed: int | None, path: str) -> Iterator[None]:
    """Torch's CPU generator, seeded by (seed, path) within and put back behind."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would also seed generators of other devices for good.
        torch.default_generator.manual_seed(zlib.crc32(f"{seed}:{path}".encode()))
        yield
