"""The sites of a network with their channels and map sizes, found by running it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from attnas.core import InputError

from .insertion import insert
from .stages import Mode, Stage, join


@dataclass(frozen=True)
class Site:
    """A place where a block can be put, with what it will see there."""

    placement: str
    mode: Mode
    path: str
    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class TracedUnit:
    """A unit with its sites by placement; `keeps_shape`: its output has its input's shape."""

    path: str
    sites: Mapping[str, Site]
    keeps_shape: bool

    def __hash__(self) -> int:
        return hash(self.path)


class _Probe(nn.Module):
    """Takes the place of a block, passes its input on and notes what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []  # a tensor's shape, or the name of another type

    def forward(self, x: Any) -> Any:
        self.seen.append(tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__)
        return x


def trace(
    network: nn.Module,
    stages: Sequence[Stage],
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    *,
    network_key: str,
    stages_key: str,
) -> Mapping[str, tuple[TracedUnit, ...]]:
    """The units of every stage with their sites, by stage name.

    Probes are inserted as blocks would be, so a site where a block would have no effect is
    found out too. The network is used up by it.

    Raises:
        InputError: the network does not run on such inputs, gives another output than
            `output_shape` (unless that is empty), or a site is not passed exactly once by an
            (N, C, H, W) tensor.
    """
    image = torch.zeros(1, *input_shape)
    keeping, watchers = _watch_units(network, stages)
    output = _run(network, image, f"does not run on {_named(input_shape)}", network_key)
    for watcher in watchers:
        watcher.remove()
    if output_shape:
        _check_output(output, output_shape, network_key)
    probes = {
        (insertion.mode, join(unit.path, insertion.path)): _Probe()
        for stage in stages
        for unit in stage.units
        for _, insertion in unit.insertions
    }
    insert(network, ((mode, path, probe) for (mode, path), probe in probes.items()))
    _run(network, image, "does not run with modules inserted at its sites", stages_key)
    return {
        stage.name: tuple(_traced_units(stage, probes, keeping, stages_key)) for stage in stages
    }


def _watch_units(
    network: nn.Module, stages: Sequence[Stage]
) -> tuple[dict[str, bool], list[RemovableHandle]]:
    """By path, whether a unit was run once and kept the shape; filled when the network runs."""
    found: dict[str, bool] = {}

    def watch(path: str) -> RemovableHandle:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            given = inputs[0] if inputs else None
            shape = given.shape if isinstance(given, Tensor) else None
            same = isinstance(output, Tensor) and output.shape == shape
            found[path] = same and path not in found

        return network.get_submodule(path).register_forward_hook(hook)

    return found, [watch(unit.path) for stage in stages for unit in stage.units]


def _traced_units(
    stage: Stage,
    probes: Mapping[tuple[Mode, str], _Probe],
    keeping: Mapping[str, bool],
    key: str,
) -> Iterator[TracedUnit]:
    for unit in stage.units:
        sites = {}
        for placement, insertion in unit.insertions:
            path = join(unit.path, insertion.path)
            channels, height, width = _shape(
                probes[insertion.mode, path].seen, path, f"{key}.{stage.name}.sites.{placement}"
            )
            sites[placement] = Site(placement, insertion.mode, path, channels, height, width)
        yield TracedUnit(unit.path, sites, keeping.get(unit.path, False))


def _named(shape: tuple[int, ...]) -> str:
    sizes = " x ".join(map(str, shape))
    images = len(shape) == 3
    return f"an image of {sizes} (channels x height x width)" if images else f"inputs of {sizes}"


def _run(network: nn.Module, image: Tensor, failure: str, key: str) -> Any:
    try:
        with torch.no_grad():
            return network.eval()(image)
    except Exception as error:
        raise InputError(
            f"the network {failure}, on the CPU: {type(error).__name__}: {error}", key=key
        ) from error


def _check_output(output: Any, shape: tuple[int, ...], key: str) -> None:
    sizes = ", ".join(map(str, ("N", *shape)))
    wanted = f"It must give ({sizes}) for this task and these data."
    if len(shape) == 1:
        wanted = (
            f"It must give one score for each of the {shape[0]} classes of the data, ({sizes})."
        )
    if not isinstance(output, Tensor):
        raise InputError(f"the network returns a {type(output).__name__}. {wanted}", key=key)
    if tuple(output.shape) != (1, *shape):
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
