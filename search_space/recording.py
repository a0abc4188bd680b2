"""What every module of a network got and gave in one run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attnas.core import InputError

from .channel_axes import ChannelAxes, first_tensor
from .layouts import Layout

POINTS = 256
"""Elements of a tensor that are compared."""

_ADDITIVE = 1e-4
"""Relative difference below which one tensor is the sum of two others."""


@dataclass
class Record:
    """One module's run; `got` and `gave` are shapes, () where it is no tensor.

    The points are elements of the tensors at fixed places, taken before anything changes them.
    """

    path: str
    module: nn.Module
    calls: int = 0
    order: int = 0
    got: tuple[int, ...] = ()
    gave: tuple[int, ...] = ()
    got_id: int = 0
    gave_id: int = 0
    got_points: Tensor = field(default_factory=lambda: torch.empty(0))
    gave_points: Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def gives_map(self) -> bool:
        """Whether it ran once and gave one input's map, tokens or signal."""
        return self.calls == 1 and len(self.gave) in (3, 4) and self.gave[0] == 1


class Recording:
    """The records of a network's modules by path, in the order in which they are registered.

    The network is used up: its weights of one axis (scales, norms) are drawn anew, so that no
    branch that starts at zero looks like nothing.
    """

    def __init__(self, network: nn.Module, input_shape: tuple[int, ...], *, key: str) -> None:
        """Raises InputError: the network does not run on such inputs."""
        self.records: Mapping[str, Record] = {
            path: Record(path, module) for path, module in network.named_modules()
        }
        self._finished = 0
        self._alive: list[Any] = []
        self.axes = ChannelAxes(network, input_shape)
        hooks = []
        for record in self.records.values():
            hooks.append(record.module.register_forward_pre_hook(self._before(record)))
            hooks.append(record.module.register_forward_hook(self._after(record)))
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            for parameter in network.parameters():
                if parameter.dim() == 1 and parameter.is_floating_point():
                    parameter.uniform_(0.5, 1.5)
            self._input = torch.randn(1, *input_shape)
            try:
                network.eval()(self._input)
            except Exception as error:
                sizes = " x ".join(map(str, input_shape))
                raise InputError(
                    f"the network does not run on an input of {sizes}, on the CPU: "
                    f"{type(error).__name__}: {error}",
                    key=key,
                ) from error
        for hook in hooks:
            hook.remove()
        self.axes.remove()

    def run(self, network: nn.Module) -> Tensor:
        """The network's output on the input that was recorded, the first of several; no record."""
        with torch.no_grad():
            found = first_tensor(network(self._input))
        return torch.empty(0) if found is None else found

    def inside(self, path: str) -> list[Record]:
        """The records of a module's submodules, in the order in which they finished."""
        found = (r for p, r in self.records.items() if p.startswith(f"{path}.") and r.calls)
        return sorted(found, key=lambda record: record.order)

    def layout(self, record: Record, unit: str, *, before: bool = False) -> Layout | None:
        """That of what a module gives (or gets); None if it is not one map, or not to be seen."""
        shape = record.got if before else record.gave
        tensor = record.got_id if before else record.gave_id
        if record.calls != 1 or not shape:
            return None
        return self.axes.layout(tensor, shape, unit)

    def _before(self, record: Record) -> Any:
        def note(_: nn.Module, arguments: tuple[Any, ...]) -> None:
            record.calls += 1
            if arguments and isinstance(arguments[0], Tensor):
                tensor = arguments[0]
                self._alive.append(tensor)
                record.got, record.got_id = tuple(tensor.shape), id(tensor)
                record.got_points = _points(tensor)

        return note

    def _after(self, record: Record) -> Any:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            self._finished += 1
            record.order = self._finished
            tensor = first_tensor(output)
            if tensor is not None:
                self._alive.append(tensor)
                record.gave, record.gave_id = tuple(tensor.shape), id(tensor)
                record.gave_points = _points(tensor)

        return note


def is_sum(whole: Tensor, one: Tensor, others: list[Tensor]) -> bool:
    """Whether `whole` is `one` and any of the others, which is not zero, added up, or the ReLU of
    that; by points."""
    scale = float(whole.abs().max()) or 1.0
    for other in others:
        if other.shape != whole.shape or float(other.abs().max()) <= _ADDITIVE * scale:
            continue
        added = one + other
        if any(
            float((result - whole).abs().max()) < _ADDITIVE * scale
            for result in (added, added.clamp(min=0))
        ):
            return True
    return False


def _points(tensor: Tensor) -> Tensor:
    flat = tensor.detach().flatten()
    return flat[:: max(1, flat.numel() // POINTS)][:POINTS].double()
