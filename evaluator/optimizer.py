"""How weights are moved: the recipe's optimizer and learning rate, whatever is trained."""

import re
from collections.abc import Mapping

import torch
from torch import nn

from .fine_tuning import learning_rate_scales
from .recipe import Recipe, one_cycle

_SCALE = "scale"  # of a group's learning rate
_SECOND_BETA = 0.999
_POSITIONS = re.compile(r"(^|_)(pos|rel|rows|columns|biases)(_|$)|position|relative|token|_bias")
"""Parameters of several axes that are tables by position, or tokens, by their own name."""


def make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer of all weights that are not frozen.

    SGD with Nesterov momentum decays weights of two axes at least, AdamW (Loshchilov and Hutter
    2019, arXiv:1711.05101) of these neither tables by position nor tokens nor embeddings.
    """
    decayed = _decayed(network, recipe)
    scales = learning_rate_scales(network, recipe.learning_rate_scale)
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = not decayed[name], scales.get(name, 1.0)
            groups.setdefault(key, []).append(parameter)
    described = [
        {
            "params": groups[bare, scale],
            "weight_decay": 0.0 if bare else recipe.weight_decay,
            _SCALE: scale,
        }
        for bare, scale in sorted(groups)
    ]
    if recipe.optimizer == "adamw":
        betas = recipe.momentum, _SECOND_BETA
        return torch.optim.AdamW(described, lr=recipe.learning_rate, betas=betas)
    return torch.optim.SGD(
        described, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True
    )


def set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Sets the learning rates of `step` of 0..steps-1 on the recipe's one-cycle."""
    rate = recipe.learning_rate * one_cycle(step, steps, recipe.warmup)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get(_SCALE, 1.0)


def _decayed(network: nn.Module, recipe: Recipe) -> Mapping[str, bool]:
    """Of each parameter, by name, whether weight decay applies to it."""
    found = {}
    for path, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            table = isinstance(module, nn.Embedding) or bool(_POSITIONS.search(name))
            kept = recipe.optimizer == "adamw" and table
            found[f"{path}.{name}" if path else name] = parameter.ndim > 1 and not kept
    return found
