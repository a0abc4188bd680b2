"""Batch-norm statistics estimated anew, as weights that were trained elsewhere need."""

from collections.abc import Iterable

import torch
from fvcore.nn.precise_bn import update_bn_stats
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recalibrate(
    network: nn.Module, batches: Iterable[Tensor], norms: Iterable[nn.Module] | None = None
) -> None:
    """Estimates the running statistics of the batch norms that the network runs, from scratch.

    Of all of them, or of `norms` alone. Mean and variance become those of all batches (N, ...)
    together, by fvcore's `update_bn_stats`, as Yu and Huang 2019 do for paths of a shared network
    (Universally slimmable networks, arXiv:1903.05134). All else is in eval mode meanwhile; modes
    and momenta are put back. Norms that are not run keep their statistics, and all do if the
    network raises.
    """
    modes = {module: module.training for module in network.modules()}
    chosen = network.modules() if norms is None else norms
    moved = [m for m in chosen if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [[buffer.clone() for buffer in norm.buffers(recurse=False)] for norm in moved]
    network.eval()
    for norm in moved:
        norm.train()
    given, guarded = list(batches), _Guarded(network)
    update_bn_stats(guarded, given, num_iters=len(given))
    for norm, statistics in zip(moved, before, strict=True):
        run = not torch.equal(norm.num_batches_tracked, statistics[-1])  # type: ignore[arg-type]
        if not run or guarded.raised is not None:
            for buffer, value in zip(norm.buffers(recurse=False), statistics, strict=True):
                buffer.copy_(value)
    for module, training in modes.items():
        module.training = training
    if guarded.raised is not None:
        raise guarded.raised


class _Guarded(nn.Module):
    """A network up to the batch on which it raises: fvcore tidies up at its own end alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.raised: Exception | None = None

    def forward(self, x: Tensor) -> None:
        if self.raised is None:
            try:
                self.network(x)
            except Exception as error:
                self.raised = error
