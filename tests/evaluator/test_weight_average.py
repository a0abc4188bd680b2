import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnas.evaluator.weight_average import WeightAverage


def one(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    set_to(layer, value)
    return layer


def set_to(layer: nn.Linear, value: float) -> None:
    with torch.no_grad():
        layer.weight.fill_(value)


def averaged(values, decay: float) -> float:
    layer = one(-100.0)  # what was before the training is forgotten
    average = WeightAverage(layer, decay)
    for value in values:
        set_to(layer, value)
        average.update()
    average.apply()
    return layer.weight.item()


@given(st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40), st.floats(0.01, 0.999))
def test_it_is_the_recursion_of_the_docstring(values, decay):
    expected = 0.0
    for n, value in enumerate(values, start=1):
        d = min(decay, (n - 1) / (n + 8))
        expected = d * expected + (1 - d) * value
    assert averaged(values, decay) == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_in_the_long_run_it_forgets_by_its_decay():
    steps = 400
    weights = 0.9 ** np.arange(steps)[::-1]
    values = np.linspace(0, 1, steps)
    assert averaged(values, 0.9) == pytest.approx(np.average(values, weights=weights), abs=1e-4)


def test_a_restart_forgets_all_before_it():
    layer = one(0.0)
    average = WeightAverage(layer, 0.99)
    for value in (7.0, 8.0):
        set_to(layer, value)
        average.update()
    average.restart()
    set_to(layer, 3.0)
    average.update()
    average.apply()
    assert layer.weight.item() == 3.0


def test_without_an_update_nothing_is_put_in_place():
    layer = one(2.0)
    average = WeightAverage(layer, 0.9)
    set_to(layer, 5.0)
    average.apply()
    assert layer.weight.item() == 5.0


def test_statistics_are_averaged_and_counts_are_not():
    norm = nn.BatchNorm1d(2)
    average = WeightAverage(norm, 0.5)
    for _ in range(30):
        norm(torch.randn(8, 2) + 4)
        average.update()
    last = norm.running_mean.clone()
    average.apply()
    assert not torch.equal(norm.running_mean, last)
    assert norm.num_batches_tracked == 30


def test_its_state_goes_on_in_another_one():
    layer = one(1.0)
    average = WeightAverage(layer, 0.9)
    average.update()
    other = WeightAverage(one(9.0), 0.9)
    other.load_state_dict(average.state_dict())
    set_to(layer, 4.0)
    set_to(other.network, 4.0)
    for each in (average, other):
        each.update()
        each.apply()
    assert layer.weight.item() == other.network.weight.item()
