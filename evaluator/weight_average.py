"""The running average of a network's weights over the steps of its training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

_DELAY = 9
"""In the first steps the average forgets faster, over about a ninth of the steps so far."""


class WeightAverage:
    """The exponential moving average of weights and batch-norm statistics.

    a_n = d_n a_{n-1} + (1 - d_n) w_n with d_n = min(decay, (n - 1) / (n + 8)): the first update
    takes the weights as they are, and later ones forget what was before the training; with a
    decay of 0.999 the average is over the last 1,000 steps or so of a long training, of a brief
    one over its last ninth. As in TensorFlow's `ExponentialMovingAverage` with `num_updates`.
    Whole numbers, such as batch counts, are the last ones.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.updates = network, decay, 0
        self._averages: list[Tensor] = [value.clone() for value in self._values()]

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the network as it is after a step."""
        decay = min(self.decay, self.updates / (self.updates + _DELAY))
        torch._foreach_lerp_(self._averages, self._values(), 1 - decay)
        self.updates += 1

    def restart(self) -> None:
        """Lets the next update forget all before it."""
        self.updates = 0

    @torch.no_grad()
    def apply(self) -> None:
        """Puts the averages in the place of the network's own values, if there are any."""
        if self.updates:
            torch._foreach_copy_(self._values(), self._averages)

    def state_dict(self) -> dict[str, Any]:
        return {"updates": self.updates, "averages": self._averages}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = int(state["updates"])
        torch._foreach_copy_(self._averages, list(state["averages"]))

    def _values(self) -> list[Tensor]:
        held = [*self.network.parameters(), *self.network.buffers()]
        return [value.detach() for value in held if value.is_floating_point()]
