import pytest

from attnas.core import Trial, excess_text, violations_text


def trial(state="complete", violations=None):
    return Trial(0, None, 3, state, violations=violations or {})


@pytest.mark.parametrize(
    ("state", "violations", "feasible"),
    [
        ("complete", {}, True),
        ("complete", {"accuracy >= 0.9": 0.1}, False),
        ("infeasible", {"latency_ms <= 5": 0.2}, False),
        ("failed", {}, False),
    ],
)
def test_feasible_is_complete_and_within_every_constraint(state, violations, feasible):
    assert trial(state, violations).feasible is feasible


def test_the_violation_is_the_sum_of_the_excesses():
    assert trial().violation == 0
    assert trial(violations={"latency_ms <= 5": 0.25, "params <= 9": 0.5}).violation == 0.75


@pytest.mark.parametrize(
    ("excess", "text"),
    [
        (0.031, "3.1%"),
        (0.0004, "0.0%"),
        (9.99, "999.0%"),
        (10, "a factor of 11"),
        (784.4, "a factor of 785.4"),
        (1234567.0, "a factor of 1.235e+06"),
        (float("inf"), "a factor of inf"),
    ],
)
def test_an_excess_is_a_percentage_or_a_factor_where_that_says_more(excess, text):
    assert excess_text(excess) == text


def test_violations_are_told_with_what_was_only_predicted():
    broken = {"latency_ms <= 5": 0.25, "params <= 9": 20.0}
    assert violations_text(broken) == (
        "latency_ms <= 5 missed by 25.0%, params <= 9 missed by a factor of 21"
    )
    assert violations_text(broken, predicted=True) == (
        "latency_ms <= 5 predicted to be missed by 25.0%, params <= 9 missed by a factor of 21"
    )
    assert violations_text({}) == ""
