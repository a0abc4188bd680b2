"""PyTorch, eager, on this machine's processor."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from .processor import cores, processor, processor_clock
from .registry import register_device, whole_number
from .torch_inference import inference


@register_device("torch-cpu")
@dataclass(frozen=True)
class TorchCpu:
    """PyTorch on this machine's processor, one thread unless `threads` says otherwise."""

    threads: int = 1
    batch_size: int = 1

    name: ClassVar[str]
    fresh_processes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole_number(self.threads, "threads", most=cores())
        whole_number(self.batch_size, "batch_size")

    def prepare(self, network: nn.Module, input_shape: tuple[int, ...]) -> Callable[[], None]:
        return inference(
            network,
            (self.batch_size, *input_shape),
            place=torch.device("cpu"),
            memory_format=torch.channels_last,
            synchronize=_already_done,
        )

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def clock(self) -> int:
        return processor_clock(self.threads)

    def describe(self) -> dict[str, Any]:
        return {
            "device": self.name,
            "threads": self.threads,
            "batch_size": self.batch_size,
            **processor(),
            "torch": torch.__version__,
        }


def _already_done() -> None:
    """On the processor an inference returns when it is done."""
