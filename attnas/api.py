"""What a program needs of a finished search: the run, and the network that it found."""

from pathlib import Path
from typing import TYPE_CHECKING

from attnas.results import Run, load_export
from attnas.search_space import Architecture

if TYPE_CHECKING:
    from torch import nn


def build(
    source: str | Path | Architecture,
    *,
    seed: int | None = None,
    weights: str | Path | None = None,
    trust: bool = False,
) -> "nn.Module":
    """The network of an exported architecture (a YAML or JSON file), with initial weights.

    With `weights`, a file of `attnas train` or `attnas confirm --keep-weights`, it is the trained
    network, in eval mode.

    With the same `seed` the weights are those that the search began with, unless that began with
    a file or a supernet (`start` in the export); without, they come from torch's generator. A
    backbone with trained weights keeps them. `trust` lets a file that somebody else made import the
    code that it names (docs/trust.md).

    Raises:
        InputError: the file is not an export that this version reads, or there are no such weights.
    """
    from attnas.search_space import build as build_architecture  # with torch, unlike the rest

    if not isinstance(source, Architecture):
        source, _ = load_export(source, trust=trust)
    if weights is not None:
        from .starting_weights import trained

        return trained(source, Path(weights), key="weights")
    return build_architecture(source, seed=seed)


def load_run(run: str | Path, runs: str | Path = "runs", *, trust: bool = False) -> Run:
    """The run of that name, or in that folder; `trust` as in `build`.

    Raises:
        InputError: there is none, or it cannot be read; the message says why.
    """
    return Run.open(run, runs=runs, trust=trust)
