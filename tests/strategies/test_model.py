from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from attnas.core import History, Objective, Proposal
from attnas.strategies.blas import one_thread
from attnas.strategies.model import best_first, remembered

ONE = (Objective("accuracy", "max"),)


def drawn(simulation, space, count, *, bound=None, seed=0):
    """Trials of random architectures, as many as there are in the space at most."""
    order = np.random.default_rng(seed).permutation(space.size)[:count]
    return [simulation.scored(space.at(int(i)), n, bound=bound) for n, i in enumerate(order)]


def next_of(strategy, trials, running=()):
    history = History(tuple(trials), tuple(running), len(trials) + len(running))
    return strategy.propose(history).architecture


def test_the_model_finds_the_best_of_what_is_left(simulation):
    """Separable scores of 20 among 36; the best 5 are held back."""
    space = simulation.space_of(6, 6)

    def value(architecture):
        first, second = simulation.genes(architecture)
        return -((first - 4) ** 2) - 0.5 * (second - 2) ** 2

    ranked = sorted(space.enumerate(), key=value, reverse=True)
    seen = [ranked[i] for i in np.random.default_rng(0).permutation(np.arange(5, 36))[:20]]
    trials = [
        replace(simulation.scored(a, i), metrics={"accuracy": float(value(a))})
        for i, a in enumerate(seen)
    ]
    strategy = simulation.make("model", space, objectives=ONE)
    assert next_of(strategy, trials) in ranked[:5]


def test_the_draws_before_the_first_model_are_uniform_and_the_rest_is_modelled(simulation):
    space = simulation.space_of(6, 6, 6, 6)
    trials = drawn(simulation, space, 12)
    early = simulation.make("model", space, initial=13)
    uniform = simulation.make("random", space)
    assert next_of(early, trials) == next_of(uniform, trials)
    later = simulation.make("model", space, initial=12)
    assert next_of(later, trials) != next_of(uniform, trials)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(6, 40), flying=st.integers(0, 5))
def test_a_proposal_is_untried_near_a_trial_and_a_function_of_the_history(
    simulation, seed, count, flying
):
    """At most two steps from one that was trained, in a space of 1,296."""
    space = simulation.space_of(6, 6, 6, 6)
    bound = 1.45 * 4
    trials = drawn(simulation, space, count + flying, bound=bound, seed=seed)
    running = [Proposal(trial.architecture, 3) for trial in trials[count:]]
    trials = trials[:count]
    found = next_of(simulation.make("model", space, seed=seed), trials, running)
    again = [replace(trial, metrics=dict(trial.metrics)) for trial in trials]
    assert next_of(simulation.make("model", space, seed=seed), again, running) == found
    assert found in space
    assert found not in {t.architecture for t in (*trials, *running)}
    if not any(trial.feasible for trial in trials):
        return
    assert min(space.distance(found, trial.architecture) for trial in trials) <= 2


def test_the_bound_is_kept_once_the_costs_are_known(simulation):
    """Of 30 proposals at most 3 break a bound that most of the space breaks."""
    space = simulation.space_of(6, 6, 6, 6)
    bound = float(np.quantile([simulation.latency_ms(a) for a in space.enumerate()], 0.25))

    def evaluate(architecture, number, epochs):
        return simulation.scored(architecture, number, epochs, bound=bound)

    trials = drawn(simulation, space, 30, bound=bound, seed=2)
    assert sum(trial.feasible for trial in trials) <= 8
    strategy = simulation.make("model", space)
    found = simulation.simulate(strategy, 60, evaluate, finished=trials)[30:]
    assert sum(not trial.feasible for trial in found) <= 3


def test_within_a_bound_on_what_training_tells_the_best_is_found_at_once(simulation):
    """A loss that is known after training too; half of the space keeps its bound."""
    space = simulation.space_of(6, 6, 6)
    bound = float(np.median([simulation.latency_ms(a) for a in space.enumerate()]))

    def evaluate(architecture, number, epochs):
        trial = simulation.scored(architecture, number, epochs)
        loss = trial.metrics["latency_ms"]
        broken = {f"validation_loss <= {bound}": loss / bound - 1} if loss > bound else {}
        metrics = {"accuracy": trial.metrics["accuracy"], "validation_loss": loss}
        return replace(trial, metrics=metrics, violations=broken)

    order = np.random.default_rng(0).permutation(space.size)[:30]
    trials = [evaluate(space.at(int(i)), n, 3) for n, i in enumerate(order)]
    strategy = simulation.make("model", space, objectives=ONE)
    found = simulation.simulate(strategy, 35, evaluate, finished=trials)[30:]
    everything = [evaluate(a, 0, 3) for a in space.enumerate()]
    best = max(trial.metrics["accuracy"] for trial in everything if trial.feasible)
    assert best not in [trial.metrics["accuracy"] for trial in trials]
    assert best in [trial.metrics["accuracy"] for trial in found if trial.feasible]


def test_turns_go_for_the_accuracy_and_for_the_front(simulation):
    """Accuracy goes with the cost: its turn takes a dearer one than the front's turn."""
    space = simulation.space_of(8, 8, 8)

    def evaluate(architecture, number):
        rank = sum(simulation.genes(architecture))
        metrics = {"accuracy": 1 - 1 / (1 + rank), "latency_ms": 1.0 + rank}
        return replace(simulation.scored(architecture, number), metrics=metrics)

    some = [a for a in space.enumerate() if sum(simulation.genes(a)) in (6, 7, 13, 14)]
    order = np.random.default_rng(0).permutation(len(some))
    strategy = simulation.make("model", space)
    dearness = []
    for count in (30, 31):
        trials = [evaluate(some[i], n) for n, i in enumerate(order[:count])]
        dearness.append(sum(simulation.genes(next_of(strategy, trials))))
    assert dearness[0] > 14 > dearness[1]


def test_what_is_in_flight_sends_the_next_elsewhere(simulation):
    """Eight workers at once: all different, and better than eight uniform draws."""
    space = simulation.space_of(6, 6, 6, 6)
    trials = drawn(simulation, space, 25)
    strategy = simulation.make("model", space, objectives=ONE)
    running = []
    for _ in range(8):
        running.append(Proposal(next_of(strategy, trials, running), 3))
    together = [proposal.architecture for proposal in running]
    assert len(set(together)) == 8
    everything = [simulation.accuracy(a) for a in space.enumerate()]
    found = [simulation.accuracy(a) for a in together]
    assert np.mean(found) > np.quantile(everything, 0.9)


def test_an_option_whose_trainings_fail_is_left_alone(simulation):
    space = simulation.space_of(5, 5, 5)

    def evaluate(architecture, number, epochs):
        trial = simulation.scored(architecture, number, epochs)
        if simulation.genes(architecture)[0] != 3:
            return trial
        latency = {"latency_ms": trial.metrics["latency_ms"]}
        return replace(trial, state="failed", metrics=latency, reason="diverged")

    order = np.random.default_rng(0).permutation(space.size)[:25]
    trials = [evaluate(space.at(int(i)), n, 3) for n, i in enumerate(order)]
    assert sum(trial.state == "failed" for trial in trials) >= 4
    found = simulation.simulate(simulation.make("model", space), 45, evaluate, finished=trials)
    assert sum(trial.state == "failed" for trial in found[25:]) <= 1


def test_trainings_of_other_epochs_teach_costs_and_no_accuracy(simulation):
    """Their accuracies say the opposite here; with or without them it proposes the same."""
    space = simulation.space_of(6, 6, 6)
    trials = drawn(simulation, space, 40)
    shorter = [replace(trial, epochs=1) for trial in trials[20:]]
    turned = [replace(t, metrics=t.metrics | {"accuracy": -t.metrics["accuracy"]}) for t in shorter]
    strategy = simulation.make("model", space)
    assert next_of(strategy, trials[:20] + shorter) == next_of(strategy, trials[:20] + turned)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(simulation, threads):
    space = simulation.space_of(6, 6, 6, 6)
    trials = drawn(simulation, space, 60)
    expected = next_of(simulation.make("model", space), trials)
    with threadpool_limits(threads, user_api="blas"):
        assert next_of(simulation.make("model", space), trials) == expected


def test_one_thread_is_taken_and_given_back():
    def threads():
        return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        with one_thread():
            assert set(threads()) == {1}
        assert threads() == before


def test_candidates_alike_are_ordered_at_random_and_others_by_promise():
    promising = np.array([0.5, 1.0, 1.0 - 1e-9, 0.0])
    orders = [best_first(promising, np.random.default_rng(seed)).tolist() for seed in range(20)]
    assert {tuple(order[:2]) for order in orders} == {(1, 2), (2, 1)}
    assert all(order[2:] == [0, 3] for order in orders)
    nothing = {tuple(best_first(np.zeros(2), np.random.default_rng(seed))) for seed in range(20)}
    assert len(nothing) == 2
    assert best_first(np.zeros(0), np.random.default_rng(0)).tolist() == []


def test_the_best_half_and_the_latest_are_remembered_in_order(simulation):
    trials = [
        replace(trial, metrics={"accuracy": accuracy})
        for trial, accuracy in zip(
            drawn(simulation, simulation.space_of(6), 6),
            [0.9, 0.1, 0.8, 0.2, 0.3, 0.4],
            strict=True,
        )
    ]
    assert [t.number for t in remembered(trials, ONE, 4)] == [0, 2, 4, 5]
    assert [t.number for t in remembered(trials, ONE, 6)] == [0, 1, 2, 3, 4, 5]
