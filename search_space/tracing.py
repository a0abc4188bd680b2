"""The sites of a network with their channels and map sizes, found by running it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attnas.core import InputError

from .channel_axes import ChannelAxes
from .insertion import insert
from .known_attention import is_known_attention
from .layouts import NCHW, Layout
from .stages import Insertion, Mode, Stage, join
from .watching import Probe, Seen, Watch


@dataclass(frozen=True)
class Site:
    """A place where a block can be put, with what it will see there.

    Where it replaces a module, `stride` is the module's: the block sees means of so many pixels.
    `layout` is that of the tensors there; `attention`: the module that is replaced is attention
    that the network has already.
    """

    placement: str
    mode: Mode
    path: str
    channels: int
    height: int
    width: int
    stride: int = 1
    layout: Layout = NCHW
    attention: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """That of the tensor which the block gets, without N, in its own layout."""
        tall = self.height * (1 if self.layout.kind == "signal" else self.stride)
        return self.layout.shape(self.channels, tall, self.width * self.stride)


@dataclass(frozen=True)
class TracedUnit:
    """A unit with its sites by placement; `keeps_shape`: its output has its input's shape."""

    path: str
    sites: Mapping[str, Site]
    keeps_shape: bool

    def __hash__(self) -> int:
        return hash(self.path)


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
            `output_shape` (unless that is empty), or a site is not passed exactly once by a
            tensor of a known layout; a module to be replaced changes the number of channels, or
            the map otherwise than by a stride.
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
    watches = {path: Watch(network.get_submodule(path)) for path in watched}
    axes = ChannelAxes(network, input_shape)
    output = _run(network, image, f"does not run on {_named(input_shape)}", network_key)
    for watch in watches.values():
        watch.remove()
    if output_shape:
        _check_output(output, output_shape, network_key)
    probes = {place: Probe() for place in places if place[0] != "replace"}
    attention = {path for path in watched if is_known_attention(network.get_submodule(path))}
    insert(network, ((mode, path, probe) for (mode, path), probe in probes.items()))
    _run(network, image, "does not run with modules inserted at its sites", stages_key)
    axes.remove()
    found = _Found(probes, watches, axes, attention)
    return {stage.name: tuple(_traced_units(stage, found, stages_key)) for stage in stages}


@dataclass(frozen=True)
class _Found:
    """What the runs showed."""

    probes: Mapping[tuple[Mode, str], Probe]
    watches: Mapping[str, Watch]
    axes: ChannelAxes
    attention: set[str]


def _traced_units(stage: Stage, found: _Found, key: str) -> Iterator[TracedUnit]:
    for unit in stage.units:
        sites = {
            placement: _site(
                placement, insertion, unit.path, found, f"{key}.{stage.name}.sites.{placement}"
            )
            for placement, insertion in unit.insertions
        }
        yield TracedUnit(unit.path, sites, found.watches[unit.path].keeps_shape)


def _site(placement: str, insertion: Insertion, unit: str, found: _Found, key: str) -> Site:
    path = join(unit, insertion.path)
    place = _Place(path, unit, insertion.layout, found.axes, key)
    if insertion.mode == "replace":
        layout, shape, stride = place.replaceable(found.watches[path])
    else:
        layout, shape = place.sizes(found.probes[insertion.mode, path].seen)
        stride = 1
    replaced = insertion.mode == "replace" and path in found.attention
    return Site(placement, insertion.mode, path, *shape, stride, layout, replaced)


@dataclass(frozen=True)
class _Place:
    """A module where a block is to stand, the layout that the config says, and its key."""

    path: str
    unit: str
    layout: str | None
    axes: ChannelAxes
    key: str

    def sizes(self, passed: Sequence[Seen]) -> tuple[Layout, tuple[int, int, int]]:
        """The layout and (C, H, W) of the one tensor that passes.

        Raises:
            InputError: none passes or several do, or it has no layout that is known or seen.
        """
        if len(passed) != 1:
            times = f"{len(passed)} times" if passed else "never"
            raise InputError(
                f"in one forward pass a block at the module '{self.path}' is run {times}. Name a "
                "module that is run once.",
                key=self.key,
            )
        [(shape, tensor)] = passed
        if not isinstance(shape, tuple) or len(shape) not in (3, 4):
            what = f"a tensor of shape {shape}" if isinstance(shape, tuple) else f"a {shape}"
            raise InputError(
                f"a block at the module '{self.path}' gets {what}; it needs one of shape "
                "(N, C, H, W), (N, H, W, C), (N, L, C) or (N, C, T).",
                key=self.key,
            )
        if shape[0] != 1:
            raise InputError(
                f"a block at the module '{self.path}' gets a tensor of shape {shape} for one "
                "input: parts of a map, such as windows. Name a module that gets the whole.",
                key=self.key,
            )
        layout = self._layout(shape, tensor)
        if found := layout.sizes(shape, self.axes.input_shape):
            return layout, found
        raise InputError(
            f"a block at the module '{self.path}' gets a tensor of shape {shape}, which is not "
            f"{layout}.",
            key=f"{self.key}.layout",
        )

    def _layout(self, shape: tuple[int, ...], tensor: int) -> Layout:
        if self.layout is not None:
            return Layout.parse(self.layout)
        if found := self.axes.layout(tensor, shape, self.unit):
            return found
        raise InputError(
            f"a block at the module '{self.path}' gets a tensor of shape {shape}, whose layout the "
            "modules around it do not show. Add it to the site: 'layout' is nchw, nhwc, signal, "
            "tokens, or tokens+1 with one class token before those of the map.",
            key=self.key,
        )

    def replaceable(self, watch: Watch) -> tuple[Layout, tuple[int, int, int], int]:
        """What a module gives, which a block in its place will see, and its stride."""
        got_layout, (channels_in, *sides_in) = self.sizes(watch.got)
        layout, shape = self.sizes(watch.gave)
        channels, *sides = shape
        stride = math.ceil(sides_in[0] / sides[0])
        if layout.kind == "signal":
            stride = math.ceil(sides_in[1] / sides[1])
        expected = [math.ceil(side / stride) for side in sides_in]
        if got_layout != layout or channels != channels_in or sides != expected:
            raise InputError(
                f"the module '{self.path}' makes a map of {_sides(shape)} from one of "
                f"{_sides((channels_in, *sides_in))}. Only a module that keeps the channels, and "
                "the map but for a stride, can be replaced by a block.",
                key=self.key,
            )
        return layout, shape, stride


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


def _sides(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
