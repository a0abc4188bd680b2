import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attnas.search_space import Architecture, Backbone, InputError
from attnas.search_space.backbones import make_backbone
from attnas.search_space.build import build

CIFAR = Backbone("resnet_cifar", (("depth", 14), ("width", 8)), (1, 8, 8), 10)
MOBILE = Backbone("mobilenetv2", (("width", 0.35),), (1, 8, 8), 10)
IMAGES = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))

GATES = ["se:r4", "eca", "cbam:r4", "coord:r4", "gc:r4", "sse", "ese", "scse:r2"]
choices = st.just("none") | st.builds(
    "{}@{}".format, st.sampled_from(GATES), st.sampled_from(["pre", "residual", "post", "identity"])
)


def architecture(*texts, backbone=CIFAR, identity_start=True):
    return Architecture.from_texts(backbone, texts, identity_start)


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def shared(network, plain):
    """The state of a network that the plain one has too."""
    return {name: value for name, value in network.state_dict().items() if name in plain}


few = settings(max_examples=15, deadline=None)


@few
@given(st.tuples(choices, choices, choices), st.booleans(), st.integers(0, 2**32))
def test_the_backbones_initial_weights_are_the_same_whatever_is_inserted(texts, identity, seed):
    plain = build(Architecture.plain(CIFAR), seed=seed).state_dict()
    network = build(architecture(*texts, identity_start=identity), seed=seed)
    assert same(shared(network, plain), plain)


@few
@given(st.tuples(choices, choices, choices))
def test_with_an_identity_start_a_network_computes_what_the_plain_one_computes(texts):
    plain, network = build(Architecture.plain(CIFAR), seed=1), build(architecture(*texts), seed=1)
    with torch.no_grad():
        expected = plain.eval()(IMAGES)
        torch.testing.assert_close(network.eval()(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_blocks_stand_at_their_sites_in_every_unit_of_their_stage_alone():
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
    texts = ["none"] * 7
    texts[1] = "eca@identity"
    plain = build(Architecture.plain(MOBILE)).state_dict()
    network = build(architecture(*texts, backbone=MOBILE))
    assert network.state_dict().keys() - plain == {"stage2.1.identity.conv.weight"}


def test_a_block_is_as_wide_as_its_site():
    network = build(architecture("none", "se:r4@pre", "none"))
    first, second = network.get_submodule("layer2")
    assert (first.pre.reduce.in_features, second.pre.reduce.in_features) == (8, 16)


def test_a_blocks_initial_weights_depend_on_seed_and_place_alone():
    def weights(*texts, seed=5):
        network = build(architecture(*texts, identity_start=False), seed=seed)
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


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            ["eca@expanded", "none", "none"],
            "eca@expanded: no unit of the stage 'layer1' has the placement 'expanded'. "
            "Known there: pre, residual, post, identity.",
        ),
        (["sse@residual", "cbma:r4@residual", "none"], "unknown block 'cbma'. Did you mean"),
        (["se@residual", "none", "none"], "the choice 'se@residual' lacks a ratio."),
        (["se:r3@residual", "none", "none"], "the block 'se' does not know the ratio 3."),
    ],
)
def test_a_choice_that_cannot_be_built_is_refused(texts, expected):
    with pytest.raises(InputError) as caught:
        build(architecture(*texts))
    assert str(caught.value).startswith(expected)


def test_a_block_that_does_not_run_on_the_sites_map_is_refused():
    pixel = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 1, 1), 10)
    with pytest.raises(InputError) as caught:
        build(architecture("none", "simam@residual", "none", backbone=pixel))
    assert str(caught.value) == (
        "simam@residual: cannot stand at 'layer2.0.residual' of the stage 'layer2' "
        "(16 channels, map 1 x 1)."
    )


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
        classes=10,
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
