"""What the differentiable strategies share: a supernet and the weights of its options, learned
together.

The option of each decision is relaxed to weights, softmax of one logit an option. The supernet's
own weights are trained on one part of the training images, the logits on the other, in turn;
after every step on logits they are projected so that the expected costs keep the budgets. One
supernet serves several targets: each target has logits of its own, and the targets take turns,
a step each, so that the weights are trained once and for all of them.
"""

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from attnas.core import AttnasError, SupernetTraining

from .budgets import Budget, out_of_reach, project
from .checkpoint import Stateful
from .most_probable import most_probable
from .on_supernet import OnSupernet
from .recommendation import Recommendation, Target
from .registry import setting
from .weight_sharing import SupernetSearch, check_finite

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace, Supernet

Batch = tuple[Tensor, Tensor]
Gates = Sequence[Tensor | Sequence[Tensor | float]]
"""Per decision one weight an option, as `Supernet.mix` takes them."""

TIGHTER = (1.0, 0.98, 0.95, 0.9)
"""Shares of a target's bound that candidates are chosen for: measured, they may cost more."""
LOOKED_AT = 200
"""So many of the most probable are checked against bounds that only screening knows."""


@dataclass(frozen=True)
class Step:
    """What one step on the logits or on the supernet's weights may use.

    `logits` are float64 on the CPU, (options,) a decision. `done` is the share of the steps that
    are done, from 0 to below 1; `rate` is the learning rate of the supernet's weights.
    `precision` is the training's unless a method needs another.
    """

    net: "Supernet"
    trained_by: SupernetTraining
    logits: Sequence[Tensor]
    training: Batch
    selection: Batch
    generator: torch.Generator
    done: float
    rate: float
    precision: str | None = None

    def loss(self, gates: Gates, batch: Batch) -> Tensor:
        """The task's loss of the mixture."""
        inputs, targets = batch
        self.net.mix([_on(inputs.device, of_decision) for of_decision in gates])
        with self.trained_by.autocast(self.precision):
            outputs = self.net(inputs)
        return self.trained_by.loss(outputs.float(), targets)

    def by_logits(self, loss: Tensor) -> list[Tensor]:
        """The gradient of a loss; zero for the logits of a decision that it does not depend on."""
        if not loss.requires_grad:
            return [torch.zeros_like(own) for own in self.logits]
        return list(
            torch.autograd.grad(loss, self.logits, allow_unused=True, materialize_grads=True)
        )


@dataclass(frozen=True)
class Differentiable(OnSupernet):
    """What distinguishes the strategies: how the option of a decision is relaxed.

    In the first share `warmup` of the steps the logits rest. `architecture_rate` is Adam's
    learning rate for them.
    """

    warmup: float = setting(0.3, "share of these in which logits rest", low=0, high=0.9)
    architecture_rate: float = setting(0.02, "Adam's rate for the logits", low=1e-5, high=1)
    candidates: int = setting(8, "architectures recommended for each target", low=1)

    @property
    @abstractmethod
    def betas(self) -> tuple[float, float]:
        """Adam's, for the logits."""

    @abstractmethod
    def gradient(self, step: Step) -> list[Tensor]:
        """The gradient that the logits are moved by, one tensor a decision."""

    @abstractmethod
    def gates(self, step: Step) -> Gates:
        """What the weights are trained with; without a gradient to the logits."""

    def settled(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
        """The logits after Adam's step, put right where the method wants it."""
        return list(after)

    def search(self, search: SupernetSearch) -> list[Recommendation]:
        """Trains supernet and logits; returns the most probable architectures."""
        return learn(search, self)


@dataclass(frozen=True)
class _Aim:
    """A target with the logits that serve it; `budgets` are its bounds and the constraints."""

    target: Target
    budgets: tuple[Budget, ...]
    logits: nn.ParameterList
    adam: torch.optim.Adam


def learn(search: SupernetSearch, method: Differentiable) -> list[Recommendation]:
    """Trains a supernet and logits for each target; the most probable architectures of each.

    A target that no architecture keeps by the predictions is left out, with a note.

    Raises:
        AttnasError: no target can be kept, or the training diverged.
    """
    aims = _aims(search, method)
    training = _Training(search, method, search.supernet(), aims)
    for epoch in search.checkpointed("supernet", training.parts).epochs(training.epochs):
        training.run(epoch)
    found = [(aim, a) for aim in aims for a in _candidates(search, method, aim)]
    scored: dict[Architecture, Recommendation] = {}
    for architecture in (*(a for _, a in found), *search.controls):
        search.resources.progress("architectures scored", len(scored), len(found))
        if architecture not in scored:
            scored[architecture] = search.recommend(training.net, architecture)
    left = {id(aim): undecided(search.space, list(aim.logits)) for aim in aims}
    return [
        *(replace(scored[a], target=aim.target, undecided=left[id(aim)]) for aim, a in found),
        *(scored[control] for control in search.controls),
    ]


def undecided(space: "SearchSpace", logits: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """How undecided the weights softmax(logits[i]) of each decision are.

    By decision: `entropy` in nats, `entropy_share` of the largest possible, log of the number of
    options (0 if there is one), and `margin` of the largest weight over the next (1 if there is
    none).
    """
    found = {}
    for name, of_decision in zip(space.names, logits, strict=True):
        weights = of_decision.detach().double().softmax(0)
        entropy = float(torch.special.entr(weights).sum())
        first, second = (*weights.sort(descending=True).values.tolist(), 0.0)[:2]
        share = entropy / float(np.log(len(weights))) if len(weights) > 1 else 0.0
        found[name] = {"entropy": entropy, "entropy_share": share, "margin": first - second}
    return found


def _aims(search: SupernetSearch, method: Differentiable) -> list[_Aim]:
    aims, hopeless = [], []
    start = [torch.zeros(len(options), dtype=torch.float64) for options in search.space.options]
    for target in search.targets:
        budgets = _budgets(search, target)
        if next(most_probable(search.space, start, budgets), None) is None:
            hopeless.append(out_of_reach(budgets))
            continue
        logits = nn.ParameterList(nn.Parameter(s) for s in project(start, budgets))
        adam = torch.optim.Adam(logits, lr=method.architecture_rate, betas=method.betas)
        aims.append(_Aim(target, budgets, logits, adam))
    if not aims:
        raise AttnasError(
            f"no target can be kept: {'; '.join(hopeless)}. Loosen the bound or allow cheaper "
            "options; no supernet was trained."
        )
    for reason in hopeless:
        search.resources.note(f"By the predictions {reason}.")
    return aims


def _budgets(search: SupernetSearch, target: Target, share: float = 1.0) -> tuple[Budget, ...]:
    """The target's bounds, times `share`, and the constraints on costs that add up."""
    costs = search.costs
    return (
        *(Budget(costs.additive[metric], bound * share) for metric, bound in target.items()),
        *(
            Budget.of(constraint, costs.plain, costs.additive)
            for constraint in costs.constraints
            if constraint.metric in costs.additive
        ),
    )


class _Training:
    """A supernet and the logits of every target, trained in turn; all state is in `parts`."""

    def __init__(
        self, search: SupernetSearch, method: Differentiable, net: "Supernet", aims: Sequence[_Aim]
    ) -> None:
        self.search, self.method, self.net, self.aims = search, method, net, aims
        self.epochs = method.training_epochs
        self.sgd = search.training.optimizer(net)
        self.parts: dict[str, Stateful] = {"supernet": net, "optimizer": self.sgd}
        for number, aim in enumerate(aims):
            self.parts |= {f"logits {number}": aim.logits, f"adam {number}": aim.adam}

    def run(self, epoch: int) -> None:
        """One pass over the weights' images, with draws of its own."""
        training, seed = self.search.training, self.search.seed
        done, whole = epoch * training.steps, self.epochs * training.steps
        draw = int(np.random.default_rng((seed, 2**34, epoch)).integers(2**62))
        generator = torch.Generator().manual_seed(draw)
        small = epoch < training.small_epochs(self.epochs)
        pairs = zip(
            training.epoch("weights", seed, epoch, small=small),
            self._selection(epoch, small=small),
            strict=False,  # the second has no end
        )
        self.net.train()
        with torch.random.fork_rng():
            torch.manual_seed(draw)  # what the network draws itself, such as dropout
            for at, (weights, selection) in enumerate(pairs, done):
                self.search.resources.progress("supernet steps", at, whole)
                training.set_rate(self.sgd, at, whole)
                aim, rate = self.aims[at % len(self.aims)], self.sgd.param_groups[0]["lr"]
                share = at / whole
                step = Step(
                    self.net,
                    training,
                    list(aim.logits),
                    weights,
                    selection,
                    generator,
                    share,
                    rate,
                )
                if share >= self.method.warmup:
                    self._move_logits(aim, step, epoch)
                self._train_weights(step, epoch)

    def _move_logits(self, aim: _Aim, step: Step, epoch: int) -> None:
        before = [own.detach().clone() for own in aim.logits]
        gradients = self.method.gradient(step)
        check_finite(float(sum(g.abs().sum() for g in gradients)), epoch)
        for own, gradient in zip(aim.logits, gradients, strict=True):
            own.grad = gradient
        aim.adam.step()
        after = self.method.settled(before, [own.detach() for own in aim.logits])
        with torch.no_grad():
            for own, projected in zip(aim.logits, project(after, aim.budgets), strict=True):
                own.copy_(projected)

    def _train_weights(self, step: Step, epoch: int) -> None:
        loss = step.loss(self.method.gates(step), step.training)
        check_finite(loss.item(), epoch)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()
        self.sgd.step()

    def _selection(self, epoch: int, *, small: bool) -> Iterator[Batch]:
        """Batches of the selection part without end, each pass in an order of its own."""
        for number in itertools.count():
            drawn = np.random.default_rng((self.search.seed, 2**35, epoch, number))
            seed = int(drawn.integers(2**62))
            yield from self.search.training.epoch("selection", seed, 0, small=small)


def _candidates(search: SupernetSearch, method: Differentiable, aim: _Aim) -> "list[Architecture]":
    """The most probable architectures within the budgets, then within tighter ones."""
    distinct: dict[Architecture, None] = {}
    for number, share in enumerate(TIGHTER, 1):
        likely = _likely(search, aim, share)
        looked_at = (a for a, _ in itertools.islice(likely, LOOKED_AT))
        fitting = (a for a in looked_at if a not in distinct and search.costs.fits(a))
        room = round(method.candidates * number / len(TIGHTER)) - len(distinct)
        distinct.update(dict.fromkeys(itertools.islice(fitting, max(room, 0))))
    return list(distinct)


def _likely(
    search: SupernetSearch, aim: _Aim, share: float
) -> "Iterator[tuple[Architecture, float]]":
    """The most probable ones with their log-probabilities, within a share of the target's bound."""
    budgets = _budgets(search, aim.target, share)

    def ended() -> None:
        within = ", ".join(map(str, budgets)) or "no bounds"
        search.resources.note(
            f"Too many architectures are within {within} to be sure which is the most probable: "
            "the most probable of those looked at are taken."
        )

    return most_probable(search.space, list(aim.logits), budgets, ended=ended)


def _on(device: torch.device, gates: Tensor | Sequence[Tensor | float]) -> Sequence[Tensor | float]:
    """The gates of a decision as float32 on a device, with their gradient."""
    if isinstance(gates, Tensor):
        return list(gates.to(device, torch.float32))
    return [g.to(device, torch.float32) if isinstance(g, Tensor) else g for g in gates]
