from dataclasses import replace

import numpy as np

from attnas.core import History, Objective, Trial
from attnas.search_space import Architecture, Backbone, StagePattern
from attnas.strategies.gp import imputed, remembered

ONE = (Objective("accuracy", "max"),)
TWO = (*ONE, Objective("latency_ms", "min"))
NOWHERE = Architecture.plain(
    Backbone("formula", (), (3, 32, 32), (10,), (StagePattern("only", (), ()),))
)


def trial(number, accuracy=None, latency_ms=None, violation=0.0, state="complete"):
    given = {"accuracy": accuracy, "latency_ms": latency_ms}
    metrics = {name: value for name, value in given.items() if value is not None}
    broken = {"params <= 1": violation} if violation else {}
    return Trial(number, NOWHERE, 1, state, metrics, {}, broken)


def test_the_model_finds_the_best_of_what_is_left(simulation):
    """Separable scores of 20 among 36; the best 5 are held back."""
    space = simulation.space_of(6, 6)

    def value(architecture):
        first, second = simulation.genes(architecture)
        return -((first - 4) ** 2) - 0.5 * (second - 2) ** 2

    ranked = sorted(space.enumerate(), key=value, reverse=True)
    seen = [ranked[i] for i in np.random.default_rng(0).permutation(np.arange(5, 36))[:20]]
    trials = tuple(trial(i, float(value(a))) for i, a in enumerate(seen))
    trials = tuple(replace(t, architecture=a) for t, a in zip(trials, seen, strict=True))
    strategy = simulation.make("gp", space, objectives=ONE)
    assert strategy.propose(History(trials, (), 20)).architecture in ranked[:5]


def test_missing_losses_are_the_worst_and_failures_the_worst_violation():
    trials = [
        trial(0, 0.5, 2.0),
        trial(1, 0.7, 3.0),
        trial(2, None, 5.0, 0.2, "infeasible"),
        trial(3, None, 6.0, 0.4, "infeasible"),
        trial(4, None, 1.0, 0.0, "failed"),
    ]
    values, violations = imputed(trials, TWO)
    np.testing.assert_allclose(
        values, [[-0.5, 2.0], [-0.7, 3.0], [-0.5, 5.0], [-0.5, 6.0], [-0.5, 6.0]]
    )
    np.testing.assert_allclose(violations, [-0.3, -0.3, 0.2, 0.4, 0.4])


def test_without_a_single_trained_trial_the_column_stays_unknown():
    values, _ = imputed([trial(0, None, 5.0, 0.2, "infeasible")], TWO)
    np.testing.assert_array_equal(values, [[np.nan, 5.0]])


def test_the_best_half_and_the_latest_are_remembered_in_order():
    trials = [trial(i, accuracy) for i, accuracy in enumerate([0.9, 0.1, 0.8, 0.2, 0.3, 0.4])]
    assert [t.number for t in remembered(trials, ONE, 4)] == [0, 2, 4, 5]
    assert [t.number for t in remembered(trials, ONE, 6)] == [0, 1, 2, 3, 4, 5]
