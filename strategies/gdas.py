"""Differentiable search by sampling: one path a step, by the Gumbel-max trick."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnas.core import InputError

from .registry import register_strategy, setting
from .relaxation import Differentiable, Gates, Step


@register_strategy("gdas")
@dataclass(frozen=True)
class Gdas(Differentiable):
    """GDAS: trains one sampled path a step, with a straight-through gradient to the logits.

    Source: Dong and Yang 2019, "Searching for a robust neural architecture in four GPU hours",
    CVPR, arXiv:1910.04465, section 3.2: Gumbel-max samples of the options, relaxed with a falling
    temperature; forward the sampled path alone, backward the relaxed weight of that path
    alone; weights and logits in alternation on two parts of the images (algorithm 1).
    Departures: budgets (`project`), a higher rate for the logits as the training is short, a
    `warmup` of the weights alone, and the gradient of a path's weight is taken of its
    difference to no block, which leaves the relaxed gradient of all paths as it is and makes
    that of the one less noisy.
    """

    architecture_rate: float = setting(0.01, "Adam's rate for the logits", low=1e-5, high=1)
    temperature_start: float = setting(10.0, "of the Gumbel softmax, at first", low=0.01)
    temperature_end: float = setting(0.1, "at the end; it falls in a straight line", low=0.01)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature_end > self.temperature_start:
            raise InputError(
                f"cannot be {self.temperature_end:g}, more than at the start. Write at most "
                f"{self.temperature_start:g}.",
                key="temperature_end",
            )

    @property
    def betas(self) -> tuple[float, float]:
        return 0.5, 0.999

    def temperature(self, done: float) -> float:
        """After a share of all steps."""
        return self.temperature_start + (self.temperature_end - self.temperature_start) * done

    def gates(self, step: Step) -> Gates:
        logits = [own.detach() for own in step.logits]
        sampled = straight_through(logits, step.generator, self.temperature(step.done))
        return [[float(gate) for gate in gates] for gates in sampled]

    def gradient(self, step: Step) -> list[Tensor]:
        sampled = straight_through(step.logits, step.generator, self.temperature(step.done))
        return step.by_logits(step.loss(sampled, step.selection))


def straight_through(
    logits: Sequence[Tensor], generator: torch.Generator, temperature: float
) -> list[list[Tensor | float]]:
    """One option a decision, drawn by softmax(logits[i]): its gate is 1, the others are 0.

    The drawn gate has the gradient of its relaxed weight, softmax((log p + o) / temperature)
    with o standard Gumbel noise; the others have none.
    """
    return [_drawn(own, generator, temperature) for own in logits]


def _drawn(logits: Tensor, generator: torch.Generator, temperature: float) -> list[Tensor | float]:
    uniform = torch.rand(len(logits), dtype=logits.dtype, generator=generator)
    noise = -torch.log(-torch.log(uniform.clamp(min=torch.finfo(logits.dtype).tiny)))
    noisy = logits.log_softmax(0) + noise
    relaxed = (noisy / temperature).softmax(0)
    drawn = int(noisy.argmax())
    gates: list[Tensor | float] = [0.0] * len(logits)
    gates[drawn] = 1 + (relaxed[drawn] - relaxed[drawn].detach())
    return gates
