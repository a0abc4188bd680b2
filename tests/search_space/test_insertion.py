import copy

import pytest
import torch
from torch import nn

from attnas.search_space.insertion import Pooled, Skipped, insert, plain_names


class Add(nn.Module):
    def __init__(self, amount):
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(float(amount)))

    def forward(self, x, scale=1):
        return scale * x + self.amount


class Double(Add):
    def __init__(self):
        super().__init__(0)

    def forward(self, x):
        return 2 * x


def network():
    return nn.Sequential(Add(1), nn.Sequential(Add(10), nn.Identity()))


@pytest.mark.parametrize(
    ("mode", "path", "expected"),  # plain: x + 11
    [
        ("before", "0", 17),
        ("after", "0", 18),
        ("before", "1", 18),
        ("after", "1", 28),
        ("before", "1.0", 18),
        ("after", "1.0", 28),
        ("at", "1.1", 28),
        ("replace", "0", 16),
        ("replace", "1.0", 8),
        ("remove", "1.0", 8),  # what is put there, twice x, alone: 2 * (3 + 1)
        ("remove", "1", 8),
    ],
)
def test_a_block_is_placed_at_before_after_or_instead_of_its_module(mode, path, expected):
    made = network()
    assert made(torch.tensor(3.0)) == 14
    insert(made, [(mode, path, Double())])
    assert made(torch.tensor(3.0)) == expected


def test_paths_are_those_before_the_call_though_one_lies_inside_another():
    made = network()
    insert(
        made, [("after", "1", Double()), ("after", "1.0", Double()), ("before", "1.0", Double())]
    )
    assert made(torch.tensor(3.0)) == 2 * (2 * (2 * (3 + 1) + 10))


def test_names_tell_the_module_and_the_block():
    made = network()
    insert(made, [("after", "0", Add(0)), ("before", "1.0", Add(0)), ("at", "1.1", Add(0))])
    assert list(made.state_dict()) == [
        "0.module.amount",
        "0.block.amount",
        "1.0.block.amount",
        "1.0.module.amount",
        "1.1.amount",
    ]


def test_further_arguments_reach_the_module():
    made = network()
    insert(made, [("after", "0", Double()), ("before", "1.0", Double())])
    assert made[0](torch.tensor(3.0), scale=4) == 2 * (4 * 3 + 1)
    assert made[1][0](torch.tensor(3.0), 4) == 4 * 6 + 10


def test_a_skipped_module_returns_its_first_argument_as_it_is():
    made = network()
    insert(made, [("remove", "1.0", Skipped())])
    assert made(torch.tensor(3.0)) == 3 + 1
    x = torch.tensor(3.0)
    assert made[1][0](x, 4, scale=2) is x
    assert list(made.state_dict()) == ["0.amount"]


@pytest.mark.parametrize("training", [True, False])
def test_a_block_comes_in_the_mode_of_what_it_joins(training):
    made, block = network().train(training), Double()
    insert(made, [("after", "1.0", block)])
    assert block.training is training
    assert made[1][0].training is training


@pytest.mark.parametrize("modes", [("before", "replace"), ("replace", "before")])
def test_what_comes_before_a_replaced_module_comes_before_what_replaces_it(modes):
    made = network()
    insert(made, [(mode, "0", {"before": Add(5), "replace": Double()}[mode]) for mode in modes])
    assert made(torch.tensor(3.0)) == 2 * (3 + 5) + 10


@pytest.mark.parametrize("stride", [2, 3])
@pytest.mark.parametrize("size", [(6, 6), (5, 3), (1, 4), (1, 1)])
def test_a_pooled_block_sees_the_means_of_the_pixels_that_there_are(size, stride):
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    parts = [torch.stack([p.mean((2, 3)) for p in row.split(stride, 3)], 2)
             for row in x.split(stride, 2)]  # fmt: skip
    torch.testing.assert_close(Pooled(stride, Double())(x), 2 * torch.stack(parts, 2))


def test_a_block_behind_several_results_gets_the_first():
    class Several(nn.Module):
        def forward(self, x):
            return x, "weights"

    network = nn.Sequential(Several())
    insert(network, [("after", "0", nn.ReLU())])
    first, other = network(torch.tensor([-1.0, 2.0]))
    assert (first.tolist(), other) == ([0.0, 2.0], "weights")


def test_plain_names_are_those_before_the_insertion_and_none_within_blocks():
    made = network()
    before = {name for name, _ in made.named_parameters()}
    insert(made, [("after", "1", Double()), ("before", "1.0", Double()), ("at", "1.1", Double())])
    names = plain_names(made)
    assert names.keys() >= dict(made.named_parameters()).keys() | dict(made.named_modules()).keys()
    own = {names[name] for name, _ in made.named_parameters()} - {None}
    assert own == before
    assert names["1.module.0.module.amount"] == "1.0.amount"
    assert names["1.module.0"] == names["1.module.0.module"] == "1.0"
    assert names["1.block"] is names["1.module.0.block.amount"] is names["1.module.1"] is None


def test_a_copy_keeps_its_plain_names():
    made = network()
    insert(made, [("replace", "1.0", Double())])
    assert plain_names(copy.deepcopy(made)) == plain_names(made)
    assert plain_names(made)["1.0.amount"] is None
