"""What the tests of blocks share: random weights, and how a block is compared with another."""

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
def assert_agree():
    """Compares a block with a reference that gets its weights: outputs and all gradients.

    The reference's tensors are the block's in their order, or those that `names` gives by the
    reference's names; `call` runs the reference on (N, C, H, W).
    """

    def check(ours, reference, x, *, names=None, call=None):
        reference.double().eval()
        state, own = reference.state_dict(), ours.state_dict()
        if names is None:
            floating = [name for name, value in own.items() if value.is_floating_point()]
            theirs = [name for name, value in state.items() if value.is_floating_point()]
            names = dict(zip(theirs, floating, strict=True))
        left = {name for name, value in state.items() if value.is_floating_point()} - names.keys()
        assert not left
        copied = {t: own[o].reshape(state[t].shape) for t, o in names.items()}
        reference.load_state_dict({**state, **copied})
        of_ours, of_theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, expected = ours(of_ours), (call or reference)(of_theirs)
        torch.testing.assert_close(y, expected)
        weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=y.dtype)
        (y * weight).sum().backward()
        (expected * weight).sum().backward()
        torch.testing.assert_close(of_ours.grad, of_theirs.grad)
        parameters = dict(ours.named_parameters())
        for name, parameter in reference.named_parameters():
            found = parameters[names[name]].grad
            torch.testing.assert_close(found.reshape(parameter.shape), parameter.grad, msg=name)

    return check


@pytest.fixture
def normed():
    """Batch norm in eval, of the second axis."""

    def apply(z, norm):
        shape = (1, -1, *(1,) * (z.dim() - 2))
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return (z - norm.running_mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)

    return apply


@pytest.fixture
def attend():
    """softmax(q . k scale + bias) v, written out; (..., P, d)."""

    def apply(q, k, v, *, scale=None, bias=0):
        scores = torch.einsum("...id,...jd->...ij", q, k)
        scores = scores * (q.shape[-1] ** -0.5 if scale is None else scale) + bias
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        return torch.einsum("...ij,...jd->...id", weights, v)

    return apply


@pytest.fixture
def heads_of():
    """(N, P, C) -> (N, heads, P, C / heads), head after head of neighbouring channels."""

    def apply(of_tokens, heads):
        return torch.stack(of_tokens.split(of_tokens.shape[2] // heads, 2), 1)

    return apply
