import pytest


@pytest.mark.parametrize(
    ("state", "violations", "feasible"),
    [
        ("complete", {}, True),
        ("complete", {"accuracy >= 0.9": 0.1}, False),
        ("infeasible", {"latency_ms <= 5": 0.2}, False),
        ("failed", {}, False),
    ],
)
def test_feasible_is_complete_and_within_every_constraint(trial, state, violations, feasible):
    assert trial(0, state=state, violations=violations).feasible is feasible


def test_the_violation_is_the_sum_of_the_excesses(trial):
    assert trial(0).violation == 0
    broken = trial(0, violations={"latency_ms <= 5": 0.25, "params <= 9": 0.5})
    assert broken.violation == 0.75
