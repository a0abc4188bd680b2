"""What the tests of blocks share: random weights, and timm where it can be imported."""

import importlib

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def randomise(generator):
    """Gives a module double-precision random weights and running statistics, in eval.

    Start values would hide a wrong branch: zeros, ones, equal biases.
    """

    def apply(module: nn.Module) -> nn.Module:
        module.double().eval()
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.5, generator=generator)
        for layer in module.modules():
            if isinstance(layer, _BatchNorm):
                nn.init.normal_(layer.running_mean, generator=generator)
                nn.init.uniform_(layer.running_var, 0.5, 2, generator=generator)
        return module

    return apply


@pytest.fixture
def x(generator):
    """A map of odd, unequal sides; positive on the whole, as after a ReLU in a network."""
    return torch.randn(2, 64, 5, 3, generator=generator, dtype=torch.float64) + 0.3


@pytest.fixture
def copy_weights():
    """Copies the tensors of `source` into those of `target`, by order, reshaping 1x1 kernels."""

    def apply(source: nn.Module, target: nn.Module) -> nn.Module:
        given = [v for v in source.state_dict().values() if v.is_floating_point()]
        wanted = target.double().eval().state_dict()
        names = [name for name, value in wanted.items() if value.is_floating_point()]
        pairs = zip(names, given, strict=True)
        new = {name: value.reshape(wanted[name].shape) for name, value in pairs}
        target.load_state_dict(new, strict=False)
        return target

    return apply


@pytest.fixture
def timm_layer():
    """A class of timm's, a second oracle: what it checks, the written equations check too."""

    def find(module: str, name: str) -> type[nn.Module]:
        try:
            return getattr(importlib.import_module(f"timm.layers.{module}"), name)
        except (ImportError, RuntimeError) as problem:  # RuntimeError: another torch's torchvision
            pytest.skip(f"timm.layers.{module} cannot be imported here: {problem}")

    return find
