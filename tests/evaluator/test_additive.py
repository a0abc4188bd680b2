import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnas.evaluator import AdditiveCost, additive_costs
from attnas.evaluator.complexity import complexity
from attnas.search_space import Architecture, SearchSpace, blocks
from attnas.search_space.backbones import make_backbone
from attnas.search_space.build import build

GATES = [name for name, block in blocks().items() if block.kind == "gate"]


def space_of(name, identity_start, **arguments):
    backbone = make_backbone(name=name, arguments=arguments, input_shape=(3, 8, 8), classes=4)
    placements = ["residual", "pre", "post"] if name != "mobilenetv2" else ["expanded", "post"]
    return SearchSpace.create(
        backbone,
        blocks=["none", *GATES],
        ratios=[2, 4],
        placements=placements,
        identity_start=identity_start,
    )


SPACES = [
    space_of("resnet_cifar", True, depth=8, width=8),
    space_of("resnet_cifar", False, depth=8, width=8),
    space_of("mobilenetv2", True, width=0.25),
]


@settings(max_examples=15, deadline=None)
@given(space=st.sampled_from(SPACES), data=st.data())
def test_the_costs_of_a_networks_choices_add_up_to_what_counting_it_whole_gives(space, data):
    architecture = space.at(data.draw(st.integers(0, space.size - 1)))
    counted = complexity(build(architecture, seed=0), space.backbone.input_shape)
    for metric, cost in additive_costs(space, ("params", "flops", "activations")).items():
        assert cost.metric == metric
        assert cost.of(architecture, space) == getattr(counted, metric)


def test_the_plain_backbone_costs_the_base_and_none_adds_nothing():
    cost = additive_costs(SPACES[0])["params"]
    plain = build(SPACES[0].plain, seed=0)
    assert cost.base == sum(p.numel() for p in plain.parameters())
    assert [stage[0] for stage in cost.costs] == [0.0, 0.0, 0.0]


def test_the_expected_cost_is_the_mean_over_all_architectures_and_has_its_gradient():
    space = SearchSpace.create(
        SPACES[0].backbone, blocks=["none", "se", "eca"], ratios=[2], placements=["residual"]
    )
    cost = additive_costs(space)["flops"]
    weights = [torch.tensor(w, dtype=torch.float64) for w in ([1, 2, 3], [4, 1, 1], [0, 1, 1])]
    weights = [(w / w.sum()).requires_grad_() for w in weights]
    mean = sum(
        cost.of(architecture, space)
        * torch.stack([w[i] for w, i in zip(weights, positions(space, architecture), strict=True)])
        .prod()
        .item()
        for architecture in space.enumerate()
    )
    expected = cost.expected(weights)
    assert expected.item() == pytest.approx(mean, rel=1e-12)
    expected.backward()
    assert weights[1].grad.tolist() == list(cost.costs[1])


def positions(space, architecture):
    return [o.index(c) for o, c in zip(space.allowed, architecture.choices, strict=True)]


def test_counting_leaves_torchs_generator_as_it_was():
    space = SearchSpace.create(
        SPACES[0].backbone, blocks=["none", "se"], ratios=[4], placements=["post"]
    )
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    additive_costs(space)
    assert torch.equal(torch.rand(3), wanted)


def test_what_does_not_add_up_and_what_is_not_in_the_space_are_refused():
    with pytest.raises(ValueError, match=r"^peak_memory_mb: not one of params, flops, activati"):
        additive_costs(SPACES[0], ["peak_memory_mb"])
    cost = AdditiveCost("params", 1.0, tuple((0.0,) * len(o) for o in SPACES[0].allowed))
    stranger = Architecture.from_texts(SPACES[0].backbone, ["se:r16@residual", "none", "none"])
    with pytest.raises(ValueError, match="se:r16@residual is not one of none, cbam:r2@residual"):
        cost.of(stranger, SPACES[0])
