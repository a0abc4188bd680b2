"""Costs of single operators, worked by hand, on a map of 4 channels of 5 x 3."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.evaluator.complexity import complexity

ELEMENTS = 4 * 5 * 3


class Does(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)


def cost(operation):
    counted = complexity(Does(operation), (4, 5, 3))
    assert counted.uncounted == ()
    return counted.flops


@pytest.mark.parametrize(
    ("operation", "per_element"),
    [
        (lambda x: x + x, 1),
        (lambda x: 1 - x, 1),
        (lambda x: x / 3, 1),
        (lambda x: x**2, 1),
        (lambda x: x.clone().mul_(2), 1),
        (lambda x: x * torch.ones(1, 1, 5, 1), 1),
        (torch.sigmoid, 1),
        (torch.exp, 1),
        (F.hardsigmoid, 1),
        (F.hardswish, 2),
        (F.silu, 2),
        (F.gelu, 2),
        (F.mish, 3),
        (lambda x: x.mean((2, 3)), 1),
        (lambda x: x.sum(), 1),
        (lambda x: x.norm(dim=1), 1),
        (lambda x: x.var((2, 3)), 3),
        (lambda x: x.softmax(1), 3),
        (F.relu, 0),
        (F.relu6, 0),
        (lambda x: x.clamp(0, 1), 0),
        (lambda x: x.amax((2, 3)), 0),
        (lambda x: F.max_pool2d(x, 2), 0),
        (lambda x: torch.cat([x, x], 1), 0),
        (lambda x: x.flatten(2).transpose(1, 2), 0),
        (lambda x: F.pad(x, (1, 1)), 0),
    ],
)
def test_elementwise_and_reducing_operators(operation, per_element):
    assert cost(operation) == per_element * ELEMENTS


def test_broadcasting_counts_what_comes_out():
    assert cost(lambda x: x.amax((2, 3), keepdim=True) * torch.ones(1, 4, 10, 10)) == 400


def test_arithmetic_of_sizes_is_free():
    assert cost(lambda x: x.view(x.shape[0], x.shape[1] * 5, -1)) == 0


def test_average_pooling_sums_each_window():
    assert cost(lambda x: F.avg_pool2d(x, 3, stride=1)) == 4 * 3 * 1 * 9
    assert cost(lambda x: F.avg_pool2d(x, (2, 3))) == 4 * 2 * 1 * 6


@pytest.mark.parametrize(
    ("operation", "flops"),
    [
        (lambda x: x.flatten(2) @ torch.ones(15, 7), 4 * 15 * 7),
        (lambda x: x.flatten(2) @ torch.ones(15), 4 * 15),
        (lambda x: torch.ones(6, 1, 2, 4) @ x.flatten(2), 6 * 2 * 4 * 15),
        (lambda x: torch.bmm(x.flatten(2), torch.ones(1, 15, 7)), 4 * 15 * 7),
        (lambda x: torch.einsum("nct,ndt->ncd", x.flatten(2), x.flatten(2)), 4 * 4 * 15),
        (lambda x: F.linear(x, torch.ones(7, 3)), 4 * 5 * 3 * 7),
    ],
)
def test_matrix_products_count_one_per_multiply_add(operation, flops):
    assert cost(operation) == flops


def test_attention_counts_both_products_and_the_softmax():
    def attend(x):
        tokens = x.flatten(2)  # 4 tokens of 15
        return F.scaled_dot_product_attention(tokens, tokens, tokens)

    def attend_near(x):
        tokens = x.flatten(2)
        return F.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=torch.ones(4, 4))

    assert cost(attend) == 4 * 4 * (15 + 1 + 3 + 15)
    assert cost(attend_near) == 4 * 4 * (15 + 1 + 1 + 3 + 15)


def test_a_use_that_a_handle_does_not_know_is_uncounted_not_an_error():
    normed = complexity(Does(lambda x: F.layer_norm(x[..., None, None], (1, 1))), (4, 5, 3))
    assert (normed.flops, normed.uncounted) == (0, ("aten::layer_norm",))
