"""Differentiable architecture search: a mixture of all options at every site."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .registry import register_strategy, setting
from .relaxation import Differentiable, Gates, Step

EPSILON = 0.01  # the length of the step of the finite difference, as in the paper's section 2.3


@register_strategy("darts")
@dataclass(frozen=True)
class Darts(Differentiable):
    """DARTS: trains a softmax-weighted mixture of all options, its weights by their gradient.

    Source: Liu et al. 2019, "DARTS: differentiable architecture search", ICLR,
    arXiv:1806.09055: the mixture of eq. 2; logits and weights trained in alternation on two
    parts of the images (eq. 3-4, algorithm 1), of `order` 1 with the gradient at the present
    weights, of 2 at those one step ahead (eq. 5-8: four passes a step instead of one); Adam
    with betas 0.5 and 0.999. Departures: budgets (`project`), no weight decay of the logits, a
    higher rate for them as the training is short, and a `warmup` of the weights alone. The
    second order is computed in float32 whatever the recipe's precision.
    """

    order: int = setting(1, "of the gradient: 2 looks one step of the weights ahead", low=1, high=2)

    @property
    def betas(self) -> tuple[float, float]:
        return 0.5, 0.999

    def gates(self, step: Step) -> Gates:
        return [own.detach().softmax(0) for own in step.logits]

    def gradient(self, step: Step) -> list[Tensor]:
        if self.order == 1:
            return step.by_logits(step.loss(mixture(step.logits), step.selection))
        # In bfloat16 the weights on both sides of the finite difference would be the same.
        step = replace(step, precision="float32")
        seed = int(torch.randint(2**62, (), generator=step.generator))

        def training_loss() -> Tensor:
            with torch.random.fork_rng():
                torch.manual_seed(seed)  # the same dropout: the difference is then the weights'
                return step.loss(mixture(step.logits), step.training)

        return unrolled_gradient(
            step.logits,
            [p for p in step.net.parameters() if p.requires_grad],
            training_loss,
            lambda: step.loss(mixture(step.logits), step.selection),
            step.rate,
        )


def mixture(logits: Sequence[Tensor]) -> list[Tensor]:
    """The weights of eq. 2."""
    return [own.softmax(0) for own in logits]


def unrolled_gradient(
    logits: Sequence[Tensor],
    weights: Sequence[Tensor],
    training_loss: Callable[[], Tensor],
    selection_loss: Callable[[], Tensor],
    rate: float,
) -> list[Tensor]:
    """The gradient of the selection loss at the weights w' = w - rate dL_train/dw, by logits.

    d L_sel(w', a)/da - rate (d2 L_train/da dw)(dL_sel/dw') (Liu et al. 2019, eq. 7), the
    product of matrix and vector v as [dL_train(w + e v)/da - dL_train(w - e v)/da] / 2e with
    e = 0.01 / |v| (eq. 8). The weights come back as they were, to the last bit.
    """
    kept = [w.detach().clone() for w in weights]
    ahead = _gradient(training_loss(), weights)
    _set(weights, kept, ahead, -rate)
    both = _gradient(selection_loss(), [*logits, *weights])
    direct, vector = both[: len(logits)], both[len(logits) :]
    length = float(torch.sqrt(sum((v.double() ** 2).sum() for v in vector)))  # type: ignore[arg-type]
    if length == 0:
        _set(weights, kept, vector, 0.0)
        return direct
    epsilon = EPSILON / length
    _set(weights, kept, vector, epsilon)
    right = _gradient(training_loss(), logits)
    _set(weights, kept, vector, -epsilon)
    left = _gradient(training_loss(), logits)
    _set(weights, kept, vector, 0.0)
    return [d - rate * (r - s) / (2 * epsilon) for d, r, s in zip(direct, right, left, strict=True)]


def _gradient(loss: Tensor, by: Sequence[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(by), allow_unused=True, materialize_grads=True))


@torch.no_grad()
def _set(
    weights: Sequence[Tensor], kept: Sequence[Tensor], along: Sequence[Tensor], length: float
) -> None:
    for weight, start, direction in zip(weights, kept, along, strict=True):
        weight.copy_(start.add(direction, alpha=length) if length else start)
