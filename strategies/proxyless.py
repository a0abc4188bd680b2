"""Differentiable search with two sampled paths a step, and the cost in the objective."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .registry import register_strategy
from .relaxation import Differentiable, Gates, Step


@register_strategy("proxyless")
@dataclass(frozen=True)
class Proxyless(Differentiable):
    """ProxylessNAS: trains one sampled path a step, the logits on two paths with binary gates.

    Source: Cai et al. 2019, "ProxylessNAS: direct neural architecture search on target task and
    hardware", ICLR, arXiv:1812.00332: binary gates (section 3.2, eq. 2), weights trained on a
    path drawn by its probability; the gradient of the logits through the gates of two paths
    drawn by their probabilities, then rescaled so that the probabilities of the others stay
    (section 3.2.1), with Adam's betas 0 and 0.999. The expected latency enters the objective
    (section 3.3.1) with the multiplier that holds the budgets instead of a fixed weight
    (`project`), so with a budget the others' probabilities stay up to that.
    """

    @property
    def betas(self) -> tuple[float, float]:
        return 0.0, 0.999  # no momentum: logits that were not drawn must not move

    def gates(self, step: Step) -> Gates:
        return [one_path(own, step.generator) for own in step.logits]

    def gradient(self, step: Step) -> list[Tensor]:
        gates = [two_paths(own, step.generator) for own in step.logits]
        return step.by_logits(step.loss(gates, step.selection))

    def settled(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
        return [rescaled(old, new) for old, new in zip(before, after, strict=True)]


def one_path(logits: Tensor, generator: torch.Generator) -> list[float]:
    """Binary gates, one of them 1, drawn by softmax(logits) (eq. 2)."""
    drawn = int(torch.multinomial(logits.detach().softmax(0), 1, generator=generator))
    return [float(i == drawn) for i in range(len(logits))]


def two_paths(logits: Tensor, generator: torch.Generator) -> list[Tensor | float]:
    """Gates of two different options drawn by softmax(logits): one of the two is 1.

    Which one is drawn by q, the softmax of the two logits. Both gates have the gradient of q,
    so that a loss's is sum_j dL/dg_j q_j (1[i = j] - q_i) over the two (section 3.2.1); the
    others' gates are 0 and have none. With one option its gate is 1.
    """
    gates: list[Tensor | float] = [0.0] * len(logits)
    if len(logits) == 1:
        return [1.0]
    pair = torch.multinomial(logits.detach().softmax(0), 2, generator=generator)
    shares = logits[pair].softmax(0)
    drawn = int(torch.multinomial(shares.detach(), 1, generator=generator))
    for place, option in enumerate(pair.tolist()):
        gates[option] = float(place == drawn) + (shares[place] - shares[place].detach())
    return gates


def rescaled(before: Tensor, after: Tensor) -> Tensor:
    """Shifts the logits that a step has moved so that the others' probabilities are as before.

    These stay if the sum of exp over the moved ones does (section 3.2.1).
    """
    moved = after != before
    if not moved.any():
        return after
    shift = before[moved].logsumexp(0) - after[moved].logsumexp(0)
    return torch.where(moved, after + shift, after)
