"""The sites of a network with their channels and map sizes, found by running it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnas.core import InputError

from .insertion import insert
from .stages import Mode, Stage, join


@dataclass(frozen=True)
class Site:
    """A place where a block can be put, with what it will see there.

    Where it replaces a module, `stride` is the module's: the block sees means of so many pixels.
    """

    placement: str
    mode: Mode
    path: str
    channels: int
    height: int
    width: int
    stride: int = 1


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
        self.seen: list[Any] = []

    def forward(self, x: Any) -> Any:
        self.seen.append(_described(x))
        return x


class _Watch:
    """Notes what a module gets and gives while the network runs."""

    def __init__(self, module: nn.Module) -> None:
        self.got: list[Any] = []
        self.gave: list[Any] = []
        self._hook = module.register_forward_hook(self._note)

    def _note(self, _: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        self.got.append(_described(arguments[0]) if arguments else "keyword argument")
        self.gave.append(_described(output))

    @property
    def keeps_shape(self) -> bool:
        """Whether the module was run once and gave the shape that it got."""
        return len(self.got) == 1 and self.got == self.gave and isinstance(self.got[0], tuple)

    def remove(self) -> None:
        self._hook.remove()


def _described(x: Any) -> Any:
    """A tensor's shape, or the name of another type."""
    return tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__


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
    found out too; modules to be replaced are watched instead. The network is used up by it.

    Raises:
        InputError: the network does not run on such inputs, gives another output than
            `output_shape` (unless that is empty), or a site is not passed exactly once by an
            (N, C, H, W) tensor; a module to be replaced changes the number of channels, or the
            map otherwise than by a stride.
    """
    image = torch.zeros(1, *input_shape)
    places = [
        (insertion.mode, join(unit.path, insertion.path))
        for stage in stages
        for unit in stage.units
        for _, insertion in unit.insertions
    ]
    watched = {path for mode, path in places if mode == "replace"}
    watched |= {unit.path for stage in stages for unit in stage.units}
    watches = {path: _Watch(network.get_submodule(path)) for path in watched}
    output = _run(network, image, f"does not run on {_named(input_shape)}", network_key)
    for watch in watches.values():
        watch.remove()
    if output_shape:
        _check_output(output, output_shape, network_key)
    probes = {place: _Probe() for place in places if place[0] != "replace"}
    insert(network, ((mode, path, probe) for (mode, path), probe in probes.items()))
    _run(network, image, "does not run with modules inserted at its sites", stages_key)
    return {
        stage.name: tuple(_traced_units(stage, probes, watches, stages_key)) for stage in stages
    }


def _traced_units(
    stage: Stage,
    probes: Mapping[tuple[Mode, str], _Probe],
    watches: Mapping[str, _Watch],
    key: str,
) -> Iterator[TracedUnit]:
    for unit in stage.units:
        sites = {}
        for placement, insertion in unit.insertions:
            path = join(unit.path, insertion.path)
            place = f"{key}.{stage.name}.sites.{placement}"
            if insertion.mode == "replace":
                shape, stride = _replaceable(watches[path], path, place)
            else:
                shape, stride = _shape(probes[insertion.mode, path].seen, path, place), 1
            sites[placement] = Site(placement, insertion.mode, path, *shape, stride)
        yield TracedUnit(unit.path, sites, watches[unit.path].keeps_shape)


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


def _replaceable(watch: _Watch, path: str, key: str) -> tuple[tuple[int, int, int], int]:
    """The shape that a module gives, which a block in its place will see, and its stride."""
    channels_in, *sides_in = _shape(watch.got, path, key)
    channels, *sides = shape = _shape(watch.gave, path, key)
    stride = math.ceil(sides_in[0] / sides[0])
    if channels != channels_in or sides != [math.ceil(side / stride) for side in sides_in]:
        raise InputError(
            f"the module '{path}' makes a map of {_sides(shape)} from one of "
            f"{_sides((channels_in, *sides_in))}. Only a module that keeps the channels, and the "
            "map but for a stride, can be replaced by a block.",
            key=key,
        )
    return shape, stride


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
