"""What every strategy keeps, whatever its method."""

import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from attnas.core import History, InputError, Objective, Proposal, Trial
from attnas.search_space import SearchSpace, build
from attnas.strategies import STRATEGIES, preparing_strategies

BORROWED = {  # by the library that each needs
    "optuna:NSGAIIISampler": "optuna",
    "optuna:RandomSampler": "optuna",
    "nni:Anneal": "hyperopt",
    "nni:Evolution": "nni",
    "nni:TPE": "nni",
}
PROPOSING = [name for name in STRATEGIES if name not in preparing_strategies()]
PROPOSING += [name for name, library in BORROWED.items() if find_spec(library)]
CONTROLS = ("random", "grid", *BORROWED)  # not tested against random search
every_strategy = pytest.mark.parametrize("name", PROPOSING)
every_drawing_strategy = pytest.mark.parametrize("name", [n for n in PROPOSING if n != "grid"])


@pytest.fixture(scope="module")
def usual(simulation):
    """The usual run of a strategy, computed once."""
    return cache(simulation.usual_run)


@pytest.fixture(scope="module")
def on_variants(simulation):
    """A strategy's run on a space in which options coincide, computed once."""
    return cache(simulation.run_on_variants)


@every_strategy
def test_proposals_depend_on_history_and_seed_only(simulation, usual, name):
    first = usual(name)
    for scramble in (random.seed, np.random.seed, torch.manual_seed):
        scramble(len(first))
    strategy = simulation.make(name, simulation.space_of(5, 6, 7))
    assert simulation.simulate(strategy, len(first)) == first


@every_drawing_strategy
def test_another_seed_gives_other_proposals(simulation, usual, name):
    strategy = simulation.make(name, simulation.space_of(5, 6, 7), seed=8)
    assert simulation.simulate(strategy, 10) != usual(name)[:10]


@every_strategy
def test_the_global_generators_are_left_alone(simulation, usual, name):
    history = History(tuple(usual(name)[:-1]), (), len(usual(name)) - 1)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    simulation.make(name, simulation.space_of(5, 6, 7)).propose(history)
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert after == before


@every_strategy
def test_a_resumed_run_equals_an_unbroken_one(simulation, usual, name):
    unbroken = usual(name)
    for stop in (1, 9, 31, 49):
        strategy = simulation.make(name, simulation.space_of(5, 6, 7))  # equal, not the same
        kept = [replace(trial, metrics=dict(trial.metrics)) for trial in unbroken[:stop]]
        assert simulation.simulate(strategy, len(unbroken), finished=kept) == unbroken


@every_strategy
def test_one_call_does_not_change_the_next(simulation, usual, name):
    """Proposals for a shorter and for another history come in between."""
    trials, space = usual(name), simulation.space_of(5, 6, 7)
    strategy = simulation.make(name, space)
    last = History(tuple(trials[:-1]), (), len(trials) - 1)
    strategy.propose(History(tuple(trials[:6]), (), 6))
    flipped = [replace(t, metrics={**t.metrics, "accuracy": 0.5}) for t in trials[:-1]]
    strategy.propose(History(tuple(flipped), (), len(flipped)))
    strategy.propose(History(last.finished, (Proposal(space.plain, 3),), 80))
    assert strategy.propose(last).architecture == trials[-1].architecture


def test_a_fresh_process_with_another_hash_seed_proposes_the_same(simulation, usual, on_variants):
    script = Path(__file__).with_name("simulation.py")
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    ended = subprocess.run(
        [sys.executable, str(script), *PROPOSING],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        {name: simulation.texts(run(name)) for name in PROPOSING} for run in (usual, on_variants)
    ]
    assert json.loads(ended.stdout) == expected


@every_strategy
def test_an_empty_history_gets_a_proposal_of_the_space(simulation, name):
    space = simulation.space_of(5, 6, 7)
    proposal = simulation.make(name, space).propose(History())
    assert proposal.architecture in space
    assert (proposal.schedule_epochs or proposal.epochs) == 3


@every_strategy
def test_nothing_is_proposed_twice_and_all_are_of_the_space(simulation, usual, name):
    proposed = simulation.begun(usual(name))
    assert len(set(proposed)) == len(proposed)
    assert all(architecture in simulation.space_of(5, 6, 7) for architecture, *_ in proposed)


@every_strategy
def test_equal_scores_do_not_stop_or_repeat_it(simulation, name):
    def constant(architecture, number, epochs):
        metrics = {"accuracy": 0.5, "latency_ms": 1.0}
        return Trial(number, architecture, epochs, "complete", metrics)

    strategy = simulation.make(name, simulation.space_of(4, 4, 4))
    trials = simulation.simulate(strategy, 40, constant)
    assert len(set(simulation.begun(trials))) == 40


@every_strategy
def test_it_goes_on_where_nothing_is_feasible(simulation, name):
    def hopeless(architecture, number, epochs):
        return simulation.scored(architecture, number, epochs, bound=0.5)

    strategy = simulation.make(name, simulation.space_of(3, 3, 3))
    trials = simulation.simulate(strategy, 100, hopeless)
    assert len(trials) == 27
    assert strategy.propose(History(tuple(trials), (), 27)) is None


@every_strategy
def test_a_used_up_space_ends_it_after_each_architecture_once(simulation, name):
    space = simulation.space_of(3, 1, 4)
    trials = simulation.simulate(simulation.make(name, space), 100)
    assert {t.architecture for t in trials} == set(space.enumerate())
    assert len(set(simulation.begun(trials))) == len(trials)


@every_strategy
def test_what_a_constraint_ruled_out_is_not_tried_at_another_fidelity(simulation, name):
    space = simulation.space_of(2, 2)
    ruled_out, *others = space.enumerate()
    rejected = simulation.scored(ruled_out, 0, epochs=1, bound=0.5)
    longer = [simulation.scored(a, 1 + i, epochs=2) for i, a in enumerate(others)]
    history = (rejected, *longer)  # the others were trained for 2 epochs, not for 3
    trials = simulation.simulate(simulation.make(name, space), 10, finished=history)[4:]
    assert {trial.architecture for trial in trials} == set(others)


@every_strategy
def test_what_is_in_flight_is_not_proposed(simulation, name):
    strategy = simulation.make(name, simulation.space_of(3, 3, 2))
    proposals = simulation.simulate_parallel(strategy, 18, workers=4)
    assert len(set(simulation.begun(proposals))) == len(proposals)
    assert len(proposals) == 18


@every_strategy
def test_in_flight_trials_alone_are_enough_to_go_on(simulation, name):
    space = simulation.space_of(3, 3, 2)
    running = tuple(Proposal(a, 3) for a in list(space.enumerate())[:17])
    proposal = simulation.make(name, space).propose(History((), running, 17))
    assert proposal.architecture == space.at(17)


@every_strategy
def test_failed_trials_are_not_repeated(simulation, name):
    def failing(architecture, number, epochs):
        if number % 2 == 0:
            return simulation.scored(architecture, number, epochs)
        latency = {"latency_ms": simulation.latency_ms(architecture)}
        return Trial(number, architecture, epochs, "failed", latency, reason="diverged")

    strategy = simulation.make(name, simulation.space_of(4, 4, 4))
    trials = simulation.simulate(strategy, 30, failing)
    assert len(set(simulation.begun(trials))) == len(trials)


@every_strategy
def test_it_goes_on_where_everything_fails(simulation, name):
    def failing(architecture, number, epochs):
        return Trial(number, architecture, epochs, "failed", reason="raised")

    strategy = simulation.make(name, simulation.space_of(3, 3, 2))
    assert len(simulation.simulate(strategy, 100, failing)) == 18


@every_strategy
def test_frozen_decisions_stay_frozen(simulation, name):
    space = simulation.space_of(1, 6, 1)
    trials = simulation.simulate(simulation.make(name, space), 100)
    assert {trial.architecture for trial in trials} == set(space.enumerate())
    assert all(trial.architecture in space for trial in trials)


@every_strategy
def test_trials_that_others_proposed_are_learned_from_or_passed_over(simulation, name):
    """Among them one outside the space: the plain backbone is always trained."""
    whole = simulation.space_of(6, 6, 6)
    space = replace(whole, options=tuple(options[1:] for options in whole.options))
    others = [space.plain, *(space.at(i) for i in (3, 50, 77, 90, 101, 118))]
    assert others[0] not in space
    history = [simulation.scored(a, i) for i, a in enumerate(others)]
    trials = simulation.simulate(simulation.make(name, space), 30, finished=history)
    assert all(trial.architecture in space for trial in trials[1:])
    assert len(set(simulation.begun(trials))) == len(trials)


@every_strategy
@pytest.mark.parametrize("metrics", [("accuracy",), ("accuracy", "latency_ms", "params")])
def test_any_number_of_objectives_will_do(simulation, name, metrics):
    def scored(architecture, number, epochs):
        trial = simulation.half_feasible(architecture, number, epochs)
        return replace(
            trial, metrics={**trial.metrics, "params": sum(simulation.genes(architecture))}
        )

    objectives = [Objective(m, "max" if m == "accuracy" else "min") for m in metrics]
    strategy = simulation.make(name, simulation.space_of(4, 4, 4), objectives=objectives)
    trials = simulation.simulate(strategy, 30, scored)
    assert len(set(simulation.begun(trials))) == len(trials)


@every_strategy
def test_it_takes_any_number_of_decisions(simulation, name):
    strategy = simulation.make(name, simulation.space_of(9))
    assert len({t.architecture for t in simulation.simulate(strategy, 100)}) == 9


@every_strategy
def test_of_options_that_coincide_one_is_proposed(simulation, name):
    """Arguments, depth and single units: combinations of options that are one network."""
    space = simulation.space_of_variants()
    trials = simulation.simulate(simulation.make(name, space), 200, simulation.scored_variant)
    assert {t.architecture for t in trials} == set(space.enumerate())
    assert len(set(simulation.begun(trials))) == len(trials)
    assert len({str(build(t.architecture, seed=0)) for t in trials}) == space.size == 60


@every_strategy
def test_where_options_coincide_history_and_seed_decide(simulation, on_variants, name):
    first = on_variants(name)
    assert {t.state for t in first} == {"complete", "infeasible"}
    kept = [replace(t, metrics=dict(t.metrics)) for t in first[:6]]
    assert simulation.run_on_variants(name, finished=kept) == first
    if name != "grid":
        assert simulation.run_on_variants(name, seed=8) != first


@every_strategy
def test_where_options_coincide_what_is_in_flight_is_not_proposed(simulation, name):
    space, trials = simulation.space_of_variants(), 60
    strategy = simulation.make(name, space)
    proposals = simulation.simulate_parallel(strategy, trials, 4, simulation.scored_variant)
    assert len(set(simulation.begun(proposals))) == len(proposals) == trials
    assert all(proposal.architecture in space for proposal in proposals)


@every_strategy
def test_other_spellings_and_options_in_the_history_do_not_stop_it(simulation, name):
    """A network in a spelling that is not the space's, and one that is not in the space."""
    space = simulation.space_of_variants()
    spelled = space.plain.by_name | {"depth": "8", "layer1.1": "eca@residual"}
    others = [spelled, space.plain.by_name | {"layer1.0": "cbam:r4@residual"}]
    history = [simulation.scored_variant(space.read(a), i) for i, a in enumerate(others)]
    assert not any(trial.architecture in space for trial in history)
    trials = simulation.simulate(
        simulation.make(name, space),
        30,
        simulation.scored_variant,
        finished=history,
    )
    assert all(trial.architecture in space for trial in trials[2:])
    assert len(set(simulation.begun(trials))) == len(trials)


@pytest.mark.parametrize("name", preparing_strategies())
def test_a_supernet_is_not_made_of_what_cannot_share_weights(simulation, name):
    """The message names the decision with its key."""
    variants = simulation.space_of_variants()
    cut = SearchSpace.create(
        variants.backbone, blocks=["none", "se"], ratios=[2], placements=["residual"], depth=[1, 2]
    )
    for space, decision, key in (
        (variants, "depth", "arguments.depth"),
        (cut, "layer1.depth", "stages.layer1.depth"),
    ):
        with pytest.raises(InputError) as caught:
            simulation.make(name, space)
        assert caught.value.key == "strategy.name"
        assert caught.value.problem == (
            "a supernet shares one set of weights among all options, which it cannot among those "
            f"of '{decision}' (search_space.{key}). Leave that out, or take a strategy that trains "
            "each architecture, such as 'local'."
        )


@pytest.mark.parametrize("name", [n for n in PROPOSING if n not in CONTROLS])
def test_it_beats_random_search_on_an_easy_problem(simulation, name):
    """8 stages with one right option of 6 each, 80 trials: how many are right in the best."""

    def easy(architecture, number, epochs):
        right = sum(gene == 2 for gene in simulation.genes(architecture))
        return Trial(number, architecture, epochs, "complete", {"accuracy": right})

    def best(strategy):
        trials = simulation.simulate(strategy, 80, easy)
        return max(trial.metrics["accuracy"] for trial in trials)

    space, one = simulation.space_of(*[6] * 8), (Objective("accuracy", "max"),)
    searched, drawn = (
        [best(simulation.make(n, space, seed=seed, objectives=one)) for seed in range(8)]
        for n in (name, "random")
    )
    assert np.median(searched) > np.median(drawn)
