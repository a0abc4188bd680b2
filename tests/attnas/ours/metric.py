from torch import nn

from attnas.core import register_metric


@register_metric("own_modules", better="min", cheap=True, format="count")
def own_modules(network: nn.Module, input_shape: tuple[int, ...]) -> float:
    """How many modules a network has."""
    return len(list(network.modules()))
