"""What the differentiable strategies share: a supernet and the weights of its options, learned
together.

The choice of each stage is relaxed to weights, softmax of one logit an option. The supernet's
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
import torch.nn.functional as F
from torch import Tensor, nn

from attnas.evaluator import Precision, autocast, half_epochs, set_rate, sgd
from attnas.search_space import Architecture, AttnasError, SearchSpace

from .budgets import Budget, out_of_reach, project
from .checkpoint import Stateful
from .most_probable import most_probable
from .on_supernet import OnSupernet
from .recommendation import Recommendation, Target
from .registry import setting
from .weight_sharing import Task, check_finite

if TYPE_CHECKING:
    from attnas.search_space.supernet import Supernet

Batch = tuple[Tensor, Tensor]
Gates = Sequence[Tensor | Sequence[Tensor | float]]
"""Per stage one weight an option, as `Supernet.mix` takes them."""

TIGHTER = (1.0, 0.98, 0.95, 0.9)
"""Shares of a target's bound that candidates are chosen for: measured, they may cost more."""
LOOKED_AT = 200
"""So many of the most probable are held against bounds that only screening knows."""


@dataclass(frozen=True)
class Step:
    """What one step on the logits or on the supernet's weights may use.

    `logits` are float64 on the CPU, (options,) a stage. `done` is the share of the steps that
    are done, from 0 to below 1; `rate` is the learning rate of the supernet's weights.
    """

    net: "Supernet"
    logits: Sequence[Tensor]
    training: Batch
    selection: Batch
    generator: torch.Generator
    done: float
    rate: float
    label_smoothing: float = 0.0
    precision: Precision = "float32"

    def loss(self, gates: Gates, batch: Batch) -> Tensor:
        """The cross-entropy of the mixture, in nats, with the recipe's label smoothing."""
        inputs, labels = batch
        self.net.mix([_on(inputs.device, stage) for stage in gates])
        with autocast(self.precision, inputs.device):
            scores = self.net(inputs)
        return F.cross_entropy(scores.float(), labels, label_smoothing=self.label_smoothing)

    def by_logits(self, loss: Tensor) -> list[Tensor]:
        """The gradient of a loss; zero for the logits of a stage that it does not depend on."""
        if not loss.requires_grad:
            return [torch.zeros_like(stage) for stage in self.logits]
        return list(
            torch.autograd.grad(loss, self.logits, allow_unused=True, materialize_grads=True)
        )


@dataclass(frozen=True)
class Differentiable(OnSupernet):
    """What distinguishes the strategies: how the choice of a stage is relaxed.

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
        """The gradient that the logits are moved by, one tensor a stage."""

    @abstractmethod
    def gates(self, step: Step) -> Gates:
        """What the weights are trained with; without a gradient to the logits."""

    def settled(self, before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
        """The logits after Adam's step, put right where the method wants it."""
        return list(after)

    def search(self, task: Task) -> list[Recommendation]:
        """Trains supernet and logits; returns the most probable architectures."""
        return learn(task, self)


@dataclass(frozen=True)
class _Aim:
    """A target with the logits that serve it; `budgets` are its bounds and the constraints."""

    target: Target
    budgets: tuple[Budget, ...]
    logits: nn.ParameterList
    adam: torch.optim.Adam


def learn(task: Task, method: Differentiable) -> list[Recommendation]:
    """Trains a supernet and logits for each target; the most probable architectures of each.

    A target that no architecture keeps by the predictions is left out, with a note.

    Raises:
        AttnasError: no target can be kept, or the training diverged.
    """
    aims = _aims(task, method)
    training = _Training(task, method, task.supernet(), aims)
    for epoch in task.checkpointed("supernet", training.parts).epochs(training.epochs):
        training.run(epoch)
    found = [(aim, a) for aim in aims for a in _candidates(task, method, aim)]
    scored: dict[Architecture, Recommendation] = {}
    for architecture in (*(a for _, a in found), *task.controls):
        task.resources.progress("architectures scored", len(scored), len(found))
        if architecture not in scored:
            scored[architecture] = task.recommend(training.net, architecture)
    doubts = {id(aim): doubt(task.space, list(aim.logits)) for aim in aims}
    return [
        *(replace(scored[a], target=aim.target, doubt=doubts[id(aim)]) for aim, a in found),
        *(scored[control] for control in task.controls),
    ]


def doubt(space: SearchSpace, logits: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """How undecided the weights softmax(logits[i]) of each stage are.

    By stage: `entropy` in nats, `entropy_share` of the largest possible, log of the number of
    options (0 if there is one), and `margin` of the largest weight over the next (1 if there is
    none).
    """
    found = {}
    for stage, of_stage in zip(space.stage_names, logits, strict=True):
        weights = of_stage.detach().double().softmax(0)
        entropy = float(torch.special.entr(weights).sum())
        first, second = (*weights.sort(descending=True).values.tolist(), 0.0)[:2]
        share = entropy / float(np.log(len(weights))) if len(weights) > 1 else 0.0
        found[stage] = {"entropy": entropy, "entropy_share": share, "margin": first - second}
    return found


def _aims(task: Task, method: Differentiable) -> list[_Aim]:
    aims, hopeless = [], []
    start = [torch.zeros(len(options), dtype=torch.float64) for options in task.space.allowed]
    for target in task.targets:
        budgets = _budgets(task, target)
        if next(most_probable(task.space, start, budgets), None) is None:
            hopeless.append(out_of_reach(budgets))
            continue
        logits = nn.ParameterList(nn.Parameter(s) for s in project(start, budgets))
        adam = torch.optim.Adam(logits, lr=method.architecture_rate, betas=method.betas)
        aims.append(_Aim(target, budgets, logits, adam))
    if not aims:
        raise AttnasError(
            f"no target can be kept: {'; '.join(hopeless)}. Loosen the bound or allow cheaper "
            "choices; no supernet was trained."
        )
    for reason in hopeless:
        task.resources.note(f"By the predictions {reason}.")
    return aims


def _budgets(task: Task, target: Target, share: float = 1.0) -> tuple[Budget, ...]:
    """The target's bounds, times `share`, and the constraints on costs that add up."""
    costs = task.costs
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
        self, task: Task, method: Differentiable, net: "Supernet", aims: Sequence[_Aim]
    ) -> None:
        self.task, self.method, self.net, self.aims = task, method, net, aims
        self.epochs = method.training_epochs
        self.sgd = sgd(net, task.resources.recipe)
        self.parts: dict[str, Stateful] = {"supernet": net, "optimizer": self.sgd}
        for number, aim in enumerate(aims):
            self.parts |= {f"logits {number}": aim.logits, f"adam {number}": aim.adam}

    def run(self, epoch: int) -> None:
        """One pass over the weights' images, with draws of its own."""
        task, batches, recipe = self.task, self.task.weight_batches, self.task.resources.recipe
        done, whole = epoch * len(batches), self.epochs * len(batches)
        draw = int(np.random.default_rng((task.seed, 2**34, epoch)).integers(2**62))
        generator = torch.Generator().manual_seed(draw)
        small = self._small(epoch)
        pairs = zip(
            batches.epoch(task.seed, epoch, small=small),
            self._selection(epoch, small=small),
            strict=False,  # the second has no end
        )
        self.net.train()
        with torch.random.fork_rng():
            torch.manual_seed(draw)  # what the network draws itself, such as dropout
            for at, (training, selection) in enumerate(pairs, done):
                task.resources.progress("supernet steps", at, whole)
                set_rate(self.sgd, recipe, at, whole)
                aim, rate = self.aims[at % len(self.aims)], self.sgd.param_groups[0]["lr"]
                share = at / whole
                step = Step(
                    self.net,
                    list(aim.logits),
                    training,
                    selection,
                    generator,
                    share,
                    rate,
                    recipe.label_smoothing,
                    task.precision,
                )
                if share >= self.method.warmup:
                    self._move_logits(aim, step, epoch)
                self._train_weights(step, epoch)

    def _move_logits(self, aim: _Aim, step: Step, epoch: int) -> None:
        before = [stage.detach().clone() for stage in aim.logits]
        gradients = self.method.gradient(step)
        check_finite(float(sum(g.abs().sum() for g in gradients)), epoch)
        for stage, gradient in zip(aim.logits, gradients, strict=True):
            stage.grad = gradient
        aim.adam.step()
        after = self.method.settled(before, [stage.detach() for stage in aim.logits])
        with torch.no_grad():
            for stage, logits in zip(aim.logits, project(after, aim.budgets), strict=True):
                stage.copy_(logits)

    def _train_weights(self, step: Step, epoch: int) -> None:
        loss = step.loss(self.method.gates(step), step.training)
        check_finite(loss.item(), epoch)
        self.sgd.zero_grad(set_to_none=True)
        loss.backward()
        self.sgd.step()

    def _small(self, epoch: int) -> bool:
        height, width = self.task.space.backbone.input_shape[1:]
        return epoch < half_epochs(self.task.resources.recipe, self.epochs, height, width)

    def _selection(self, epoch: int, *, small: bool) -> Iterator[Batch]:
        """Batches of the selection part without end, each pass in an order of its own."""
        for number in itertools.count():
            drawn = np.random.default_rng((self.task.seed, 2**35, epoch, number))
            seed = int(drawn.integers(2**62))
            yield from self.task.selection_batches.epoch(seed, 0, small=small)


def _candidates(task: Task, method: Differentiable, aim: _Aim) -> list[Architecture]:
    """The most probable architectures within the budgets, then within tighter ones."""
    distinct: dict[Architecture, None] = {}
    for number, share in enumerate(TIGHTER, 1):
        likely = _likely(task, aim, share)
        looked_at = (a for a, _ in itertools.islice(likely, LOOKED_AT))
        fitting = (a for a in looked_at if a not in distinct and task.costs.fits(a))
        room = round(method.candidates * number / len(TIGHTER)) - len(distinct)
        distinct.update(dict.fromkeys(itertools.islice(fitting, max(room, 0))))
    return list(distinct)


def _likely(task: Task, aim: _Aim, share: float) -> Iterator[tuple[Architecture, float]]:
    """The most probable ones with their log-probabilities, within a share of the target's bound."""
    budgets = _budgets(task, aim.target, share)

    def ended() -> None:
        within = ", ".join(map(str, budgets)) or "no bounds"
        task.resources.note(
            f"Too many architectures are within {within} to be sure which is the most probable: "
            "the most probable of those looked at are taken."
        )

    return most_probable(task.space, list(aim.logits), budgets, ended=ended)


def _on(device: torch.device, stage: Tensor | Sequence[Tensor | float]) -> Sequence[Tensor | float]:
    """A stage's gates as float32 on a device, with their gradient."""
    if isinstance(stage, Tensor):
        return list(stage.to(device, torch.float32))
    return [g.to(device, torch.float32) if isinstance(g, Tensor) else g for g in stage]
