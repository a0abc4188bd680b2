import math

import pytest

from attnas.core import Constraint, excesses

LATENCY = Constraint("latency_ms", "<=", 1.5, relative=True)
PARAMS = Constraint("params", "<=", 100.0)
ACCURACY = Constraint("accuracy", ">=", 0.8)


def test_only_broken_constraints_are_told_each_with_its_share_of_the_bound():
    metrics = {"latency_ms": 4.0, "params": 100.0, "accuracy": 0.4}
    assert excesses((LATENCY, PARAMS, ACCURACY), metrics, {"latency_ms": 2.0}) == {
        "latency_ms <= 1.5x": pytest.approx(1 / 3),
        "accuracy >= 0.8": pytest.approx(0.5),
    }


def test_what_is_not_known_yet_breaks_nothing():
    assert excesses((LATENCY, PARAMS, ACCURACY), {"params": 7.0}, {}) == {}
    assert excesses((), {"params": 7.0}, {}) == {}


def test_a_figure_that_is_no_number_breaks_any_bound():
    assert excesses((PARAMS,), {"params": math.nan}, {}) == {"params <= 100": math.inf}


def test_a_relative_bound_needs_the_plain_figure():
    with pytest.raises(ValueError, match="needs the plain backbone's latency_ms"):
        excesses((LATENCY,), {"latency_ms": 1.0}, {"params": 5.0})
