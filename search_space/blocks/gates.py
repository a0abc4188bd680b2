"""The gate that most blocks end in, and how it starts as the identity.

A plain sigmoid gate halves the signal before it has learned anything. With an identity start
the gate is doubled, range (0, 2), and the layer in front of it zeroed: the gain is exactly 1
and the gradient of that layer is alive.
"""

from torch import Tensor, nn


def sigmoid_gate(logits: Tensor, *, doubled: bool) -> Tensor:
    """sigmoid(logits), or 2 sigmoid(logits); the shape stays."""
    gate = logits.sigmoid()
    return 2 * gate if doubled else gate


def zero(*layers: nn.Module) -> None:
    """Sets every weight and bias of the layers to 0."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
