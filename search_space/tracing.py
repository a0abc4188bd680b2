"""What stands at the sites of a network: channels and map sizes, found by running it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError
from .insertion import insert
from .stages import Mode, Stage, join


@dataclass(frozen=True)
class Site:
    """A place where a block may stand, with what it will see there."""

    placement: str
    mode: Mode
    path: str
    channels: int
    height: int
    width: int


class _Probe(nn.Module):
    """Stands where a block would, passes its input on and notes what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []  # a tensor's shape, or the name of another type

    def forward(self, x: Any) -> Any:
        self.seen.append(tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__)
        return x


def trace(
    network: nn.Module,
    stages: Sequence[Stage],
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    network_key: str,
    stages_key: str,
) -> Mapping[str, tuple[Mapping[str, Site], ...]]:
    """The sites by placement of every unit, by stage name.

    Probes are inserted as blocks would be, so a site where a block would have no effect is
    found out too. The network is used up by it.

    Raises:
        InputError: the network does not run on such images, gives another number of scores
            than `classes`, or a site is not passed exactly once by an (N, C, H, W) tensor.
    """
    image = torch.zeros(1, *input_shape)
    shape = " x ".join(map(str, input_shape))
    output = _run(
        network,
        image,
        f"does not run on an image of {shape} (channels x height x width)",
        network_key,
    )
    _check_output(output, classes, network_key)
    probes = {
        (insertion.mode, join(unit.path, insertion.path)): _Probe()
        for stage in stages
        for unit in stage.units
        for _, insertion in unit.insertions
    }
    insert(network, ((mode, path, probe) for (mode, path), probe in probes.items()))
    _run(network, image, "does not run with modules inserted at its sites", stages_key)
    return {stage.name: tuple(_unit_sites(stage, probes, stages_key)) for stage in stages}


def _unit_sites(
    stage: Stage, probes: Mapping[tuple[Mode, str], _Probe], key: str
) -> Iterator[Mapping[str, Site]]:
    for unit in stage.units:
        sites = {}
        for placement, insertion in unit.insertions:
            path = join(unit.path, insertion.path)
            channels, height, width = _shape(
                probes[insertion.mode, path].seen, path, f"{key}.{stage.name}.sites.{placement}"
            )
            sites[placement] = Site(placement, insertion.mode, path, channels, height, width)
        yield sites


def _run(network: nn.Module, image: Tensor, failure: str, key: str) -> Any:
    try:
        with torch.no_grad():
            return network.eval()(image)
    except Exception as error:
        raise InputError(
            f"the network {failure}, on the CPU: {type(error).__name__}: {error}", key=key
        ) from error


def _check_output(output: Any, classes: int, key: str) -> None:
    wanted = (
        f"It must give one score for each of the {classes} classes of the data, (N, {classes})."
    )
    if not isinstance(output, Tensor):
        raise InputError(f"the network returns a {type(output).__name__}. {wanted}", key=key)
    if tuple(output.shape) != (1, classes):
        raise InputError(
            f"the network returns shape {tuple(output.shape)} for one image. {wanted}", key=key
        )


def _shape(seen: Sequence[Any], path: str, key: str) -> tuple[int, int, int]:
    if len(seen) != 1:
        times = f"{len(seen)} times" if seen else "never"
        raise InputError(
            f"in one forward pass a block at the module '{path}' is run {times}. Name a module "
            "that is run once.",
            key=key,
        )
    [shape] = seen
    if not isinstance(shape, tuple) or len(shape) != 4:
        what = f"a tensor of shape {shape}" if isinstance(shape, tuple) else f"a {shape}"
        raise InputError(
            f"a block at the module '{path}' gets {what}; it needs one of shape (N, C, H, W).",
            key=key,
        )
    _, channels, height, width = shape
    return channels, height, width
