from collections import Counter
from dataclasses import replace

import pytest

from attnas.core import History, InputError, Objective, Proposal, Trial
from attnas.strategies import make_strategy
from attnas.strategies.halving import on_lowest_rung

ACCURACY = (Objective("accuracy", "max"),)


def halving(simulation, space, *, epochs=9, objectives=ACCURACY, **settings):
    chosen = {"around": "random", "min_epochs": 1, **settings}
    return make_strategy(
        "halving", space=space, objectives=objectives, epochs=epochs, seed=3, **chosen
    )


def trial(architecture, number, epochs, accuracy=0.5, **more):
    return Trial(number, architecture, epochs, "complete", {"accuracy": accuracy}, **more)


@pytest.mark.parametrize(
    ("epochs", "lowest", "eta", "rungs"),
    [
        (18, 2, 3, (2, 6, 18)),
        (9, 1, 3, (1, 3, 9)),
        (20, 2, 3, (2, 6, 20)),
        (50, 2, 3, (2, 6, 18, 50)),
        (16, 1, 2, (1, 2, 4, 8, 16)),
        (6, 2, 3, (2, 6)),
    ],
)
def test_the_rungs_are_powers_of_eta_and_the_whole_training(simulation, epochs, lowest, eta, rungs):
    strategy = halving(
        simulation, simulation.space_of(3), epochs=epochs, min_epochs=lowest, eta=eta
    )
    assert strategy.rungs == rungs


def test_the_best_third_of_each_rung_goes_on_under_one_schedule(simulation):
    """A space without noise: the best of all are trained wholly."""
    space = simulation.space_of(5, 5)
    strategy = halving(simulation, space)
    proposals, done = [], []
    while (proposal := strategy.propose(History(tuple(done), (), len(done)))) is not None:
        proposals.append(proposal)
        score = simulation.accuracy(proposal.architecture)
        done.append(trial(proposal.architecture, len(done), proposal.epochs, score))
    assert {(p.epochs, p.schedule_epochs) for p in proposals} == {(1, 9), (3, 9), (9, None)}
    assert Counter(p.epochs for p in proposals)[1] == 25
    order = sorted(space.enumerate(), key=simulation.accuracy, reverse=True)
    for epochs, least in ((3, 8), (9, 2)):
        went_on = {p.architecture for p in proposals if p.epochs == epochs}
        assert set(order[:least]) <= went_on
        assert len(went_on) <= 3 * least  # some were promoted before better ones came


def test_a_promotion_goes_before_a_new_architecture_from_the_highest_rung_down(simulation):
    space = simulation.space_of(20)
    a = [space.at(i) for i in range(12)]
    short = [trial(x, i, 1, accuracy=i / 20) for i, x in enumerate(a[:6])]
    strategy = halving(simulation, space)

    def proposed(*more, running=()):
        done = tuple(replace(t, number=i) for i, t in enumerate((*short, *more)))
        return strategy.propose(History(done, running, len(done)))

    assert proposed() == Proposal(a[5], 3, 9)
    assert proposed(running=(Proposal(a[5], 3, 9),)) == Proposal(a[4], 3, 9)
    both = [trial(a[5], 6, 3), trial(a[4], 7, 3)]
    assert proposed(*both).epochs == 1  # two of six are promoted; of two none goes on
    third = trial(a[3], 8, 3, accuracy=0.9)
    assert proposed(*both, third) == Proposal(a[3], 9, None)


def test_what_failed_or_is_ruled_out_is_not_promoted(simulation):
    space = simulation.space_of(20)
    a = [space.at(i) for i in range(4)]
    broken = {"latency_ms <= 1": 0.2}
    done = (
        trial(a[0], 0, 1, 0.9, violations=broken),  # the plain backbone is trained all the same
        Trial(1, a[1], 1, "failed"),
        Trial(2, a[2], 1, "infeasible", {}, {}, broken),
        trial(a[3], 3, 1, 0.1),
    )
    proposal = halving(simulation, space).propose(History(done, (), 4))
    assert proposal.epochs == 1
    assert proposal.architecture not in a


def test_an_accuracy_that_is_still_too_low_is_ranked_not_ruled_out(simulation):
    space = simulation.space_of(20)
    missed = [
        trial(space.at(i), i, 1, 0.5 + i / 100, violations={"accuracy >= 0.8": 0.3 - i / 100})
        for i in range(3)
    ]
    proposal = halving(simulation, space).propose(History(tuple(missed), (), 3))
    assert proposal == Proposal(space.at(2), 3, 9)


def test_several_objectives_promote_the_front_before_what_it_dominates(simulation):
    space = simulation.space_of(6)
    figures = [(0.5, 1.0), (0.4, 2.0), (0.6, 3.0), (0.3, 4.0), (0.2, 5.0), (0.1, 6.0)]
    done = tuple(
        Trial(i, space.at(i), 1, "complete", {"accuracy": a, "latency_ms": ms})
        for i, (a, ms) in enumerate(figures)
    )
    strategy = halving(simulation, space, objectives=simulation.OBJECTIVES)
    first = strategy.propose(History(done, (), 6))
    second = strategy.propose(History(done, (first,), 7))
    assert {first.architecture, second.architecture} == {space.at(0), space.at(2)}


def test_the_strategy_inside_sees_the_lowest_rungs_values_in_the_higher_rungs_order(simulation):
    space = simulation.space_of(6)
    a = [space.at(i) for i in range(4)]
    lowest = [
        trial(x, i, 1, v) for i, (x, v) in enumerate(zip(a, (0.1, 0.4, 0.3, 0.2), strict=True))
    ]
    middle = [trial(a[1], 4, 3, 0.6), trial(a[2], 5, 3, 0.7), trial(a[3], 6, 3, 0.65)]
    highest = [trial(a[2], 7, 9, 0.80), trial(a[3], 8, 9, 0.81)]
    seen = {t.architecture: t.metrics["accuracy"] for t in on_lowest_rung([lowest, middle])}
    assert seen == {a[0]: 0.1, a[1]: 0.2, a[3]: 0.3, a[2]: 0.4}
    seen = {t.architecture: t for t in on_lowest_rung([lowest, middle, highest])}
    assert [seen[x].metrics["accuracy"] for x in a] == [0.1, 0.2, 0.3, 0.4]
    assert [seen[x].number for x in a] == [0, 1, 2, 3]


def test_what_a_value_says_of_a_bound_goes_with_it(simulation):
    a = [simulation.space_of(6).at(i) for i in range(2)]
    bound = {"accuracy >= 0.3": 1 / 3}
    lowest = [trial(a[0], 0, 1, 0.2, violations=bound), trial(a[1], 1, 1, 0.4)]
    higher = [trial(a[0], 2, 3, 0.9), trial(a[1], 3, 3, 0.8)]
    first, second = on_lowest_rung([lowest, higher])
    assert (first.metrics["accuracy"], first.violations) == (0.4, {})
    assert (second.metrics["accuracy"], second.violations) == (0.2, bound)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"around": "lokal"},
            "strategy.around: unknown strategy 'lokal'. Did you mean 'local'? "
            "`attnas strategies` lists all.",
        ),
        (
            {"around": {"name": "lokal"}},
            "strategy.around.name: unknown strategy 'lokal'. Did you mean 'local'? "
            "`attnas strategies` lists all.",
        ),
        (
            {"around": {"name": "local", "initia": 3}},
            "strategy.around.initia: unknown setting 'initia'. Did you mean 'initial'?",
        ),
        (
            {"around": {"name": "local", "initial": 0}},
            "strategy.around.initial: cannot be 0. Write a whole number of 1 or more; "
            "the default is 5.",
        ),
        (
            {"around": {"name": "local", "epochs": 2}},
            "strategy.around.epochs: is not the strategy's to set: leave it out.",
        ),
        (
            {"around": {"name": "halving"}},
            "strategy.around: 'halving' cannot be put around itself. Write another.",
        ),
        (
            {"around": 3},
            "strategy.around: cannot be 3. Write a strategy's name, such as 'local', or a "
            "mapping with 'name' and its settings.",
        ),
        (
            {"max_epochs": 18},
            "strategy.max_epochs: is 18, but 'training.epochs' is 9. Leave out one of the two.",
        ),
        (
            {"min_epochs": 6},
            "strategy.min_epochs: with 6 of 9 epochs and eta 3 there is no rung to halve at. "
            "Write at most 5, or train for at least 11 epochs.",
        ),
        (
            {"eta": 1},
            "strategy.eta: cannot be 1. Write a whole number of 2 or more; the default is 3.",
        ),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key(simulation, settings, message):
    with pytest.raises(InputError) as caught:
        halving(simulation, simulation.space_of(3), **settings)
    assert str(caught.value) == message
