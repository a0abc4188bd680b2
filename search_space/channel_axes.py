"""Which axis of a tensor holds the channels: seen from the modules that take it or give it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AvgPoolNd, _MaxPoolNd

from .layouts import Layout

Axis = Literal["first", "last"]

FIRST = (_ConvNd, _NormBase, nn.GroupNorm, _AvgPoolNd, _MaxPoolNd, _AdaptiveAvgPoolNd, nn.Upsample)
"""Modules whose channels are axis 1, whatever the tensor."""

LEADING_TOKENS = (
    *("cls_token", "class_token", "dist_token", "distillation_token"),
    *("reg_token", "reg_tokens", "register_token", "register_tokens"),
)
"""Names of the parameters, (1, how many, C), that are put before the tokens of a map."""


def first_tensor(value: Any) -> Tensor | None:
    """The tensor, or the first one of a tuple, as layers with several results give it."""
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, Tensor) else None


def axis_of(module: nn.Module, shape: Sequence[int]) -> Axis | None:
    """The axis that a module of torch, or of a class derived from it, takes for channels."""
    if isinstance(module, FIRST):
        return "first"
    if isinstance(module, nn.Linear):
        return "last"
    if isinstance(module, nn.MultiheadAttention):
        return "last" if module.batch_first else None
    normalised: tuple[int, ...] = tuple(getattr(module, "normalized_shape", None) or ())
    if len(normalised) != 1:
        return None
    first = "2d" in type(module).__name__ or getattr(module, "data_format", "") == "channels_first"
    size = shape[1] if first and len(shape) > 1 else shape[-1]
    return ("first" if first else "last") if size == normalised[0] else None


class ChannelAxes:
    """Notes, while a network runs, what its modules take for the channels of each tensor."""

    def __init__(self, network: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.input_shape = input_shape
        self.leading = _leading_tokens(network)
        self._by_tensor: dict[int, set[Axis]] = defaultdict(set)
        self._by_shape: dict[tuple[int, ...], list[tuple[str, Axis]]] = defaultdict(list)
        self._alive: list[Tensor] = []  # so that no two tensors have one id
        self._hooks = [
            module.register_forward_hook(self._noting(path))
            for path, module in network.named_modules()
            if isinstance(module, (*FIRST, nn.Linear, nn.MultiheadAttention))
            or hasattr(module, "normalized_shape")
        ]

    def forget(self) -> None:
        """Before another run: what was seen in the last one."""
        self._by_tensor.clear()
        self._by_shape.clear()
        self._alive.clear()

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def layout(self, tensor: int, shape: tuple[int, ...], unit: str) -> Layout | None:
        """The layout of a tensor by its id; None where what was seen leaves it open.

        Modules that take or give that very tensor decide, else those on tensors of its shape
        within the unit, else those anywhere in the network.
        """
        axis = self._axis(tensor, shape, unit)
        if axis is None or len(shape) not in (3, 4) or shape[0] != 1:
            return None
        if len(shape) == 4:
            return Layout("nchw" if axis == "first" else "nhwc")
        if axis == "first":
            return Layout("signal")
        possible = (Layout("tokens", count) for count in sorted({0, self.leading}))
        found = [layout for layout in possible if layout.sizes(shape, self.input_shape)]
        return found[0] if len(found) == 1 else None

    def _axis(self, tensor: int, shape: tuple[int, ...], unit: str) -> Axis | None:
        noted = self._by_shape.get(shape, [])
        inside = {axis for path, axis in noted if path == unit or path.startswith(f"{unit}.")}
        for found in (self._by_tensor.get(tensor, set()), inside):
            if len(found) == 1:
                return next(iter(found))
        everywhere = {axis for _, axis in noted}
        return next(iter(everywhere)) if len(everywhere) == 1 else None

    def _noting(self, path: str) -> Any:
        def note(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
            for tensor in (first_tensor(arguments), first_tensor(output)):
                if tensor is None or not (axis := axis_of(module, tensor.shape)):
                    continue
                self._alive.append(tensor)
                self._by_tensor[id(tensor)].add(axis)
                self._by_shape[tuple(tensor.shape)].append((path, axis))

        return note


def _leading_tokens(network: nn.Module) -> int:
    """How many class and register tokens the network has by its parameters' names."""
    named: Mapping[str, Tensor] = dict(network.named_parameters())
    return sum(
        parameter.shape[1] if parameter.dim() == 3 else 1
        for name, parameter in named.items()
        if name.rpartition(".")[2] in LEADING_TOKENS
    )
