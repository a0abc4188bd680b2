import pytest
from torch import nn

from attnas.search_space.known_attention import is_known_attention


@pytest.mark.parametrize(
    "name",
    [
        *("SqueezeExcite", "SqueezeExcitation", "SEModule", "EffectiveSEModule", "EcaModule"),
        *("CbamModule", "GatherExcite", "CoordAttn", "SE_Block", "GlobalContext"),
        *("MobileNetV3SqueezeExcitation", "RegNetSELayer"),
    ],
)
def test_gates_are_known_by_their_class(name):
    assert is_known_attention(type(name, (nn.Module,), {})())


@pytest.mark.parametrize("name", ["Identity", "Attention", "Mlp", "Sequential", "Response", "Base"])
def test_other_modules_are_none(name):
    assert not is_known_attention(type(name, (nn.Module,), {})())
