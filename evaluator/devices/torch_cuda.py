"""PyTorch, eager, on an NVIDIA GPU."""

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from attnas.core import InputError

from .processor import processor
from .registry import register_device, whole_number
from .torch_inference import inference


@register_device("torch-cuda")
@dataclass(frozen=True)
class TorchCuda:
    """PyTorch on the GPU number `index`, from the launch to the end of the last kernel.

    One host thread launches the kernels, so `threads` is always 1.
    """

    batch_size: int = 1
    index: int = 0

    name: ClassVar[str]
    threads: ClassVar[int] = 1

    def __post_init__(self) -> None:
        whole_number(self.batch_size, "batch_size")
        if not torch.cuda.is_available():
            raise InputError(
                "'torch-cuda' needs an NVIDIA GPU and a PyTorch built for CUDA; PyTorch "
                f"{torch.__version__} sees none here. Write 'torch-cpu'.",
                key="device.name",
            )
        count = torch.cuda.device_count()
        if self.index not in range(count):
            raise InputError(
                f"there is no GPU {self.index}. Write a number from 0 to {count - 1}.",
                key="device.index",
            )

    def prepare(self, network: nn.Module, input_shape: tuple[int, ...]) -> Callable[[], None]:
        place = torch.device("cuda", self.index)
        return inference(
            network,
            (self.batch_size, *input_shape),
            place=place,
            memory_format=torch.channels_last,
            synchronize=lambda: torch.cuda.synchronize(place),
        )

    def measuring(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()

    def clock(self) -> int:
        return time.perf_counter_ns()

    def describe(self) -> dict[str, Any]:
        return {
            "device": self.name,
            "threads": self.threads,
            "batch_size": self.batch_size,
            **processor(),
            "gpu": torch.cuda.get_device_name(self.index),
            "cuda": torch.version.cuda,
            "torch": torch.__version__,
        }
