"""Searches whose scores come from a formula: no training. Run as a script, prints proposals."""

import json
import sys
from dataclasses import replace
from functools import cache
from itertools import pairwise

from attnas.core import History, Objective, Trial
from attnas.search_space import (
    AttentionOption,
    Backbone,
    SearchSpace,
    StagePattern,
    make_backbone,
    stage_decisions,
)
from attnas.strategies import make_strategy

TRIALS = 50  # of a usual run
OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
BLOCKS = ("se", "cbam", "scse", "gc", "coord", "cse")
OPTIONS = (
    "none",
    *(str(AttentionOption(b, r, p)) for b in BLOCKS for r in (4, 8) for p in ("residual", "post")),
)
VARIANTS_BOUND = 10.9  # of the latency in `space_of_variants`; about half of it is feasible
SETTINGS = {
    "evolution": {"population": 8, "tournament": 3},
    "nsga2": {"population": 8},
    "nni:Evolution": {"population_size": 8},
    "nni:TPE": {"tpe_args": {"n_startup_jobs": 5}},
    "optuna:NSGAIIISampler": {"population_size": 8},
    "racing": {"around": {"name": "local", "initial": 3}, "initial": 5},
    "halving": {"around": {"name": "local", "initial": 3}, "min_epochs": 1},
}


def space_of(*sizes):
    """A space with so many options per stage; its network is never built."""
    stages = tuple(StagePattern(f"layer{i + 1}", (), ()) for i in range(len(sizes)))
    backbone = Backbone("formula", (), (3, 32, 32), (10,), stages)
    allowed = tuple(OPTIONS[:size] for size in sizes)
    return SearchSpace(backbone, stage_decisions(backbone), allowed)


@cache
def space_of_variants():
    """60 networks of 144 combinations of options.

    With depth 8 layer1 has one unit, so its own depth and the attention of its second unit
    change nothing; nor does that attention where the unit is skipped.
    """
    backbone = make_backbone(
        name="resnet_cifar",
        arguments={"depth": 14, "width": 4},
        input_shape=(1, 8, 8),
        output_shape=(10,),
    )
    return SearchSpace.create(
        backbone,
        blocks=["none", "se", "eca"],
        ratios=[2],
        placements=["residual"],
        per="unit",
        arguments={"depth": [8, 14], "width": [4, 6]},
        stages={
            "layer1": {"depth": [1, 2]},
            "layer2": {"choice": "none"},
            "layer3": {"blocks": ["none", "eca"], "per": "stage"},
        },
    )


def make(name, space, *, seed=7, objectives=OBJECTIVES, **settings):
    """A strategy that leaves its uniform start early."""
    chosen = {**SETTINGS.get(name, {}), **settings}
    return make_strategy(name, space=space, objectives=objectives, epochs=3, seed=seed, **chosen)


def genes(architecture):
    """The number of each stage's option among `OPTIONS`."""
    return [OPTIONS.index(option) for option in architecture.options]


def accuracy(architecture):
    """Additive, with a term for neighbouring stages; all values differ."""
    numbers = genes(architecture)
    own = sum(((3 * n + stage) * 7 % 11) / 11 for stage, n in enumerate(numbers))
    together = sum(((a * b) % 5) / 40 for a, b in pairwise(numbers))
    return own + together + sum(n * 1e-4 * 30**-i for i, n in enumerate(numbers))


def latency_ms(architecture):
    return sum(1 + (n * 5 % 13) / 13 for n in genes(architecture))


def scored(architecture, number, epochs=3, *, bound=None):
    """A trial; without training if the latency is over the bound."""
    latency = latency_ms(architecture)
    if bound is not None and latency > bound:
        broken = {f"latency_ms <= {bound}": latency / bound - 1}
        metrics = {"latency_ms": latency}
        return Trial(number, architecture, epochs, "infeasible", metrics, {}, broken)
    metrics = {"accuracy": accuracy(architecture), "latency_ms": latency}
    return Trial(number, architecture, epochs, "complete", metrics)


def scored_variant(architecture, number, epochs=3):
    """A trial in `space_of_variants`, scored by the numbers of the options."""
    positions = space_of_variants().positions(architecture)
    numbers = [stage + (9 if n is None else n) for stage, n in enumerate(positions)]
    latency = sum(1 + (n * 5 % 13) / 13 for n in numbers)
    if latency > VARIANTS_BOUND:
        broken = {f"latency_ms <= {VARIANTS_BOUND}": latency / VARIANTS_BOUND - 1}
        metrics = {"latency_ms": latency}
        return Trial(number, architecture, epochs, "infeasible", metrics, {}, broken)
    metrics = {"accuracy": sum((n * 21 % 11) / 11 for n in numbers), "latency_ms": latency}
    return Trial(number, architecture, epochs, "complete", metrics)


def half_feasible(architecture, number, epochs):
    """The usual problem: about half of the space is feasible."""
    return scored(architecture, number, epochs, bound=1.45 * len(architecture.options))


def begun(items):
    """What was trained for how long, with which seed of its own, of trials or proposals; nothing
    may be in it twice."""
    return [(item.architecture, item.epochs, item.seed or 0) for item in items]


def simulate(strategy, trials, evaluate=half_feasible, finished=()):
    """The trials of a search with one worker, those given included; ends on None."""
    done = list(finished)
    while len(done) < trials:
        proposal = strategy.propose(History(tuple(done), (), len(done)))
        if proposal is None:
            break
        done.append(_ended(evaluate, proposal, len(done), strategy.seed))
    return done


def _ended(evaluate, proposal, number, seed):
    """The trial of a proposal; `seed` is the search's, for one that has none of its own."""
    trial = evaluate(proposal.architecture, number, proposal.epochs)
    return replace(trial, seed=seed if proposal.seed is None else proposal.seed)


def simulate_parallel(strategy, trials, workers, evaluate=half_feasible):
    """The proposals of a search whose workers finish out of order, in order of number."""
    finished, running, proposals = [], {}, []
    while len(proposals) < trials:
        known = tuple(sorted(finished, key=lambda trial: trial.number))
        history = History(known, tuple(running.values()), len(proposals))
        proposal = strategy.propose(history)
        if proposal is None and not running:
            break
        if proposal is not None:
            running[len(proposals)] = proposal
            proposals.append(proposal)
        if len(running) == workers or proposal is None:
            number = list(running)[len(proposals) * 7 % len(running)]
            ended = running.pop(number)
            finished.append(_ended(evaluate, ended, number, strategy.seed))
    return proposals


def usual_run(name):
    return simulate(make(name, space_of(5, 6, 7)), TRIALS)


def run_on_variants(name, *, seed=7, finished=()):
    strategy = make(name, space_of_variants(), seed=seed)
    return simulate(strategy, 25, scored_variant, finished)


def texts(trials):
    return [str(trial.architecture) for trial in trials]


if __name__ == "__main__":
    runs = {name: texts(usual_run(name)) for name in sys.argv[1:]}
    variants = {name: texts(run_on_variants(name)) for name in sys.argv[1:]}
    json.dump([runs, variants], sys.stdout)
