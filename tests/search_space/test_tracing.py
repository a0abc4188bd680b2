import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.search_space import Insertion, Site, Stage, Unit
from attnas.search_space.tracing import TracedUnit, trace


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


def traced(steps, *sites, output=(3,), shape=(1, 7, 10)):
    units = (Unit(path, ((name, Insertion(mode, "")),)) for name, mode, path in sites)
    stages = (Stage("body", tuple(units)),)
    return trace(Net(steps), stages, shape, output, network_key="net", stages_key="stages")


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
            TracedUnit("one", {"pre": Site("pre", "before", "one", 1, 7, 10)}, False),
            TracedUnit("one", {"post": Site("post", "after", "one", 4, 4, 5)}, False),
            TracedUnit("two", {"pre": Site("pre", "before", "two", 4, 4, 5)}, False),
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
        "it needs one of shape (N, C, H, W), (N, H, W, C), (N, L, C) or (N, C, T)."
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
    assert message(usual, output=(10,)) == (
        f"net: the network returns shape (1, 3) for one image. {wanted.format(10)}"
    )
    assert message(lambda net, x: {"scores": usual(net, x)}) == (
        f"net: the network returns a dict. {wanted.format(3)}"
    )


def test_a_network_with_another_map_than_the_task_needs_is_refused():
    def maps(net, x):
        return net.two(net.one(x))

    assert traced(maps, ("post", "after", "one"), output=(6, 4, 5))
    assert message(maps, output=(6, 7, 10)) == (
        "net: the network returns shape (1, 6, 4, 5) for one image. It must give (N, 6, 7, 10) for "
        "this task and these data."
    )


def test_without_a_shape_any_output_will_do():
    assert traced(lambda net, x: {"scores": usual(net, x)}, ("post", "after", "one"), output=())


def test_inputs_that_are_no_images_are_named_by_their_sizes():
    found = message(lambda net, x: net.head(x) @ x, shape=(6,), output=(3,))
    assert found.startswith("net: the network does not run on inputs of 6, on the CPU: ")


# Units


class Units(nn.Module):
    """Units of several kinds, each run by `steps` on (self, x)."""

    def __init__(self, steps):
        super().__init__()
        self.same = nn.Conv2d(4, 4, 3, padding=1)
        self.wider = nn.Conv2d(4, 6, 3, padding=1)
        self.smaller = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.several = _Several()
        self.named = _Named()
        self.steps = steps

    def forward(self, x):
        return self.steps(self, x)


class _Several(nn.Module):
    def forward(self, x):
        return x, x


class _Named(nn.Module):
    def forward(self, *, x):
        return x


UNITS = ("same", "wider", "smaller", "several", "named")


def keeping(steps):
    """By unit, whether its output has its input's shape."""
    stages = (Stage("body", tuple(Unit(name, ()) for name in UNITS)),)
    found = trace(Units(steps), stages, (4, 6, 6), (), network_key="net", stages_key="stages")
    return {unit.path: unit.keeps_shape for unit in found["body"]}


def test_a_unit_keeps_the_shape_if_one_tensor_goes_in_and_one_of_that_shape_comes_out():
    def each(net, x):
        net.wider(x), net.smaller(x), net.several(x), net.named(x=x)
        return net.same(x)

    assert keeping(each) == {
        "same": True,
        "wider": False,
        "smaller": False,
        "several": False,
        "named": False,
    }


def test_a_unit_that_is_run_twice_or_never_is_not_one_that_keeps_the_shape():
    assert keeping(lambda net, x: net.same(net.same(x)))["same"] is False
    assert keeping(lambda net, x: net.smaller(x))["same"] is False
    assert keeping(lambda net, x: net.same(x))["same"] is True


def test_units_are_kept_apart_by_their_path():
    assert hash(TracedUnit("a", {}, True)) != hash(TracedUnit("b", {}, True))
    assert TracedUnit("a", {}, True) != TracedUnit("a", {}, False)


def test_a_trace_is_made_without_training_anything():
    def check(net, x):
        assert not net.training
        assert not torch.is_grad_enabled()
        return usual(net, x)

    assert traced(check, ("pre", "before", "one"))


def test_a_module_to_be_replaced_is_left_to_compute_and_a_block_sees_what_it_gives():
    def strided(net, x):
        return net.head(net.three(net.two(net.one(x))).mean((2, 3)))

    def made(shape, **convolution):
        net = Net(strided)
        net.three = nn.Conv2d(6, 6, 3, padding=1, **convolution)
        stages = (Stage("body", (Unit("three", (("here", Insertion("replace", "")),)),)),)
        [unit] = trace(net, stages, shape, (3,), network_key="net", stages_key="stages")["body"]
        return unit.sites["here"]

    assert made((1, 7, 10)) == Site("here", "replace", "three", 6, 4, 5, 1)
    assert made((1, 7, 10), stride=2) == Site("here", "replace", "three", 6, 2, 3, 2)
    assert made((1, 1, 1), stride=2) == Site("here", "replace", "three", 6, 1, 1, 1)


KEEPS = (
    "Only a module that keeps the channels, and the map but for a stride, can be replaced by a "
    "block."
)


@pytest.mark.parametrize(
    ("steps", "path", "expected"),
    [
        (
            usual,
            "one",
            f"the module 'one' makes a map of 4 x 4 x 5 from one of 1 x 7 x 10. {KEEPS}",
        ),
        (
            usual,
            "head",
            "a block at the module 'head' gets a tensor of shape (1, 6); it needs one of shape "
            "(N, C, H, W), (N, H, W, C), (N, L, C) or (N, C, T).",
        ),
        (
            lambda net, x: usual(net, x) + usual(net, x),
            "two",
            "in one forward pass a block at the module 'two' is run 2 times. Name a module that is "
            "run once.",
        ),
    ],
)
def test_a_module_that_a_block_cannot_replace_is_refused(steps, path, expected):
    found = message(steps, ("here", "replace", path))
    assert found == f"stages.body.sites.here: {expected}"
