"""Figures of an untrained network that may go with its accuracy: zero-cost proxies.

All take a network that they may use up, and one batch. How well a proxy ranks must be seen
on the run itself: `attnas.results.proxy_correlations`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attnas.search_space import Architecture, build

from .batches import Batches
from .data import Data
from .recipe import Recipe
from .tasks import Task
from .tasks.task import Loss

_RECTIFIERS = (F.relu, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


def proxies(
    architecture: Architecture,
    names: Iterable[str],
    batch: tuple[Tensor, Tensor],
    loss: Loss,
    *,
    seed: int,
) -> dict[str, float]:
    """The proxies of these names, each on a network built anew with the papers' starts.

    Not with near-identity starts: with those all candidates compute the same function.
    """
    plain_starts = replace(architecture, identity_start=False)
    inputs, targets = batch
    found = {}
    for name in names:
        network = build(plain_starts, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # for dropout
            found[name] = _proxy(name, network, inputs, targets, loss)
    return found


class BatchProxies:
    """The proxies of these names on the first training batch of a seed, of any architecture."""

    def __init__(
        self, names: Sequence[str], data: Data, task: Task, recipe: Recipe, *, seed: int
    ) -> None:
        self.names, self.seed = tuple(names), seed
        self._loss = task.loss(data, "cpu")
        layout = torch.contiguous_format  # safe for every network (`safe_layout`)
        self._batches = partial(Batches, data, recipe, layout=layout, spatial=task.spatial)

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        return proxies(architecture, self.names, self._batch, self._loss, seed=self.seed)

    @cached_property
    def _batch(self) -> tuple[Tensor, Tensor]:
        return next(iter(self._batches().epoch(self.seed, 0)))


def synflow(network: nn.Module, input_shape: Sequence[int]) -> float:
    """Natural logarithm of sum_theta |theta| dR/d|theta|, R = 1^T f(1; |theta|).

    f(1; |theta|) are the scores of an image of ones by the network in eval mode with the
    absolute values of its parameters, in double precision. The logarithm keeps the order and
    tames the range. No data. -inf where no score depends on any weight.
    Source: Tanaka et al. 2020, arXiv:2006.05467, eq. 2 and algorithm 1.
    """
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
            parameter.requires_grad_(True)
    network.zero_grad()
    place = next(iter(network.parameters())).device
    network(torch.ones(1, *input_shape, dtype=torch.float64, device=place)).sum().backward()
    products = ((p * p.grad).sum() for p in network.parameters() if p.grad is not None)
    total = float(sum(product.item() for product in products))
    return math.log(total) if total > 0 else -math.inf if total == 0 else math.nan


def naswot(network: nn.Module, inputs: Tensor) -> float:
    """log |det K|, K_ij = the rectified linear units that images i and j have in common.

    That is K_ij = N_A - d_H(c_i, c_j), with the N_A-bit codes c of which units of all relu
    and relu6 are active, d_H the Hamming distance; in train mode, (N, C, H, W) -> one figure.
    -inf if two images have one code.
    Source: Mellor et al. 2021, arXiv:2006.04647, eq. 2 and 3.
    """
    network.train()
    codes = _Codes(len(inputs))
    with torch.no_grad(), codes:
        network(inputs)
    return float(torch.linalg.slogdet(codes.kernel).logabsdet)


def grad_norm(network: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
    """Sum over all parameters of the Euclidean norm of the loss's gradient, one batch.

    Source: Abdelfattah et al. 2021, arXiv:2101.08134, section 3.2 (there over the weights of
    convolutions and linear layers; here blocks with parameters of their own count too).
    """
    network.train()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    network.zero_grad()
    loss(network(inputs), targets).backward()
    norms = (p.grad.norm().item() for p in network.parameters() if p.grad is not None)
    return float(sum(norms))


class _Codes(TorchFunctionMode):
    """Adds up K while a network runs, whether its relu are modules or functions."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.kernel = torch.zeros(images, images, dtype=torch.float64)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if _rectifies(func, kwargs or {}) and len(output) == len(self.kernel):
            active = (output > 0).flatten(1).double()
            both = active @ active.T + (1 - active) @ (1 - active).T
            self.kernel += both.cpu()
        return output


def _rectifies(function: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether it is a rectifier, which is 0 below 0; the module ReLU6 is a hardtanh from 0."""
    if function is F.hardtanh:
        return arguments.get("min_val") == 0
    return function in _RECTIFIERS


def _proxy(name: str, network: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
    if name == "synflow":
        return synflow(network, inputs.shape[1:])
    network.to(inputs.device)
    if name == "naswot":
        return naswot(network, inputs)
    if name == "grad_norm":
        return grad_norm(network, inputs, targets, loss)
    raise ValueError(f"there is no proxy {name!r}")
