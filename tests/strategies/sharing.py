"""What a weight-sharing strategy is given in the tests: small digits, costs from a formula."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from attnas.evaluator import (
    AdditiveCost,
    Constraint,
    Data,
    LatencyTable,
    Pool,
    Recipe,
    Screening,
    additive_costs,
    load_data,
)
from attnas.evaluator.latency_table import TableError
from attnas.results import Objective, Trial
from attnas.search_space import SearchSpace
from attnas.search_space.backbones import make_backbone
from attnas.strategies import Resources, make_strategy

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
RECIPE = Recipe(epochs=1, batch_size=32, learning_rate=0.05)


@lru_cache
def digits(train=160):
    """Few digits: the validation split is as large as the training split."""
    whole = load_data("digits", train=train, validation=train)
    return Data(
        whole.train, whole.validation, Pool(*vars(whole.test).values()), whole.classes, whole.facts
    )


@lru_cache
def tiny_space(blocks=("none", "se", "eca"), ratios=(2, 4)):
    """3 x 4 x 4 networks: none, ECA, and SE of two widths (one in the first stage)."""
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 8, "width": 8},
        input_shape=(1, 8, 8),
        classes=10,
    )
    return SearchSpace.create(
        backbone, blocks=list(blocks), ratios=list(ratios), placements=["residual"]
    )


def latency_table(space):
    """1 ms, and for option j of stage i (i + 1) j / 10 more."""
    costs = tuple(
        tuple((i + 1) * j / 10 for j in range(len(options)))
        for i, options in enumerate(space.allowed)
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
        exact = {
            name: cost.of(architecture, self.space)
            for name, cost in additive_costs(self.space, ("params", "flops")).items()
        }
        factor = self.off if self.slow == "all" or architecture in self.slow else 1.0
        latency = latency_table(self.space).cost.of(architecture, self.space) * factor
        return {**exact, "peak_memory_mb": self.memory_mb, "latency_ms": latency}

    def screen(self, architecture):
        self.screened.append(architecture)
        metrics = self.metrics(architecture)
        plain = {name: metrics[name] for name in metrics}
        if not architecture.is_plain:
            plain = self.metrics(self.space.plain)
        broken = {
            f"{c.metric} {c}": c.excess(metrics[c.metric], plain[c.metric])
            for c in self.constraints
            if c.metric in metrics
        }
        return Screening(metrics, {text: share for text, share in broken.items() if share > 0})

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


def resources(folder, *, machine=None, constraints=(), progress=None, recipe=RECIPE, data=None):
    """What the loop gives; `notes` of the returned machine hears what users would read."""
    machine = machine or Machine(tiny_space(), tuple(constraints))
    notes = []
    found = Resources(
        data=data or digits(),
        recipe=recipe,
        constraints=machine.constraints,
        screen=machine.screen,
        latency_table=lambda: latency_table(machine.space),
        folder=Path(folder),
        training_device="cpu",
        progress=progress or (lambda text, done, steps: None),
        note=notes.append,
    )
    return found, notes


def make(name, space=None, *, seed=3, objectives=OBJECTIVES, **settings):
    """A weight-sharing strategy for brief trainings of one epoch."""
    space = space or tiny_space()
    return make_strategy(name, space=space, objectives=objectives, epochs=1, seed=seed, **settings)
