"""Batch norms that a brief training leaves near their start."""

import pytest
import torch
from torch import nn

from attnas.evaluator import Batches, Data, Pool, Recipe, make_task, train
from attnas.evaluator.batch_norms import settle

TASK = make_task("classification", {})


def far_from_zero():
    """120 signals (3, 8) about 5, of two classes that differ in their level."""
    draw = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 2
    pool = Pool(torch.randn(120, 3, 8, generator=draw) + 5 + targets[:, None, None], targets)
    return Data(pool, pool, pool, ("low", "high"), {})


def network(momentum):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv1d(3, 4, 1),
        nn.BatchNorm1d(4, momentum=momentum),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32, 2),
    )


def settled(net, steps):
    data = far_from_zero()
    settle(net, data, Batches(data, Recipe(), spatial=False), steps=steps)
    return net


def test_a_slow_norm_does_not_hide_what_a_brief_training_has_learned():
    """Of torchvision's momentum 0.01, 24 steps leave 79 % of the start in the statistics."""
    recipe = Recipe(epochs=4, batch_size=20, learning_rate=0.05, precision="float32")
    data = far_from_zero()
    found = {m: train(network(m), data, TASK, recipe, seed=0) for m in (0.01, 0.1)}
    accuracies = {momentum: result.metrics["accuracy"] for momentum, result in found.items()}
    assert accuracies[0.01] == accuracies[0.1] > 0.9  # both settled, after equal steps


def test_statistics_become_those_of_the_training_items():
    net = settled(network(0.01), 24)
    # Batches normalises inputs by the mean and deviation of the training items
    mean, deviation = far_from_zero().channel_statistics
    inputs = (far_from_zero().train.inputs - mean[:, None]) / deviation[:, None]
    seen = net[0](inputs).transpose(0, 1).flatten(1)
    torch.testing.assert_close(net[1].running_mean, seen.mean(1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(net[1].running_var, seen.var(1, correction=0), atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(
    ("momentum", "steps", "moved"),
    [(0.1, 43, True), (0.1, 44, False), (0.01, 458, True), (0.01, 459, False), (None, 1, False)],
)
def test_only_what_remembers_its_start_is_settled(momentum, steps, moved):
    net = network(momentum)
    net[1].running_mean.fill_(7)
    settled(net, steps)
    assert (net[1].running_mean.tolist() != [7] * 4) == moved


def test_norms_that_a_training_held_are_left_and_modes_are_put_back():
    net = network(0.01)
    net[1].eval()
    before = net[1].running_mean.clone()
    settled(net, 1)
    assert torch.equal(net[1].running_mean, before)
    assert [module.training for module in net] == [True, False, True, True, True]


def test_a_norm_that_is_run_twice_stays_as_it_was():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3, momentum=0.01)

        def forward(self, x):
            return self.norm(self.norm(x))

    net = settled(Twice(), 1)
    assert net.norm.running_mean.tolist() == [0, 0, 0]
    assert (net.norm.momentum, net.norm.training) == (0.01, True)


@pytest.mark.parametrize(
    ("shape", "items"), [((3, 32, 32), 2000), ((3, 224, 224), 222), ((3, 2000, 2000), 64)]
)
def test_large_inputs_are_sampled_within_a_bound_of_memory(shape, items):
    class Unread:
        def scoring(self, pool, *, small):
            assert len(pool) == items
            return iter(())

    pool = Pool(torch.zeros(1, dtype=torch.uint8).expand(3000, *shape), torch.zeros(3000))
    data = Data(pool, pool, pool, ("one",), {})
    settle(network(0.01), data, Unread(), steps=1)
