import pytest

from attnas.core import Constraint, InputError
from attnas.reachable import check_reachable
from attnas.search_space import Backbone, SearchSpace, build

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 4)), (1, 8, 8), (10,))


def parameters(architecture):
    return sum(p.numel() for p in build(architecture, seed=0).parameters())


@pytest.fixture(scope="module")
def space():
    """Attention everywhere: the plain backbone is not of the space."""
    return SearchSpace.create(BACKBONE, blocks=["se", "eca"], ratios=[2, 4], placements=["post"])


def test_a_bound_that_nothing_keeps_is_refused_with_the_least_there_is(space):
    least = min(parameters(a) for a in space.enumerate())
    plain = {"params": float(parameters(space.plain))}
    check_reachable(space, [Constraint("params", "<=", least)], plain)
    with pytest.raises(InputError) as error:
        check_reachable(space, [Constraint("params", "<=", least - 1)], plain)
    assert error.value.key == "constraints.params"
    assert f"'<= {least - 1}' cannot be kept" in str(error.value)
    assert f"the least that the search space has is {least:,}." in str(error.value)


def test_bounds_relative_to_the_plain_backbone_and_lower_ones_are_looked_at(space):
    most = max(parameters(a) for a in space.enumerate())
    plain = {"params": float(parameters(space.plain)), "latency_ms": 1.0}
    check_reachable(space, [Constraint("latency_ms", "<=", 0.1)], plain)  # not known exactly
    check_reachable(space, [Constraint("params", ">=", most)], plain)
    for bound in (Constraint("params", "<=", 1.0, relative=True), Constraint("params", ">=", 9e9)):
        with pytest.raises(InputError, match="cannot be kept"):
            check_reachable(space, [bound], plain)
