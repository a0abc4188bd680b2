import pytest
from torch import nn

from attnas.evaluator.modes import evaluating


def test_each_module_gets_its_own_mode_back_even_after_an_error():
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    network[1].eval()
    inside = []

    def fail():
        with evaluating(network):
            inside.extend(module.training for module in network.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [False, False, False]
    assert [module.training for module in network.modules()] == [True, True, False]
