"""Batch-norm statistics estimated anew, as weights that were trained elsewhere need."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Estimates the running statistics of the batch norms that the network runs, from scratch.

    Mean and variance become the averages of those of the batches (N, C, H, W), each batch with
    the same weight, as Yu and Huang 2019 do for paths of a shared network (Universally
    slimmable networks, arXiv:1903.05134). All else is in eval mode meanwhile.
    Modes and momenta are put back. Norms that are not run keep their statistics.
    """
    modes = {module: module.training for module in network.modules()}
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(norm.momentum, _statistics(norm)) for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's cumulative average
        norm.train()
    try:
        for batch in batches:
            network(batch)
    finally:
        for norm, (momentum, statistics) in zip(norms, before, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked == 0:
                for buffer, value in zip(norm.buffers(recurse=False), statistics, strict=True):
                    buffer.copy_(value)
        for module, training in modes.items():
            module.training = training


def _statistics(norm: _BatchNorm) -> list[Tensor]:
    return [buffer.clone() for buffer in norm.buffers(recurse=False)]
