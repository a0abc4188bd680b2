"""One PyTorch inference of one batch on a device of torch's."""

import copy
from collections.abc import Callable

import torch
from torch import nn


def inference(
    network: nn.Module,
    batch_shape: tuple[int, ...],
    *,
    place: torch.device,
    memory_format: torch.memory_format,
    synchronize: Callable[[], None],
) -> Callable[[], None]:
    """A function that runs a copy of the network, in eval mode, on one fixed batch."""
    copied = copy.deepcopy(network).eval().to(place)
    inputs = torch.randn(batch_shape, generator=torch.Generator().manual_seed(0)).to(place)
    if inputs.ndim == 4:
        copied = copied.to(memory_format=memory_format)  # type: ignore[call-overload]  # in no stub
        inputs = inputs.to(memory_format=memory_format)

    @torch.inference_mode()
    def run() -> None:
        copied(inputs)
        synchronize()

    return run
