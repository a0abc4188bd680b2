"""Parameters, multiply-adds and activations of a network, through fvcore."""

from dataclasses import dataclass

import torch
from fvcore.nn.jit_analysis import JitModelAnalysis
from torch import nn

from .modes import evaluating
from .operator_costs import FREE, counting


@dataclass(frozen=True)
class Complexity:
    """What one image costs at inference.

    `uncounted` names the operators that no figure covers ("aten::fft_rfft2"), sorted; () if
    everything was counted.
    """

    params: int
    flops: int
    activations: int
    uncounted: tuple[str, ...]


def complexity(network: nn.Module, input_shape: tuple[int, ...]) -> Complexity:
    """Counts in eval mode at batch size 1, from one trace of the forward pass.

    `params`: elements of all parameters, shared ones once, frozen ones too.
    `activations`: elements of the outputs of convolutions and matrix products, as fvcore's
    ActivationCountAnalysis.
    `flops`: as fvcore's FlopCountAnalysis, a multiply-add being one, and the elementwise and
    reducing operators that it leaves out; `operator_costs` says how much each is.
    """
    place = next((p.device for p in network.parameters()), torch.device("cpu"))
    analysis = JitModelAnalysis(network, (torch.zeros(1, *input_shape, device=place),))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none").set_op_handle(**counting(), **dict.fromkeys(FREE))
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one opaque operator otherwise
    try:
        with evaluating(network), torch.no_grad():
            counts = analysis.by_operator()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused_attention)
    flops, activations = counts.pop("flops", 0), counts.pop("activations", 0)
    return Complexity(
        params=sum(parameter.numel() for parameter in network.parameters()),
        flops=int(flops),
        activations=int(activations),
        uncounted=tuple(sorted({*analysis.unsupported_ops(), *counts})),
    )
