import math

import pytest
import torch
from torch import nn

from attnas.evaluator import Recipe, make_optimizer, set_rate

RECIPE = Recipe(learning_rate=0.05, warmup=0.2, momentum=0.9, weight_decay=5e-4)


def test_the_first_step_is_that_of_nesterov_sgd_worked_out_by_hand():
    """Rate at step 0 of 10 with a warm-up of 2 steps: 0.05 * 0.5 / 2 = 0.0125."""
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.5)
    optimizer = make_optimizer(layer, RECIPE)
    set_rate(optimizer, RECIPE, 0, 10)
    layer(torch.ones(1, 1)).sum().backward()  # gradients 1 and 1
    optimizer.step()
    # momentum 0.9: first step (1 + 0.9) g; weight decay 5e-4 on the weight alone
    assert layer.weight.item() == pytest.approx(1 - 0.0125 * 1.9 * (1 + 5e-4 * 1.0))
    assert layer.bias.item() == pytest.approx(0.5 - 0.0125 * 1.9)


def test_the_first_step_is_that_of_adamw_worked_out_by_hand():
    """Both bias-corrected moments are those of the first gradient, so the step is its sign."""
    recipe = Recipe(optimizer="adamw", learning_rate=0.01, weight_decay=0.1, warmup=0.2)
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.5)
    optimizer = make_optimizer(layer, recipe)
    set_rate(optimizer, recipe, 0, 10)
    layer(torch.full((1, 1), 3.0)).sum().backward()
    optimizer.step()
    rate = 0.01 * 0.5 / 2
    assert layer.weight.item() == pytest.approx(1 - rate * 0.1 - rate)
    assert layer.bias.item() == pytest.approx(0.5 - rate)
    assert [group["betas"] for group in optimizer.param_groups] == [(0.9, 0.999)] * 2


class Tables(nn.Module):
    """One parameter of each kind that weight decay treats in its own way."""

    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(2, 2), nn.LayerNorm(2)
        self.embedding = nn.Embedding(2, 2)
        for name in ("pos_embed", "cls_token", "relative_position_bias_table", "rel_h", "rows"):
            self.register_parameter(name, nn.Parameter(torch.ones(2, 2)))
        self.reliable = nn.Parameter(torch.ones(2, 2))


def decayed(recipe: Recipe) -> set[str]:
    made = Tables()
    groups = make_optimizer(made, recipe).param_groups
    own = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(made.parameters()))
    return {name for name, parameter in made.named_parameters() if id(parameter) in own}


def test_adamw_decays_weights_alone_and_sgd_all_of_two_axes():
    assert decayed(Recipe(optimizer="adamw")) == {"linear.weight", "reliable"}
    two_axes = {name for name, parameter in Tables().named_parameters() if parameter.ndim > 1}
    assert decayed(Recipe()) == two_axes


def test_a_usual_rate_and_decay_go_with_each_optimizer():
    assert (Recipe().learning_rate, Recipe().weight_decay) == (0.03, 5e-4)
    adamw = Recipe(optimizer="adamw")
    assert (adamw.learning_rate, adamw.weight_decay) == (1e-3, 0.05)
    own = Recipe(optimizer="adamw", learning_rate=0.5, weight_decay=0)
    assert (own.learning_rate, own.weight_decay) == (0.5, 0)


def test_every_group_gets_its_own_share_of_the_rate():
    layer = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    recipe = Recipe(learning_rate_scale={"0": 0.25, "1": 4})
    optimizer = make_optimizer(layer, recipe)
    set_rate(optimizer, recipe, 2, 10)
    rates = sorted(group["lr"] for group in optimizer.param_groups)
    assert rates[-1] / rates[0] == pytest.approx(16)
    assert math.isclose(rates[0], 0.25 * recipe.learning_rate * 7.5 / 8)
