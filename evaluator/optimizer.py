"""How weights are moved: the recipe's optimizer and learning rate, whatever is trained."""

import torch
from torch import nn

from .recipe import Recipe, one_cycle


def sgd(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum by the recipe; norms and biases get no weight decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Sets the learning rate of `step` of 0..steps-1 on the recipe's one-cycle."""
    rate = recipe.learning_rate * one_cycle(step, steps, recipe.warmup)
    for group in optimizer.param_groups:
        group["lr"] = rate
