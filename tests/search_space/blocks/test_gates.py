import torch
from torch import nn

from attnas.search_space.blocks.gates import sigmoid_gate, zero


def test_a_doubled_gate_is_exactly_one_at_zero():
    assert sigmoid_gate(torch.zeros(3), doubled=True).tolist() == [1, 1, 1]
    assert sigmoid_gate(torch.zeros(3), doubled=False).tolist() == [0.5, 0.5, 0.5]


def test_zero_reaches_weights_and_biases_of_all_layers_given():
    layers = nn.Linear(3, 2), nn.BatchNorm2d(4), nn.Conv1d(1, 1, 3, bias=False)
    zero(*layers)
    assert all(not parameter.any() for layer in layers for parameter in layer.parameters())
