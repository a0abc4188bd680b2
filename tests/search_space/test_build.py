import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnas.core import InputError
from attnas.search_space import (
    Architecture,
    Argument,
    Attention,
    Backbone,
    Depth,
    build,
    make_backbone,
    seeded,
    stage_decisions,
)

CIFAR = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 8, 8), (10,))
MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 8, 8), (10,))
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))

GATES = ["se:r4", "eca", "cbam:r4", "coord:r4", "gc:r4", "sse", "ese", "scse:r2"]
options = st.just("none") | st.builds(
    "{}@{}".format, st.sampled_from(GATES), st.sampled_from(["pre", "residual", "post", "identity"])
)


def architecture(*options, backbone=CIFAR, identity_start=True):
    return Architecture(backbone, stage_decisions(backbone), options, identity_start)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def shared(network, plain):
    """The state of a network that the plain one has too."""
    return {name: value for name, value in network.state_dict().items() if name in plain}


few = settings(max_examples=15)


@few
@given(st.tuples(options, options, options), st.booleans(), st.integers(0, 2**32))
def test_the_backbones_initial_weights_are_the_same_whatever_is_inserted(chosen, identity, seed):
    plain = build(Architecture.plain(CIFAR), seed=seed).state_dict()
    network = build(architecture(*chosen, identity_start=identity), seed=seed)
    assert same(shared(network, plain), plain)


@few
@given(st.tuples(options, options, options))
def test_with_an_identity_start_a_network_computes_what_the_plain_one_computes(chosen):
    plain, network = build(Architecture.plain(CIFAR), seed=1), build(architecture(*chosen), seed=1)
    with torch.no_grad():
        expected = plain.eval()(IMAGES)
        torch.testing.assert_close(network.eval()(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_blocks_are_placed_at_their_sites_in_every_unit_of_their_stage_alone():
    plain = build(Architecture.plain(CIFAR)).state_dict()
    added = build(architecture("se:r4@residual", "none", "eca@pre")).state_dict().keys() - plain
    assert added == {
        *(
            f"layer1.{unit}.residual.{layer}.{kind}"
            for unit in (0, 1)
            for layer in ("reduce", "expand")
            for kind in ("weight", "bias")
        ),
        "layer3.0.pre.conv.weight",
        "layer3.1.pre.conv.weight",
    }


def test_a_placement_that_some_units_lack_is_filled_in_the_others():
    chosen = ["none"] * 7
    chosen[1] = "eca@identity"
    plain = build(Architecture.plain(MOBILE)).state_dict()
    network = build(architecture(*chosen, backbone=MOBILE))
    assert network.state_dict().keys() - plain == {"stage2.1.identity.conv.weight"}


def test_a_block_is_as_wide_as_its_site():
    network = build(architecture("none", "se:r4@pre", "none"))
    first, second = network.get_submodule("layer2")
    assert (first.pre.reduce.in_features, second.pre.reduce.in_features) == (8, 16)


def test_a_mixer_replaces_a_convolution_bare_and_is_wrapped_elsewhere():
    network = build(architecture("channel_group@replace", "channel_group@residual", "none"))
    assert type(network.get_submodule("layer1.0.conv2")).__name__ == "ChannelGroupAttention"
    wrapped = network.get_submodule("layer2.1.residual")
    assert type(wrapped).__name__ == "Wrapped"
    assert type(wrapped.block).__name__ == "ChannelGroupAttention"
    assert not wrapped.gamma.any()


def test_a_mixer_in_place_of_a_strided_convolution_sees_pooled_pixels():
    bottleneck = Backbone("resnet", (("depth", 50),), (3, 32, 32), (10,))
    texts = ["none", "maxpool@replace", "none", "none"]
    network = build(architecture(*texts, backbone=bottleneck)).eval()
    first, second = network.get_submodule("layer2.0.conv2"), network.get_submodule("layer2.1.conv2")
    assert (type(first).__name__, first.stride) == ("Pooled", 2)
    assert type(second).__name__ == "MaxPool"
    plain = build(Architecture.plain(bottleneck)).eval()
    x = torch.randn(1, 256, 8, 8)
    assert network.get_submodule("layer2.0")(x).shape == plain.get_submodule("layer2.0")(x).shape


def test_a_block_whose_parameters_depend_on_the_map_is_made_for_its_place():
    network = build(architecture("mhsa:r1@replace", "none", "mhsa:r1@residual"))
    assert network.get_submodule("layer1.0.conv2").rows.shape[0] == 2 * 8 - 1
    assert network.get_submodule("layer3.0.residual.block").rows.shape[0] == 2 * 2 - 1


def test_a_blocks_initial_weights_depend_on_seed_and_place_alone():
    def weights(*chosen, seed=5):
        network = build(architecture(*chosen, identity_start=False), seed=seed)
        return network.get_submodule("layer2.1.residual").state_dict()

    once = weights("none", "se:r4@residual", "none")
    assert same(weights("cbam:r4@post", "se:r4@residual", "eca@pre"), once)
    assert not same(weights("none", "se:r4@residual", "none", seed=6), once)
    network = build(architecture("none", "none", "se:r4@residual", identity_start=False), seed=5)
    first, second = network.get_submodule("layer3")
    assert not torch.equal(first.residual.reduce.weight, second.residual.reduce.weight)


def test_a_blocks_weights_come_from_a_hash_that_every_process_shares():
    network = build(architecture("se:r4@residual", "none", "none", identity_start=False), seed=3)
    torch.manual_seed(zlib.crc32(b"3:layer1.0.residual"))
    expected = nn.Linear(8, 4).weight  # what the block makes first
    assert torch.equal(network.get_submodule("layer1.0.residual.reduce").weight, expected)


@few
@given(st.integers(0, 2**32))
def test_with_a_seed_torchs_generator_is_left_as_it_was(seed):
    state = torch.get_rng_state()
    build(architecture("se:r4@residual", "none", "eca@pre"), seed=seed)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_seed_weights_come_from_torchs_generator():
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(build(architecture("se:r4@residual", "none", "none")).state_dict())
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_the_generator_is_seeded_within_and_put_back_behind_also_after_an_error():
    state = torch.get_rng_state()
    drawn = []

    def fail():
        drawn.append(torch.rand(3).tolist())
        raise OSError("while it is made")

    for seed, path in ((3, "a"), (3, "a"), (3, "b"), (4, "a")):
        with pytest.raises(OSError, match="while it is made"), seeded(seed, path):
            fail()
    assert drawn[0] == drawn[1]
    assert len(set(map(tuple, drawn))) == 3
    assert torch.equal(torch.get_rng_state(), state)
    with seeded(None, "a"):
        torch.rand(3)
    assert not torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("eca@expanded", "none", "none"),
            "layer1: the option 'eca@expanded' can be applied nowhere in resnet_cifar.",
        ),
        (
            ("dual:r4@residual", "none", "none"),
            "layer1: the option 'dual:r4@residual' can be applied nowhere in resnet_cifar.",
        ),
        (
            ("se:r4@replace", "none", "none"),
            "layer1: the option 'se:r4@replace' can be applied nowhere in resnet_cifar.",
        ),
        (
            ("sse@residual", "cbma:r4@residual", "none"),
            "layer2: unknown block 'cbma'. Did you mean 'cbam'? `attnas blocks` lists all.",
        ),
        (
            ("se@residual", "none", "none"),
            "layer1: the option 'se@residual' lacks a ratio. Write 'se:r8@residual'.",
        ),
        (
            ("se:r3@residual", "none", "none"),
            "layer1: the block 'se' does not know the ratio 3. It knows 2, 4, 8, 16, 32.",
        ),
    ],
)
def test_an_option_that_cannot_be_built_is_refused(options, message):
    with pytest.raises(InputError) as caught:
        build(architecture(*options))
    assert str(caught.value) == message


def test_a_block_that_does_not_run_on_the_sites_map_is_refused():
    pixel = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 1, 1), (10,))
    with pytest.raises(InputError) as caught:
        build(architecture("none", "simam@residual", "none", backbone=pixel))
    assert str(caught.value) == (
        "layer2: the option 'simam@residual' can be applied nowhere in resnet_cifar."
    )


@pytest.mark.parametrize(
    ("decision", "option"), [(Attention("layer1", 2), "eca@pre"), (Depth("layer1"), "3")]
)
def test_an_option_for_a_unit_that_is_not_there_is_refused(decision, option):
    with pytest.raises(InputError) as caught:
        build(Architecture(CIFAR, (decision,), (option,)))
    assert str(caught.value) == (
        f"{decision.name}: the option '{option}' can be applied nowhere in resnet_cifar."
    )


def test_an_option_that_another_one_leaves_nothing_to_do_is_built_without_it():
    decisions = (Argument("depth"), Depth("layer1"), Attention("layer1", 1))
    plain = build(Architecture(CIFAR, decisions, ("8", "1", "none")), seed=0).state_dict()
    for depth, kept, attention in (("8", "1", "se:r4@pre"), ("8", "2", "none")):
        network = build(Architecture(CIFAR, decisions, (depth, kept, attention)), seed=0)
        assert same(network.state_dict(), plain)


# Weights that are given


def test_trained_weights_are_those_of_the_network_with_blocks_and_it_computes_the_same():
    trained = build(Architecture.plain(CIFAR), seed=7)
    for parameter in trained.parameters():
        nn.init.normal_(parameter, std=0.2)
    network = build(
        architecture("se:r4@residual", "eca@post", "none"), seed=1, weights=trained.state_dict()
    )
    assert same(shared(network, trained.state_dict()), trained.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(IMAGES), trained.eval()(IMAGES))


def test_trained_weights_do_not_change_what_a_seed_gives_the_blocks():
    trained = build(Architecture.plain(CIFAR), seed=7).state_dict()
    chosen = architecture("se:r4@residual", "none", "none", identity_start=False)
    fresh, loaded = build(chosen, seed=1), build(chosen, seed=1, weights=trained)
    block = "layer1.0.residual"
    assert same(fresh.get_submodule(block).state_dict(), loaded.get_submodule(block).state_dict())


def test_weights_of_another_network_are_refused():
    other = Backbone("resnet_cifar", (("depth", 14), ("width", 4)), (1, 8, 8), (10,))
    weights = build(Architecture.plain(other)).state_dict()
    with pytest.raises(RuntimeError, match="size mismatch"):
        build(Architecture.plain(CIFAR), weights=weights)


OWN = """
class Unit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.slot = nn.Identity()

    def forward(self, x):
        return x + self.slot(torch.tanh(self.conv(x)))


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.units = nn.Sequential(Unit(8), Unit(8))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.units(x.expand(-1, 8, -1, -1)).mean((2, 3)))


def trained():
    network = Own()
    for i, parameter in enumerate(network.parameters()):
        nn.init.constant_(parameter, i / 10)
    network.head.weight.requires_grad_(False)
    return network.eval()
"""
SITES = {
    "pre": {"before": "conv"},
    "residual": {"at": "slot"},
    "identity": {"after": "conv"},
    "post": {"after": ""},
}


@pytest.fixture
def own(own_module):
    name = own_module(OWN)
    return make_backbone(
        factory=f"{name}:trained",
        arguments={},
        stages={"units": {"units": ["units.*"], "sites": SITES}},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )


@pytest.mark.parametrize(
    ("placement", "block", "conv"),
    [
        ("pre", "units.0.conv.block", "units.0.conv.module"),
        ("residual", "units.0.slot", "units.0.conv"),
        ("identity", "units.0.conv.block", "units.0.conv.module"),
        ("post", "units.0.block", "units.0.module.conv"),
    ],
)
def test_a_network_of_ones_own_keeps_its_weights_and_gets_the_block_in_its_place(
    own, placement, block, conv
):
    plain = build(Architecture.plain(own), seed=0)
    network = build(architecture(f"se:r2@{placement}", backbone=own, identity_start=False), seed=0)
    assert type(network.get_submodule(block)).__name__ == "SqueezeExcite"
    assert same(network.get_submodule(conv).state_dict(), plain.units[0].conv.state_dict())
    assert not network.head.weight.requires_grad
    assert not any(module.training for module in network.modules())

    def a(name, index, x):
        if name != placement:
            return x
        return network.get_submodule(block.replace("units.0", f"units.{index}"))(x)

    x = IMAGES.expand(-1, 8, -1, -1)
    for i, unit in enumerate(plain.units):
        f = torch.tanh(a("identity", i, unit.conv(a("pre", i, x))))
        x = a("post", i, x + a("residual", i, f))
    torch.testing.assert_close(network(IMAGES), plain.head(x.mean((2, 3))))
