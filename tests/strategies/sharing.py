"""What a weight-sharing strategy is given in the tests: small digits, costs from a formula."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import torch
import torch.nn.functional as F

from attnas.core import AdditiveCost, Constraint, Objective, Resources, Screening, Trial, excesses
from attnas.evaluator import (
    LatencyTable,
    Recipe,
    SharedTraining,
    additive_costs,
    autocast,
    load_data,
    make_optimizer,
    make_task,
    set_rate,
)
from attnas.evaluator.latency_table import TableError
from attnas.search_space import SearchSpace, make_backbone
from attnas.strategies import make_strategy

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
RECIPE = Recipe(epochs=1, batch_size=32, learning_rate=0.05)
TASK = make_task("classification", {})


@lru_cache
def digits(train=160):
    """Few digits: the validation split is as large as the training split."""
    return load_data("digits", TASK, train=train, validation=train)


@lru_cache
def tiny_space(blocks=("none", "se", "eca"), ratios=(2, 4), *, depth=8, per="stage"):
    """3 x 4 x 4 networks: none, ECA, and SE of two widths (one in the first stage)."""
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": depth, "width": 8},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )
    return SearchSpace.create(
        backbone, blocks=list(blocks), ratios=list(ratios), placements=["residual"], per=per
    )


def latency_table(space):
    """1 ms, and for option j of stage i (i + 1) j / 10 more."""
    costs = tuple(
        tuple((i + 1) * j / 10 for j in range(len(options)))
        for i, options in enumerate(space.options)
    )
    return LatencyTable(
        space, AdditiveCost("latency_ms", 1.0, costs), TableError(0.01, 0.95, 0.98, margin=0.0)
    )


@dataclass
class Machine:
    """Measures what the table predicts, times `off` where an architecture is in `slow`."""

    space: SearchSpace
    constraints: tuple[Constraint, ...] = ()
    off: float = 1.0
    slow: tuple | str = ()
    memory_mb: float = 1.0
    screened: list = field(default_factory=list)

    def metrics(self, architecture):
        positions = self.space.positions(architecture)
        exact = {
            name: cost.at(positions)
            for name, cost in additive_costs(self.space, ("params", "flops")).items()
        }
        factor = self.off if self.slow == "all" or architecture in self.slow else 1.0
        latency = latency_table(self.space).cost.at(positions) * factor
        return {**exact, "peak_memory_mb": self.memory_mb, "latency_ms": latency}

    def screen(self, architecture):
        self.screened.append(architecture)
        metrics = self.metrics(architecture)
        plain = metrics if architecture.is_plain else self.metrics(self.space.plain)
        return Screening(metrics, excesses(self.constraints, metrics, plain))

    def trial(self, proposal, number):
        """The trial of a proposal; its accuracy is a formula."""
        screening = self.screen(proposal.architecture)
        state = "infeasible" if screening.violations else "complete"
        accuracy = {"accuracy": 0.5 + (self.space.index(proposal.architecture) * 7 % 48) / 200}
        metrics = {**screening.metrics, **(accuracy if state == "complete" else {})}
        return Trial(
            number,
            proposal.architecture,
            proposal.epochs,
            state,
            metrics,
            violations=screening.violations,
        )


def shared_training(space, seed=0, *, recipe=RECIPE, data=None, task=TASK):
    """The evaluator's training for a supernet of that space."""
    return SharedTraining(space, data or digits(), task, recipe, seed=seed)


@dataclass
class Drawn:
    """As the evaluator trains a supernet, on batches that `draw` gives of (seed, number)."""

    draw: Callable
    steps: int = 1
    recipe: Recipe = RECIPE
    precision: str = "float32"
    device: str = "cpu"

    def epoch(self, part, seed, number, *, small=False):
        return self.draw(seed, number)

    def small_epochs(self, epochs):
        return 0

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def autocast(self, precision=None):
        return autocast(precision or self.precision, torch.device(self.device))

    def optimizer(self, network):
        return make_optimizer(network, self.recipe)

    def set_rate(self, optimizer, step, steps):
        set_rate(optimizer, self.recipe, step, steps)


def resources(folder, *, machine=None, constraints=(), progress=None, recipe=RECIPE, data=None):
    """What the loop gives, and what users would read."""
    machine = machine or Machine(tiny_space(), tuple(constraints))
    data, notes = data or digits(), []
    found = Resources(
        training=partial(shared_training, machine.space, recipe=recipe, data=data),
        constraints=machine.constraints,
        screen=machine.screen,
        additive_costs=partial(additive_costs, machine.space),
        latency_table=lambda: latency_table(machine.space),
        facts={"data": dict(data.facts), "recipe": recipe.model_dump()},
        folder=Path(folder),
        progress=progress or (lambda text, done, steps: None),
        note=notes.append,
    )
    return found, notes


def make(name, space=None, *, seed=3, objectives=OBJECTIVES, **settings):
    """A weight-sharing strategy for brief trainings of one epoch."""
    space = space or tiny_space()
    return make_strategy(name, space=space, objectives=objectives, epochs=1, seed=seed, **settings)
