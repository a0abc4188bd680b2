import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnas.core import METRICS, Constraint, InputError


def bounds(metrics, most=None):
    return st.builds(
        Constraint,
        metric=st.sampled_from(metrics),
        op=st.sampled_from(["<=", ">="]),
        bound=st.floats(min_value=0, max_value=most, exclude_min=True, allow_infinity=False),
        relative=st.booleans(),
    )


shares = sorted(name for name, metric in METRICS.items() if metric.format == "percent")
constraints = bounds(sorted(set(METRICS) - set(shares))) | bounds(shares, most=1.0)


@given(constraint=constraints)
def test_text_and_constraint_are_two_forms_of_one_thing(constraint):
    assert Constraint.parse(constraint.metric, str(constraint)) == constraint


@pytest.mark.parametrize(
    ("metric", "text", "expected"),
    [
        ("latency_ms", "<= 5", Constraint("latency_ms", "<=", 5.0)),
        ("latency_ms", "<=1.15x", Constraint("latency_ms", "<=", 1.15, relative=True)),
        ("accuracy", ">= 0.7", Constraint("accuracy", ">=", 0.7)),
        ("accuracy", ">= 1.02x", Constraint("accuracy", ">=", 1.02, relative=True)),
        ("params", "<= 1e6", Constraint("params", "<=", 1e6)),
        ("params", " <= 100000 ", Constraint("params", "<=", 100000.0)),
    ],
)
def test_what_a_config_may_say(metric, text, expected):
    assert Constraint.parse(metric, text) == expected


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (Constraint("params", "<=", 100000), "<= 100000"),
        (Constraint("latency_ms", "<=", 1.1, relative=True), "<= 1.1x"),
        (Constraint("accuracy", ">=", 0.7), ">= 0.7"),
    ],
)
def test_text_is_as_a_person_would_write_it(constraint, text):
    assert str(constraint) == text


@pytest.mark.parametrize(
    ("metric", "text", "message"),
    [
        (
            "latency_ms",
            "<= 5ms",
            "cannot read '<= 5ms'. Write '<= 5' (ms) or '<= 1.10x' (of the plain backbone).",
        ),
        (
            "latency_ms",
            "< 5",
            "cannot read '< 5'. Write '<= 5' (ms) or '<= 1.10x' (of the plain backbone).",
        ),
        (
            "peak_memory_mb",
            "2.5 mb",
            "cannot read '2.5 mb'. Write '<= 2.5' (MB) or '<= 1.10x' (of the plain backbone).",
        ),
        (
            "params",
            "<= 100k",
            "cannot read '<= 100k'. Write '<= 100000' or '<= 1.10x' (of the plain backbone).",
        ),
        (
            "accuracy",
            ">= 70%",
            "cannot read '>= 70%'. Write '>= 0.7' or '>= 0.98x' (of the plain backbone).",
        ),
        ("accuracy", ">= 65", "accuracy goes from 0 to 1, not to 65. Write '>= 0.65'."),
        ("params", "<= 0", "the bound of '<= 0' must be more than 0 and finite."),
        ("params", "<= 1e999", "the bound of '<= 1e999' must be more than 0 and finite."),
        ("latncy_ms", "<= 5", "unknown metric 'latncy_ms'. Did you mean 'latency_ms'?"),
        (
            "latency_ms",
            5,
            "cannot read '5'. Write '<= 5' (ms) or '<= 1.10x' (of the plain backbone).",
        ),
    ],
)
def test_what_is_wrong_and_what_would_be_right_is_said(metric, text, message):
    with pytest.raises(InputError) as raised:
        Constraint.parse(metric, text)
    assert str(raised.value) == message


@pytest.mark.parametrize(("op", "bound"), [("<", 1.0), ("<=", 0.0), ("<=", math.nan)])
def test_a_constraint_that_means_nothing_cannot_be_made(op, bound):
    with pytest.raises(ValueError, match="no constraint: params"):
        Constraint("params", op, bound)


@pytest.mark.parametrize(
    ("op", "value", "excess"),
    [
        ("<=", 5.0, 0.0),
        ("<=", 4.0, 0.0),
        ("<=", 5.5, 0.1),
        (">=", 5.0, 0.0),
        (">=", 6.0, 0.0),
        (">=", 4.5, 0.1),
        ("<=", math.nan, math.inf),
        (">=", math.nan, math.inf),
        ("<=", math.inf, math.inf),
    ],
)
def test_the_excess_is_a_share_of_the_bound(op, value, excess):
    assert Constraint("latency_ms", op, 5.0).excess(value) == pytest.approx(excess)
    relative = Constraint("latency_ms", op, 2.0, relative=True)
    assert relative.excess(value, plain=2.5) == pytest.approx(excess)


def test_a_relative_bound_needs_the_plain_figure():
    with pytest.raises(ValueError, match=r"latency_ms <= 2x needs the plain backbone's latency_ms"):
        Constraint("latency_ms", "<=", 2.0, relative=True).excess(1.0)
    with pytest.raises(KeyError, match="latency_ms"):
        Constraint("latency_ms", "<=", 2.0, relative=True).resolve({})


@given(constraint=constraints, value=st.floats(0, 1e9), plain=st.floats(1e-6, 1e9))
def test_a_resolved_constraint_judges_as_the_relative_one(constraint, value, plain):
    if constraint.relative and not 0 < constraint.bound * plain < math.inf:
        return
    resolved = constraint.resolve({constraint.metric: plain})
    assert not resolved.relative
    assert resolved.excess(value) == constraint.excess(value, plain)
