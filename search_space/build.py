"""From an architecture to the network."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from attnas.core import InputError

from .architecture import Architecture
from .insertion import insert


def build(
    architecture: Architecture,
    *,
    seed: int | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """The network of an architecture on the CPU: its backbone with what the options change.

    With a seed the backbone's initial weights are the same whatever is inserted (common
    random numbers), a block's depend on the seed and on its place alone, and torch's
    generator is left as it was. Without, all are drawn from torch's generator.

    Args:
        weights: the state of the backbone, loaded before the edits; with an identity start the
            network computes at first what that backbone does.

    Raises:
        InputError: an option does nothing where it should: no unit has its placement, or its
            block or ratio is unknown or cannot be placed there.
    """
    _check_applied(architecture)
    with seeded(seed, ""):
        network = architecture.variant.network()
    if weights is not None:
        network.load_state_dict(weights)
    made = []
    for edit in architecture.edits:
        with seeded(seed, edit.path):
            made.append((edit.mode, edit.path, edit.make(architecture.identity_start)))
    insert(network, made)
    return network


def _check_applied(architecture: Architecture) -> None:
    """Refuses options that would be dropped in silence.

    Where another decision may take away what an option is applied to, it may do nothing.
    """
    variant = architecture.variant
    structural = [decision for decision in architecture.decisions if decision.structural]
    for decision, text in zip(architecture.decisions, architecture.options, strict=True):
        try:
            option = decision.read(text)
        except InputError as error:
            raise error.inside(key=decision.name) from error
        if any(other is not decision for other in structural):
            continue
        changes = decision.edits(option, variant) or decision.arguments(option)
        if not changes and option != decision.plain(variant):
            raise InputError(
                f"the option '{option}' can be applied nowhere in {variant.name}.",
                key=decision.name,
            )


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
