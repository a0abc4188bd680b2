import pytest
import torch
from torch import nn

from attnas.evaluator import Recipe, set_rate, sgd

RECIPE = Recipe(learning_rate=0.05, warmup=0.2, momentum=0.9, weight_decay=5e-4)


def test_the_first_step_is_that_of_nesterov_sgd_worked_out_by_hand():
    """Rate at step 0 of 10 with a warm-up of 2 steps: 0.05 * 0.5 / 2 = 0.0125."""
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.5)
    optimizer = sgd(layer, RECIPE)
    set_rate(optimizer, RECIPE, 0, 10)
    layer(torch.ones(1, 1)).sum().backward()  # gradients 1 and 1
    optimizer.step()
    # momentum 0.9: first step (1 + 0.9) g; weight decay 5e-4 on the weight alone
    assert layer.weight.item() == pytest.approx(1 - 0.0125 * 1.9 * (1 + 5e-4 * 1.0))
    assert layer.bias.item() == pytest.approx(0.5 - 0.0125 * 1.9)
