"""Peaks worked by hand; figures in elements of 4 bytes."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnas.evaluator.memory import peak_activation_mb

MAP = 8 * 8  # elements of one channel


class Does(nn.Module):
    def __init__(self, operation):
        super().__init__()
        self.operation = operation

    def forward(self, x):
        return self.operation(x)


def peak_elements(network, channels=2):
    return peak_activation_mb(network, (channels, 8, 8)) * 1e6 / 4


def convolution(before, after):
    return nn.Conv2d(before, after, 3, padding=1)


@given(widths=st.lists(st.integers(1, 20), min_size=2, max_size=6))
@settings(max_examples=25, deadline=None)
def test_a_chain_holds_the_input_and_output_of_its_largest_step(widths):
    chain = nn.Sequential(*map(convolution, widths, widths[1:]))
    largest = max(a + b for a, b in pairwise(widths))
    assert peak_elements(chain, widths[0]) == pytest.approx(largest * MAP)


def test_nesting_modules_changes_nothing():
    a, b, c = convolution(2, 6), convolution(6, 6), convolution(6, 2)
    flat, nested = nn.Sequential(a, b, c), nn.Sequential(nn.Sequential(nn.Sequential(a, b)), c)
    assert peak_elements(flat) == peak_elements(nested) == pytest.approx(12 * MAP)


def test_a_residual_branch_keeps_the_shortcut_alive():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = convolution(2, 5), convolution(5, 2)

        def forward(self, x):
            return x + self.second(self.first(x))

    assert peak_elements(Residual()) == pytest.approx((2 + 5 + 2) * MAP)


def test_a_variable_that_is_not_used_again_is_not_alive():
    def keeps_a_name(x):
        wide = torch.cat([x] * 4, 1)  # 2 -> 8, dead after the next line, though named
        narrow = wide.mean(1, keepdim=True)
        return narrow * torch.ones(1, 6, 1, 1)

    assert peak_elements(Does(keeps_a_name)) == pytest.approx((2 + 8) * MAP)


def test_in_place_results_and_views_share_their_storage():
    def in_place(x):
        return F.relu(x.flatten(2).transpose(1, 2) + 1, inplace=True).transpose(1, 2)

    assert peak_elements(Does(in_place)) == pytest.approx((2 + 2) * MAP)


def test_a_slice_keeps_the_whole_tensor_alive():
    def sliced(x):
        one = torch.cat([x] * 4, 1)[:, :1]
        return one + (one * 2).sum()

    # the 8 channels, the product of one channel, the sum, then the output of one channel
    assert peak_elements(Does(sliced)) == pytest.approx(
        max(2 + 8, 8 + 1 + 1, 8 + 1 + 1 / MAP) * MAP
    )


def test_weights_and_buffers_are_no_activations():
    norm = nn.BatchNorm2d(2)
    assert peak_elements(norm) == pytest.approx((2 + 2) * MAP)


def test_a_network_that_does_nothing_holds_its_input():
    assert peak_elements(nn.Identity()) == pytest.approx(2 * MAP)


def test_the_figure_repeats_and_the_network_is_left_as_it_was():
    network = nn.Sequential(convolution(2, 4), nn.BatchNorm2d(4), nn.Dropout(0.5))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert peak_elements(network) == peak_elements(network)
    assert network.training
    assert network[1].training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name])
