from contextlib import nullcontext

import numpy as np
import pytest

from attnas.core import AdditiveCost, AttnasError, Constraint, InputError, Objective, Screening
from attnas.evaluator import additive_costs
from attnas.strategies.targets import Costs, check_feasible, check_targets, targets

ACCURACY, LATENCY = Objective("accuracy", "max"), Objective("latency_ms", "min")


@pytest.fixture
def costs(sharing):
    """Latency 1 ms to 1 + 0.2 + 0.6 + 0.9 = 2.7 ms; params exactly."""

    def made(constraints=(), **machine):
        space = sharing.tiny_space()
        used = sharing.Machine(space, tuple(constraints), **machine)
        additive: dict[str, AdditiveCost] = additive_costs(space, ("params",))
        additive["latency_ms"] = sharing.latency_table(space).cost
        plain = used.screen(space.plain).metrics
        used.screened.clear()
        made.machine = used
        return Costs(space, additive, used.constraints, plain, used.screen)

    return made


def bounds(found):
    return [pytest.approx(target["latency_ms"]) for target in found]


def test_without_a_setting_the_cost_to_minimise_gets_four_equal_steps(costs):
    found = targets({}, (ACCURACY, LATENCY), costs())
    assert bounds(found) == [1.425, 1.85, 2.275, 2.7]


def test_the_ladder_ends_at_the_constraint(costs):
    relative = Constraint("latency_ms", "<=", 1.8, relative=True)  # plain: 1 ms
    assert bounds(targets({}, (ACCURACY, LATENCY), costs([relative]))) == [1.2, 1.4, 1.6, 1.8]


def test_with_nothing_to_minimise_the_constraints_alone_are_aimed_at(costs):
    assert targets({}, (ACCURACY,), costs()) == ({},)


def test_targets_given_are_resolved_each_to_one(costs):
    found = targets({"latency_ms": [1.2, "1.5x"], "params": [5000]}, (ACCURACY, LATENCY), costs())
    assert found == ({"latency_ms": 1.2}, {"latency_ms": 1.5}, {"params": 5000.0})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"latency": [1.0]},
            "targets.latency: unknown target 'latency'. Did you mean 'latency_ms'?",
        ),
        (
            {"latency_ms": 1.5},
            "targets.latency_ms: must be a list of bounds. Write for example {latency_ms: [1.5, "
            "2.0]} or {latency_ms: ['1.1x', '1.2x']}.",
        ),
        (
            {"latency_ms": [1.5, "fast"]},
            "targets.latency_ms[1]: cannot read 'fast'. Write for example {latency_ms: [1.5, 2.0]} "
            "or {latency_ms: ['1.1x', '1.2x']}.",
        ),
        (
            {"latency_ms": [-1]},
            "targets.latency_ms[0]: cannot read '-1'. Write for example {latency_ms: [1.5, 2.0]} "
            "or {latency_ms: ['1.1x', '1.2x']}.",
        ),
        (
            [1.5],
            "targets: cannot be [1.5]. Write for example {latency_ms: [1.5, 2.0]} or {latency_ms: "
            "['1.1x', '1.2x']}.",
        ),
    ],
)
def test_wrong_targets_are_refused_with_a_right_one_shown(wanted, message):
    with pytest.raises(InputError) as caught:
        check_targets(wanted)
    assert str(caught.value) == message


def test_the_settings_key_is_named_under_the_strategy(sharing):
    with pytest.raises(InputError, match=r"^strategy\.targets\.latency_ms\[0\]: cannot read 'x'"):
        sharing.make("oneshot", targets={"latency_ms": ["x"]})


def test_predictions_and_excesses_are_sums_over_decisions(costs, sharing):
    space = sharing.tiny_space()
    found = costs([Constraint("latency_ms", "<=", 1.5)])
    architecture = space.architecture(["eca@residual", "none", "se:r4@residual"])
    places = [space.options[i].index(o) for i, o in enumerate(architecture.options)]
    latency = 1 + 0.1 * places[0] + 0.2 * places[1] + 0.3 * places[2]
    assert found.predict(architecture)["latency_ms"] == pytest.approx(latency)
    expected = max(0, latency / 1.5 - 1) + latency / 1.0 - 1
    assert found.excess(architecture, {"latency_ms": 1.0}) == pytest.approx(expected)
    assert not found.fits(architecture, {"latency_ms": 1.0})


def test_the_nearest_is_the_cheapest_where_nothing_fits(costs, sharing):
    found = costs([Constraint("latency_ms", "<=", 0.5)])
    assert found.nearest(np.random.default_rng(0)) == sharing.tiny_space().plain


def test_what_does_not_add_up_is_screened_last(costs, sharing):
    found = costs(
        [Constraint("latency_ms", "<=", 1.5), Constraint("peak_memory_mb", "<=", 2)], memory_mb=3.0
    )
    assert found.must_screen
    dear = sharing.tiny_space().at(47)
    assert not found.fits(dear)
    assert costs.machine.screened == []  # its predicted latency rules it out
    plain = sharing.tiny_space().plain
    assert not found.fits(plain)
    assert costs.machine.screened == [plain]


def test_bounds_on_accuracy_are_left_to_the_trials(costs, sharing):
    """Inherited accuracy beside the predicted costs breaks no constraint."""
    found = costs([Constraint("accuracy", ">=", 0.9), Constraint("latency_ms", "<=", 1.5)])
    plain = found.predict(sharing.tiny_space().plain)
    assert found.broken({**plain, "accuracy": 0.1, "validation_loss": 9.0}) == {}
    assert found.broken({"accuracy": 0.1, "latency_ms": 3.0}) == {
        "latency_ms <= 1.5": pytest.approx(1.0)
    }


def test_the_plain_backbone_is_tried_before_nothing_is_called_feasible(simulation):
    """The cheapest by prediction takes too much memory, and so does all else but the plain one."""
    space = simulation.space_of(6, 6, 6)
    cheaper = AdditiveCost("latency_ms", 1.0, ((0.0, -0.1, 0.0, 0.0, 0.0, 0.0),) * 3)
    bound = (Constraint("peak_memory_mb", "<=", 1.0),)
    broken = {"peak_memory_mb <= 1": 0.5}
    for plain, raising in (({}, nullcontext()), (broken, pytest.raises(AttnasError))):
        screen = lambda a, plain=plain: Screening({}, plain if a.is_plain else broken)  # noqa: E731
        costs = Costs(space, {"latency_ms": cheaper}, bound, {"latency_ms": 1.0}, screen)
        with raising:
            check_feasible(costs, np.random.default_rng(0))
