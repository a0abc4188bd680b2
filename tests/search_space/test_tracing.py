import pytest
import torch
from torch import nn

from attnas.search_space import InputError, Insertion, Site, Stage, Unit
from attnas.search_space.tracing import trace


class Net(nn.Module):
    """A network of two convolutions that runs `steps` on (self, x)."""

    def __init__(self, steps):
        super().__init__()
        self.one = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.two = nn.Conv2d(4, 6, 1)
        self.alias = [self.one]
        self.head = nn.Linear(6, 3)
        self.steps = steps

    def forward(self, x):
        return self.steps(self, x)


def usual(net, x):
    return net.head(net.two(net.one(x)).mean((2, 3)))


def traced(steps, *sites, classes=3, shape=(1, 7, 10)):
    units = (Unit(path, ((name, Insertion(mode, "")),)) for name, mode, path in sites)
    stages = (Stage("body", tuple(units)),)
    return trace(Net(steps), stages, shape, classes, network_key="net", stages_key="stages")


def message(steps, *sites, **others):
    with pytest.raises(InputError) as caught:
        traced(steps, *sites, **others)
    return str(caught.value)


def test_sites_have_the_channels_and_map_that_a_block_would_see():
    found = traced(
        usual, ("pre", "before", "one"), ("post", "after", "one"), ("pre", "before", "two")
    )
    assert found == {
        "body": (
            {"pre": Site("pre", "before", "one", 1, 7, 10)},
            {"post": Site("post", "after", "one", 4, 4, 5)},
            {"pre": Site("pre", "before", "two", 4, 4, 5)},
        )
    }


ONCE = "Name a module that is run once."


def test_a_site_that_is_not_run_exactly_once_is_refused():
    def twice(net, x):
        return usual(net, x) + usual(net, x)

    def never(net, x):
        return net.head(x.mean((2, 3)).expand(1, 6))

    def around(net, x):  # what is inserted at `one` would have no effect
        return net.head(net.two(net.alias[0](x)).mean((2, 3)))

    place = "stages.body.sites.post: in one forward pass a block at the module 'one' is run"
    assert message(twice, ("post", "after", "one")) == f"{place} 2 times. {ONCE}"
    assert message(never, ("post", "after", "one")) == f"{place} never. {ONCE}"
    assert message(around, ("post", "after", "one")) == f"{place} never. {ONCE}"


def test_a_site_without_a_map_is_refused():
    assert message(usual, ("post", "after", "head")) == (
        "stages.body.sites.post: a block at the module 'head' gets a tensor of shape (1, 3); "
        "it needs one of shape (N, C, H, W)."
    )


def test_a_network_that_looks_into_a_module_with_a_block_is_refused():
    def looking(net, x):
        return usual(net, x) * net.one.weight.sum()

    assert message(looking, ("post", "after", "one")) == (
        "stages: the network does not run with modules inserted at its sites, on the CPU: "
        "AttributeError: 'After' object has no attribute 'weight'"
    )


def test_a_network_that_does_not_run_on_the_images_is_refused():
    found = message(usual, shape=(3, 7, 10))
    assert found.startswith(
        "net: the network does not run on an image of 3 x 7 x 10 (channels x height x width), "
        "on the CPU: RuntimeError: "
    )


def test_a_network_with_other_scores_than_the_data_has_classes_is_refused():
    wanted = "It must give one score for each of the {0} classes of the data, (N, {0})."
    assert message(usual, classes=10) == (
        f"net: the network returns shape (1, 3) for one image. {wanted.format(10)}"
    )
    assert message(lambda net, x: {"scores": usual(net, x)}) == (
        f"net: the network returns a dict. {wanted.format(3)}"
    )


def test_a_trace_is_made_without_training_anything():
    def check(net, x):
        assert not net.training
        assert not torch.is_grad_enabled()
        return usual(net, x)

    assert traced(check, ("pre", "before", "one"))
