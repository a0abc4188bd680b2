"""Searches whose scores come from a formula: no training. Run as a script, prints proposals."""

import json
import sys
from itertools import pairwise

from attnas.results import Objective, Trial
from attnas.search_space import NONE, Architecture, Backbone, Choice, SearchSpace, Stage
from attnas.strategies import History, make_strategy

OBJECTIVES = (Objective("accuracy", "max"), Objective("latency_ms", "min"))
BLOCKS = ("se", "cbam", "scse", "gc", "coord", "cse")
CHOICES = (
    NONE,
    *(Choice(b, r, p) for b in BLOCKS for r in (4, 8) for p in ("residual", "post")),
)
TRIALS = {"gp": 8}
SETTINGS = {
    "gp": {"initial": 5},
    "evolution": {"population": 8, "tournament": 3},
    "nsga2": {"population": 8},
    "nni:Evolution": {"population_size": 8},
    "nni:TPE": {"tpe_args": {"n_startup_jobs": 5}},
    "optuna:NSGAIIISampler": {"population_size": 8},
    "halving": {"around": {"name": "local", "initial": 3}, "min_epochs": 1},
}


def space_of(*sizes):
    """A space with so many choices per stage; its network is never built."""
    stages = tuple(Stage(f"layer{i + 1}", ()) for i in range(len(sizes)))
    backbone = Backbone("formula", (), (3, 32, 32), 10, stages)
    return SearchSpace(backbone, tuple(CHOICES[:size] for size in sizes))


def make(name, space, *, seed=7, objectives=OBJECTIVES, **settings):
    """A strategy that leaves its uniform start early."""
    chosen = {**SETTINGS.get(name, {}), **settings}
    return make_strategy(name, space=space, objectives=objectives, epochs=3, seed=seed, **chosen)


def usual_trials(name):
    """How many trials a test can afford."""
    return TRIALS.get(name, 50)


def genes(architecture):
    """The number of each stage's choice among `CHOICES`."""
    return [CHOICES.index(choice) for choice in architecture.choices]


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


def half_feasible(architecture, number, epochs):
    """The usual problem: about half of the space is feasible."""
    return scored(architecture, number, epochs, bound=1.45 * len(architecture.choices))


def begun(items):
    """What was trained for how long, of trials or proposals; nothing may be in it twice."""
    return [(item.architecture, item.epochs) for item in items]


def simulate(strategy, trials, evaluate=half_feasible, finished=()):
    """The trials of a search with one worker, those given included; ends on None."""
    done = list(finished)
    while len(done) < trials:
        proposal = strategy.propose(History(tuple(done), (), len(done)))
        if proposal is None:
            break
        done.append(evaluate(proposal.architecture, len(done), proposal.epochs))
    return done


def simulate_parallel(strategy, trials, workers):
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
            finished.append(half_feasible(ended.architecture, number, ended.epochs))
    return proposals


def proposals_of(names):
    """What strategies propose in their usual runs, as text."""
    space = space_of(5, 6, 7)
    return {
        name: [str(t.architecture) for t in simulate(make(name, space), usual_trials(name))]
        for name in names
    }


def plain(space):
    return Architecture.plain(space.backbone)


if __name__ == "__main__":
    json.dump(proposals_of(sys.argv[1:]), sys.stdout)
