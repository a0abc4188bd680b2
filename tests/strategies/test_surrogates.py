from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import Constraint, Objective
from attnas.strategies.surrogates import Bound, Evidence, Loss, bounds

ACCURACY, LATENCY = Loss("accuracy", -1.0), Loss("latency_ms", 1.0)


@given(
    op=st.sampled_from(["<=", ">="]),
    bound=st.floats(0.1, 10),
    plain=st.one_of(st.none(), st.floats(0.1, 10)),
    share=st.floats(0.1, 0.9),
)
def test_a_bound_is_known_from_a_trial_that_broke_it(simulation, op, bound, plain, share):
    """Also one relative to the plain backbone's figure."""
    constraint = Constraint("latency_ms", op, bound, relative=plain is not None)
    limit = bound * (plain or 1.0)
    value = limit / share if op == "<=" else limit * share
    broken = {f"latency_ms {constraint}": constraint.excess(value, plain)}
    trial = simulation.scored(simulation.space_of(2).at(0), 0)
    trial = replace(trial, metrics={"latency_ms": value}, violations=broken)
    sign = 1.0 if op == "<=" else -1.0
    [(loss, found)] = bounds([trial, trial])
    assert loss == Loss("latency_ms", sign)
    assert found == pytest.approx(sign * limit)


def test_a_bound_without_a_finite_figure_stays_unknown(simulation):
    trial = simulation.scored(simulation.space_of(2).at(0), 0)
    unknown = replace(trial, violations={"params <= 5": 0.2, "latency_ms <= 1": np.inf})
    assert bounds([trial, unknown]) == ()


def test_losses_turn_metrics_and_know_the_cheap_ones(simulation):
    trials = [simulation.scored(a, i) for i, a in enumerate(simulation.space_of(3).enumerate())]
    assert [Loss.by(o) for o in simulation.OBJECTIVES] == [ACCURACY, LATENCY]
    np.testing.assert_array_equal(ACCURACY.of(trials), [-t.metrics["accuracy"] for t in trials])
    assert np.isnan(Loss("params", 1.0).of(trials)).all()
    assert LATENCY.is_cheap
    assert not ACCURACY.is_cheap
    assert not Loss.by(Objective("of_my_own", "max")).is_cheap


def evidence_of(simulation, space, count, *, rejected=0, failed=0, running=()):
    """Trials in a random order: scored, then failed, then rejected."""
    order = np.random.default_rng(0).permutation(space.size)[: count + failed + rejected]
    trials = [simulation.scored(space.at(int(i)), n) for n, i in enumerate(order)]
    for n in range(count, count + failed):
        measured = {"latency_ms": simulation.latency_ms(trials[n].architecture)}
        trials[n] = replace(trials[n], state="failed", metrics=measured)
    for n in range(count + failed, len(trials)):
        trials[n] = simulation.scored(trials[n].architecture, n, bound=0.1)
    ended = range(count, count + failed)
    return Evidence(space, trials, range(count), ended, running)


def test_costs_are_learned_from_what_was_rejected_too(simulation):
    space = simulation.space_of(5, 6, 7)
    everything = list(space.enumerate())
    true = np.array([simulation.latency_ms(a) for a in everything])
    errors = []
    for rejected in (0, 40):
        evidence = evidence_of(simulation, space, 8, rejected=rejected)
        forecast = evidence.surrogates([LATENCY])[LATENCY].predict(evidence.codes(everything))
        errors.append(np.abs(forecast.mean - true).mean())
    assert errors[1] < 0.01 < errors[0]


def test_what_is_seen_is_measured_if_cheap_and_else_believed(simulation):
    space = simulation.space_of(5, 6, 7)
    running = [space.at(0)]
    evidence = evidence_of(simulation, space, 30, failed=2, running=running)
    found = evidence.surrogates([ACCURACY, LATENCY, Loss("params", 1.0)])
    assert set(found) == {ACCURACY, LATENCY}  # nobody has parameters
    np.testing.assert_array_equal(found[LATENCY].seen[:30], LATENCY.of(evidence.trials[:30]))
    assert found[LATENCY].seen[30] == pytest.approx(simulation.latency_ms(space.at(0)), abs=0.1)
    asked = evidence.codes([t.architecture for t in evidence.trials[:30]] + running)
    np.testing.assert_allclose(found[ACCURACY].seen, found[ACCURACY].predict(asked).middle)
    assert np.corrcoef(found[ACCURACY].seen[:30], ACCURACY.of(evidence.trials[:30]))[0, 1] > 0.9


def test_a_failed_training_counts_as_the_worst(simulation):
    space = simulation.space_of(5, 6, 7)
    with_failed = evidence_of(simulation, space, 30, failed=3)
    without = replace(with_failed, failed=())
    asked = with_failed.codes(t.architecture for t in with_failed.trials[30:33])
    low, high = (e.surrogates([ACCURACY])[ACCURACY].predict(asked) for e in (with_failed, without))
    assert (low.mean > high.mean).all()  # as losses


def test_an_architecture_outside_the_space_is_an_option_of_its_own(simulation):
    whole = simulation.space_of(3, 3)
    space = replace(whole, options=tuple(options[1:] for options in whole.options))
    evidence = Evidence(space, (), (), (), ())
    outside = space.plain
    np.testing.assert_array_equal(evidence.codes([outside, space.at(3)]), [[-1, -1], [1, 1]])


def test_bounds_are_compared_as_values():
    assert Bound(LATENCY, 2.0) == Bound(Loss("latency_ms", 1.0), 2.0)
