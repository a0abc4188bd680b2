import copy
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from attnas.core import InputError
from attnas.search_space import (
    BLOCKS,
    Architecture,
    AttentionOption,
    Backbone,
    SearchSpace,
    Supernet,
    block,
    build,
    make_backbone,
    register_block,
    stage_decisions,
)

from .blocks.representatives import representatives

CIFAR = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 16, 16), (10,))
OWN = """
class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.slot = nn.Identity()

    def forward(self, x):
        return x + self.slot(torch.tanh(self.norm(self.conv(x))))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.units = nn.Sequential(Unit(8), Unit(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.units(x.expand(-1, 8, -1, -1)).mean((2, 3)))
"""
SITES = {
    "pre": {"before": "conv"},
    "residual": {"at": "slot"},
    "identity": {"after": "conv"},
    "post": {"after": ""},
    "replace": {"replace": "conv"},
    "block": {"after": ""},
}
PLACEMENTS = {  # by kind
    "gate": ("pre", "residual", "post", "identity"),
    "mixer": ("replace", "residual", "post"),
    "unit": ("block",),
}
GATES = sorted(name for name, found in BLOCKS.items() if found.kind == "gate")


@pytest.fixture
def own(own_module):
    return make_backbone(
        factory=f"{own_module(OWN)}:Own",
        arguments={},
        stages={"units": {"units": ["units.*"], "sites": SITES}},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )


NOWHERE = {"bat", "fca"}  # maps that are no multiple of 7, too few channels


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


IMAGES = draw(4, 1, 8, 8)


def space_of(backbone, names, *, ratios=(2, 4), placements=("pre", "residual", "post"), **given):
    return SearchSpace.create(
        backbone,
        blocks=["none", *names],
        ratios=ratios,
        placements=placements,
        identity_start=False,
        **given,
    )


def randomised(space):
    """A supernet whose weights and statistics are none of the start values."""
    net = Supernet(space, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        kept = {tensor.data_ptr() for tensor in net.state_dict().values()}
        for buffer in net.buffers():
            if buffer.is_floating_point() and buffer.data_ptr() in kept:  # no constant
                buffer += 0.2 * torch.rand(buffer.shape, generator=generator)
    return net


def one_hot(architecture, space):
    return [
        torch.tensor([float(option == chosen) for option in options])
        for options, chosen in zip(space.options, architecture.options, strict=True)
    ]


def check_subnet(net, architecture, images):
    """Names, shapes, outputs in both modes and statistics of a path and its subnet."""
    net.select(architecture)
    subnet, built = net.subnet(architecture), build(architecture)
    shapes = {name: tensor.shape for name, tensor in built.state_dict().items()}
    assert {name: tensor.shape for name, tensor in subnet.state_dict().items()} == shapes
    assert [type(module) for module in subnet.modules()] == [type(m) for m in built.modules()]
    for training in (True, False):
        net.train(training)
        subnet.train(training)
        with torch.no_grad():  # in train mode first, so the statistics have moved then
            torch.manual_seed(0)  # for dropout
            found = subnet(images)
            torch.manual_seed(0)
            torch.testing.assert_close(found, net(images), msg=str(architecture))


def check_each_option(space, images):
    """Architectures that have each option of the space at least once."""
    net = randomised(space)
    unseen = dict.fromkeys(option for options in space.options for option in options)
    while unseen:
        chosen = []
        for options in space.options:
            chosen.append(next((option for option in options if option in unseen), options[0]))
            unseen.pop(chosen[-1], None)
        check_subnet(net, space.architecture(chosen), images)


def test_a_subnet_equals_its_path_in_a_residual_network_with_every_option():
    names = representatives()
    space = space_of(CIFAR, names, placements=("residual", "post", "replace", "block"))
    there = {AttentionOption.parse(option).block for options in space.options for option in options}
    assert set(names) - there == NOWHERE
    check_each_option(space, IMAGES)


def test_a_subnet_equals_its_path_in_inverted_residuals_with_every_option():
    placements = ("pre", "expanded", "block")
    space = space_of(MOBILE, representatives(), ratios=(4,), placements=placements)
    check_each_option(space, draw(3, 1, 16, 16))


def test_a_subnet_equals_its_path_in_a_network_described_by_paths(own):
    space = space_of(
        own, ["se", "cbam", "ge_plus", "mhsa", "pat_sp", "dual"], placements=tuple(SITES)
    )
    check_each_option(space, IMAGES)


def test_without_a_choice_a_module_that_blocks_replace_is_run():
    space = space_of(CIFAR, ["maxpool"], placements=("replace",))
    net = randomised(space).eval()
    plain = net.subnet(space.plain).eval()
    assert isinstance(plain.layer1[0].conv2, nn.Conv2d)
    torch.testing.assert_close(net(IMAGES), plain(IMAGES))
    net.select(space.architecture(["none", "maxpool@replace", "none"]))
    assert not torch.allclose(net(IMAGES), plain(IMAGES))
    assert type(net.subnet(space.at(2)).layer2[0].conv2).__name__ in ("MaxPool", "Conv2d")


def test_a_mixture_weighs_the_replaced_module_too():
    space = space_of(CIFAR, ["maxpool"], placements=("replace",))
    net = randomised(space).eval()
    net.mix([torch.tensor([0.75, 0.25]), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0])])
    plain = net.subnet(space.plain).eval()
    unit, x = plain.layer1[0], plain.stem(IMAGES)
    f = torch.relu(unit.bn1(unit.conv1(x)))
    f = 0.75 * unit.conv2(f) + 0.25 * nn.functional.max_pool2d(f, 3, 1, 1)
    y = torch.relu(x + unit.bn2(f))
    torch.testing.assert_close(net(IMAGES), plain.head(plain.layer3(plain.layer2(y))))


def test_a_block_that_depends_on_the_map_shares_with_none_on_another_map(own_module):
    halving = OWN.replace("x + self.slot", "x[:, :, ::2, ::2] + self.slot")
    halving = halving.replace("3, padding=1", "3, stride=2, padding=1")
    backbone = make_backbone(
        factory=f"{own_module(halving)}:Own",
        arguments={},
        stages={"units": {"units": ["units.*"], "sites": SITES}},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )
    space = space_of(backbone, ["ge_theta"], placements=("pre", "residual", "post"))
    kernels = [
        tuple(p.shape[2:])
        for name, p in Supernet(space, seed=0).shared.named_parameters()
        if name.endswith("convolutions.0.weight")
    ]
    assert sorted(kernels) == [(2, 2), (4, 4), (4, 4), (8, 8)]  # of two units


def test_a_subnet_shares_nothing_with_the_supernet():
    space = space_of(CIFAR, ["cbam"])
    net = randomised(space)
    before = copy.deepcopy(net.state_dict())
    subnet = net.subnet(space.at(space.size - 1))
    with torch.no_grad():
        for tensor in [*subnet.parameters(), *subnet.buffers()]:
            tensor.zero_()
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_with_one_ratio_and_placement_every_path_starts_as_the_built_network():
    space = space_of(CIFAR, ["se", "cbam", "eca"], ratios=(2,), placements=("residual",))
    net = Supernet(space, seed=5)
    for architecture in [space.plain, space.at(7), space.at(space.size - 1)]:
        expected = build(architecture, seed=5).state_dict()
        torch.testing.assert_close(net.subnet(architecture).state_dict(), expected, rtol=0, atol=0)


def test_the_backbone_starts_as_the_plain_network_also_where_names_change(own):
    for backbone in (CIFAR, own):
        placements = ("pre", "residual", "post")
        net = Supernet(space_of(backbone, ["se"], placements=placements), seed=5)
        plain = build(Architecture.plain(backbone), seed=5).state_dict()
        torch.testing.assert_close(net.backbone_state(), plain, rtol=0, atol=0)


def test_loaded_backbone_weights_are_those_of_every_path(own):
    net = Supernet(space_of(own, ["se"]), seed=5)
    other = build(Architecture.plain(own), seed=6)
    net.load_backbone(other.state_dict())
    net.select(net.space.plain)
    torch.testing.assert_close(net.eval()(IMAGES), other.eval()(IMAGES))
    del (missing := dict(other.state_dict()))["head.bias"]
    with pytest.raises(RuntimeError, match=r"head\.bias"):
        net.load_backbone(missing)


def test_torch_s_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    space = space_of(CIFAR, ["se"])
    Supernet(space, seed=0).subnet(space.at(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_narrow_ratios_use_the_first_hidden_units_of_the_widest():
    backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 8, 8), (10,))
    space = space_of(backbone, ["se"], ratios=(2, 4), placements=("residual",))
    net = randomised(space)
    wide = net.subnet(space.architecture(["se:r2@residual"] * 3)).layer3[0].residual
    narrow = net.subnet(space.architecture(["se:r4@residual"] * 3)).layer3[0].residual
    assert (wide.reduce.weight.shape, narrow.reduce.weight.shape) == ((32, 64), (16, 64))
    assert torch.equal(narrow.reduce.weight, wide.reduce.weight[:16])
    assert torch.equal(narrow.reduce.bias, wide.reduce.bias[:16])
    assert torch.equal(narrow.expand.weight, wide.expand.weight[:, :16])
    assert torch.equal(narrow.expand.bias, wide.expand.bias)


def test_memory_grows_with_the_blocks_and_not_with_ratios_and_placements():
    backbone = Backbone("resnet_cifar", (("depth", 14), ("width", 16)), (1, 8, 8), (10,))
    shared = {name: found.sliceable or not found.ratios for name, found in BLOCKS.items()}
    names = [name for name in GATES if shared[name]]
    many = space_of(backbone, names, ratios=(4, 8, 16), placements=("residual", "post", "identity"))
    few = space_of(backbone, names, ratios=(4,), placements=("residual",))
    counts = [sum(p.numel() for p in Supernet(space, seed=0).parameters()) for space in (many, few)]
    assert many.size > 50 * few.size
    assert counts[0] == counts[1]


def test_placements_with_another_number_of_channels_have_parameters_of_their_own():
    space = space_of(CIFAR, ["eca"], placements=("residual", "post"))
    wider = space_of(CIFAR, ["eca"], placements=("pre", "residual", "post"))
    added = sum(p.numel() for p in Supernet(wider, seed=0).parameters())
    added -= sum(p.numel() for p in Supernet(space, seed=0).parameters())
    # Of the three units, the first ones of layer2 and layer3 change the number of channels.
    assert added == 2 * 3


class Unsliced(nn.Module):
    def __init__(self, channels, ratio, *, identity_start=False):
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 1, groups=channels // ratio)

    def forward(self, x):
        return self.layer(x)

    @staticmethod
    def params(channels, height, width, ratio):
        return channels * ratio + channels

    @staticmethod
    def widths(channels, ratio):
        return (ratio,)


@pytest.fixture
def unsliced(own_registers):
    register_block("unsliced", ratios=(2, 4))(Unsliced)


def test_a_class_that_does_not_say_that_it_slices_has_parameters_for_every_width(unsliced):
    space = space_of(CIFAR, ["unsliced"], placements=("residual", "post"))
    plain = space_of(CIFAR, [], placements=("residual",))
    added = sum(p.numel() for p in Supernet(space, seed=0).parameters())
    added -= sum(p.numel() for p in Supernet(plain, seed=0).parameters())
    assert added == sum(c * ratio + c for c in (8, 16, 32) for ratio in (2, 4))


def test_a_class_that_says_wrongly_that_it_slices_is_refused(unsliced, monkeypatch):
    monkeypatch.setattr(Unsliced, "sliceable", True, raising=False)
    monkeypatch.setattr(
        Unsliced, "__init__", lambda self, channels, ratio, *, identity_start: _swapped(self, ratio)
    )
    with pytest.raises(ValueError, match=r"'weight' of shape .* is no leading part"):
        Supernet(space_of(CIFAR, ["unsliced"]), seed=0)


def _swapped(module, ratio):
    nn.Module.__init__(module)
    module.weight = nn.Parameter(torch.zeros(*{2: (4, 1), 4: (2, 8)}[ratio]))


def test_only_the_selected_blocks_are_run_and_get_a_gradient():
    space = space_of(CIFAR, ["se", "eca", "cbam"])
    net = Supernet(space, seed=0)
    runs = []
    for module in net.modules():
        if type(module) in {block(name).module for name in ("se", "eca", "cbam")}:
            module.register_forward_hook(lambda module, *_: runs.append(type(module).__name__))
    net.select(space.architecture(["cbam:r2@post", "none", "eca@pre"]))
    net(IMAGES).sum().backward()
    assert runs == ["Cbam", "EfficientChannelAttention"]
    reached = [p for p in net.shared.parameters() if p.grad is not None]
    assert len(reached) == 5 + 1  # CBAM: W1, W2, the convolution, two of the norm; ECA: one
    net.select(space.plain)
    net(IMAGES)
    assert len(runs) == 2


def test_the_narrow_path_moves_the_first_hidden_units_alone():
    backbone = Backbone("resnet_cifar", (("depth", 8), ("width", 16)), (1, 8, 8), (10,))
    space = space_of(backbone, ["se"], ratios=(2, 4), placements=("residual",))
    net = randomised(space)
    net.select(space.architecture(["none", "none", "se:r4@residual"]))
    net(IMAGES).square().sum().backward()
    [shared] = [m for m in net.shared if m.reduce.in_features == 64]
    assert shared.expand.weight.grad[:, :16].abs().sum() > 0
    assert shared.expand.weight.grad[:, 16:].abs().sum() == 0


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_one_hot_weights_give_the_selected_path(training):
    space = space_of(CIFAR, ["se", "eca", "cbam", "simam"])
    net = randomised(space).train(training)
    rng = np.random.default_rng(0)
    for _ in range(5):
        architecture = space.sample(rng)
        net.select(architecture)
        expected = net(IMAGES)
        net.mix(one_hot(architecture, space))
        torch.testing.assert_close(net(IMAGES), expected)
        net.mix([w.requires_grad_() for w in one_hot(architecture, space)])
        torch.testing.assert_close(net(IMAGES), expected)


def test_a_mixture_is_the_weighted_sum_at_each_site():
    space = space_of(
        CIFAR,
        ["se", "eca"],
        ratios=(2,),
        placements=("residual", "post"),
        stages={"layer2": {"choice": "none"}, "layer3": {"choice": "none"}},
    )
    assert space.options_of("layer1") == (
        "none",
        "eca@residual",
        "eca@post",
        "se:r2@residual",
        "se:r2@post",
    )
    net = randomised(space).eval()
    w = [0.1, 0.2, 0.3, 0.25, 0.15]
    net.mix([torch.tensor(w), torch.ones(1), torch.ones(1)])
    unit = {
        option: net.subnet(space.architecture([option, "none", "none"])).layer1[0]
        for option in space.options_of("layer1")
    }
    own = unit["none"]
    x = own_stem = net.subnet(space.plain).stem(IMAGES)
    f = own.bn2(own.conv2(torch.relu(own.bn1(own.conv1(x)))))
    eca, se = unit["eca@residual"].residual, unit["se:r2@residual"].residual
    f = f + 0.2 * (eca(f) - f) + 0.25 * (se(f) - f)
    y = torch.relu(own_stem + f)
    eca, se = unit["eca@post"].post, unit["se:r2@post"].post
    y = y + 0.3 * (eca(y) - y) + 0.15 * (se(y) - y)
    rest = net.subnet(space.plain)
    torch.testing.assert_close(net(IMAGES), rest.head(rest.layer3(rest.layer2(y))))


def test_gradients_of_the_weights_are_those_of_finite_differences():
    space = space_of(CIFAR, ["se", "sse"], ratios=(2,), placements=("residual", "post"))
    net = randomised(space).double().eval()
    images = IMAGES.double()
    sizes = [len(options) for options in space.options]
    flat = torch.rand(sum(sizes), generator=torch.Generator().manual_seed(0)).double()

    def scores(weights):
        net.mix(list(weights.split(sizes)))
        return net(images)

    assert torch.autograd.gradcheck(scores, flat.requires_grad_())


def test_options_of_weight_zero_without_a_gradient_are_not_run():
    space = space_of(CIFAR, ["se", "eca"], ratios=(2,), placements=("residual",))
    net = Supernet(space, seed=0)
    runs = []
    for module in net.modules():
        if type(module) in {block("se").module, block("eca").module}:
            module.register_forward_hook(lambda module, *_: runs.append(type(module).__name__))
    net.mix([torch.tensor([0.5, 0.5, 0.0])] * 3)  # none, eca, se
    net(IMAGES)
    assert runs == ["EfficientChannelAttention"] * 3
    runs.clear()
    scalar = torch.zeros((), requires_grad=True)  # a single path with its own gradient
    net.mix([[0.0, 0.0, scalar], torch.zeros(3), torch.tensor([1.0, 0.0, 0.0])])
    net(IMAGES)
    assert runs == ["SqueezeExcite"]


def test_no_weights_are_the_plain_backbone():
    space = space_of(CIFAR, ["se"])
    net = randomised(space).eval()
    net.mix(None)
    torch.testing.assert_close(net(IMAGES), net.subnet(space.plain).eval()(IMAGES))


@pytest.mark.parametrize("weights", [[torch.ones(2)] * 3, [torch.ones(3)] * 2])
def test_weights_must_be_one_an_option(weights):
    space = space_of(CIFAR, ["se"], ratios=(2,), placements=("residual", "post"))
    with pytest.raises(ValueError, match="options") as caught:
        Supernet(space, seed=0).mix(weights)
    assert str(caught.value) == (
        f"the decisions have [3, 3, 3] options, but {list(map(len, weights))} weights are given"
    )


def test_another_spelling_of_a_path_is_that_path():
    space = space_of(CIFAR, ["se"], ratios=(4, 8), placements=("residual",))
    net = randomised(space).eval()
    spelled = space.read(["se:r8@residual", "none", "cse:r4@residual"])
    assert spelled not in space
    canonical = space.architecture(["se:r4@residual", "none", "se:r4@residual"])
    net.select(canonical)
    expected = net(IMAGES)
    net.select(spelled)
    assert torch.equal(net(IMAGES), expected)


def test_none_is_a_path_of_every_stage_also_where_the_space_lacks_it():
    space = SearchSpace.create(CIFAR, blocks=["se"], ratios=[4], placements=["residual"])
    net = Supernet(space, seed=3)
    plain = net.subnet(space.plain)
    expected = build(space.plain, seed=3).state_dict()
    torch.testing.assert_close(plain.state_dict(), expected, rtol=0, atol=0)


def test_what_is_not_in_the_space_is_refused_and_leaves_the_selection():
    space = space_of(CIFAR, ["se"])
    net = randomised(space).eval()
    net.select(space.at(5))
    expected = net(IMAGES)
    with pytest.raises(InputError, match="'eca@post' is not in the search space"):
        net.select(space.read(["eca@post", "none", "none"]))
    with pytest.raises(ValueError, match=r"is not of the decisions on resnet_cifar$"):
        net.select(Architecture.plain(MOBILE))
    other = Architecture(CIFAR, stage_decisions(CIFAR)[::-1], ("none", "none", "se:r2@pre"))
    with pytest.raises(ValueError, match=r"is not of the decisions on resnet_cifar$"):
        net.select(other)
    assert torch.equal(net(IMAGES), expected)


def test_a_checkpoint_gives_back_every_path():
    space = space_of(CIFAR, ["se", "cbam", "coord"])
    net, other = randomised(space), Supernet(space, seed=9)
    other.load_state_dict(net.state_dict())
    for index in (0, 7, space.size // 2, space.size - 1):
        architecture = space.at(index)
        torch.testing.assert_close(
            other.subnet(architecture).state_dict(),
            net.subnet(architecture).state_dict(),
            rtol=0,
            atol=0,
        )
    tensors = net.state_dict().values()
    assert len({t.data_ptr() for t in tensors if t.numel()}) == sum(t.numel() > 0 for t in tensors)


def test_a_copy_shares_nothing_and_is_equal():
    space = space_of(CIFAR, ["se", "cbam"])
    net = randomised(space).eval()
    net.select(space.at(space.size - 1))
    expected = net(IMAGES)
    copied = copy.deepcopy(net)
    assert torch.equal(copied(IMAGES), expected)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert torch.equal(copied(IMAGES), expected)
    assert torch.equal(copied.subnet(space.at(space.size - 1))(IMAGES), expected)


def test_units_that_are_decided_apart_are_paths_of_their_own():
    deeper = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 8, 8), (10,))
    space = space_of(deeper, ["se", "cbam"], per="unit", stages={"layer2": {"per": "stage"}})
    assert space.names == ("layer1.0", "layer1.1", "layer2", "layer3.0", "layer3.1")
    net, rng = randomised(space), np.random.default_rng(0)
    for _ in range(3):
        check_subnet(net, space.sample(rng), IMAGES)
    by_stage = randomised(space_of(deeper, ["se", "cbam"]))
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in by_stage.parameters())


@pytest.mark.parametrize(
    ("given", "name", "key"),
    [
        ({"depth": [1, 2]}, "layer1.depth", "stages.layer1.depth"),
        ({"arguments": {"width": [8, 16]}}, "width", "arguments.width"),
    ],
)
def test_what_one_set_of_weights_cannot_hold_is_refused(given, name, key):
    deeper = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 8, 8), (10,))
    space = space_of(deeper, ["se"], **given)
    assert not space.is_shared
    with pytest.raises(InputError) as caught:
        Supernet(space, seed=0)
    assert str(caught.value) == (
        f"{key}: a supernet shares one set of weights among all options, which it cannot among "
        f"those of '{name}'. Leave that out, or take a strategy that trains each architecture."
    )


def test_every_stage_of_a_large_space_can_be_sampled_and_extracted():
    placements = ("pre", "residual", "post", "replace", "block")
    space = space_of(CIFAR, sorted(BLOCKS), ratios=(2, 4, 8), placements=placements)
    net = randomised(space).eval()
    rng = np.random.default_rng(1)
    for architecture, seed in product([space.sample(rng) for _ in range(5)], (1, 2)):
        net.select(architecture)
        images = draw(2, 1, 8, 8, seed=seed)
        torch.testing.assert_close(net.subnet(architecture)(images), net(images))
