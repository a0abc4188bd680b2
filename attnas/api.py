"""What a program needs of a finished search: the run, and the network that it found."""

from pathlib import Path

from torch import nn

from attnas.results import Run, load_export
from attnas.search_space import Architecture
from attnas.search_space import build as build_architecture


def build(
    source: str | Path | Architecture, *, seed: int | None = None, trust: bool = False
) -> nn.Module:
    """The network of an exported architecture (a YAML or JSON file), with initial weights.

    With the same `seed` the weights are those that the search began with; without, they
    come from torch's generator. A backbone with trained weights keeps them. `trust` lets a file
    that somebody else made import the code that it names (docs/trust.md).

    Raises:
        InputError: the file is not an export that this version reads.
    """
    if not isinstance(source, Architecture):
        source, _ = load_export(source, trust=trust)
    return build_architecture(source, seed=seed)


def load_run(run: str | Path, runs: str | Path = "runs", *, trust: bool = False) -> Run:
    """The run of that name, or in that folder; `trust` as in `build`.

    Raises:
        InputError: there is none, or it cannot be read; the message says why.
    """
    return Run.open(run, runs=runs, trust=trust)
