import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from attnas.evaluator import register_device


@register_device("own_board")
@dataclass(frozen=True)
class OwnBoard:
    """This processor, with a rest after each inference."""

    threads: int = 1
    batch_size: int = 1
    rest_us: int = 0

    name: ClassVar[str]

    def prepare(self, network: nn.Module, input_shape: tuple[int, ...]) -> Callable[[], None]:
        inputs = torch.zeros(self.batch_size, *input_shape)

        def infer() -> None:
            with torch.inference_mode():
                network(inputs)
            time.sleep(self.rest_us / 1e6)

        return infer

    @contextlib.contextmanager
    def measuring(self) -> Iterator[None]:
        yield

    def clock(self) -> int:
        return time.perf_counter_ns()

    def describe(self) -> dict[str, Any]:
        return {"device": self.name, "threads": self.threads, "batch_size": self.batch_size}
