"""Latencies measured again lie over the recorded ones; what proposals come from stays."""

import pytest

from attnas.core import AttnasError
from attnas.results import FRONT_LATENCY_FILE, Remeasured, Run

PLAIN = {"ms": 2.0, "low": 1.99, "high": 2.01}


def test_readers_see_the_new_latency_and_the_record_keeps_the_old(filled):
    filled.remeasure({1: Remeasured(2.25, 2.24, 2.26, {})}, PLAIN)
    seen, recorded = filled.trials[1], filled.recorded[1]
    assert (seen.metrics["latency_ms"], seen.intervals["latency_ms"]) == (2.25, (2.24, 2.26))
    assert seen.metrics["accuracy"] == recorded.metrics["accuracy"]
    assert recorded.metrics["latency_ms"] == 2.2
    assert filled.recorded[0] is filled.trials[0]
    assert filled.frame().loc[1, "latency_ms"] == 2.25
    with Run.open(filled.folder) as again:
        assert list(again.trials) == list(filled.trials)
        assert list(again.recorded) == list(filled.recorded)


def test_a_trial_that_breaks_the_bound_now_leaves_the_front(filled):
    assert [t.number for t in filled.front()] == [0, 1]
    filled.remeasure({1: Remeasured(2.4, 2.3, 2.5, {"latency_ms <= 1.15x": 0.0435})}, PLAIN)
    assert [t.number for t in filled.front()] == [0]
    assert not filled.trials[1].feasible
    assert filled.trials[1].state == "complete"
    assert filled.trials[1].reason == "latency_ms <= 1.15x missed by 4.3%"
    assert filled.recorded[1].feasible


def test_other_broken_constraints_stay_and_one_that_is_kept_now_goes(run, trial):
    broken = {"latency_ms <= 1.15x": 0.1, "accuracy >= 0.8": 0.2}
    run.append(trial(0, violations=broken))
    run.remeasure({0: Remeasured(2.0, 1.9, 2.1, {})}, PLAIN)
    assert run.trials[0].violations == {"accuracy >= 0.8": 0.2}
    assert run.trials[0].reason == "accuracy >= 0.8 missed by 20.0%"


@pytest.mark.parametrize("state", ["failed", "infeasible"])
def test_a_trial_that_is_not_complete_stays_as_it_was_recorded(run, trial, state):
    broken = {"latency_ms <= 1.15x": 0.1} if state == "infeasible" else {}
    run.append(trial(0))
    run.append(trial(1, state=state, reason="diverged: in epoch 3", violations=broken))
    again = Remeasured(1.9, 1.8, 2.0, {})
    run.remeasure({0: again, 1: again}, PLAIN)
    assert run.trials[1] == run.recorded[1]
    assert run.trials[0].metrics["latency_ms"] == 1.9


def test_what_another_process_measured_meanwhile_is_kept(filled):
    with Run.open(filled.folder) as other:
        filled.remeasure({0: Remeasured(2.0, 1.9, 2.1, {})}, PLAIN)
        other.remeasure({1: Remeasured(2.3, 2.2, 2.4, {})}, PLAIN)
        assert {n: found.ms for n, found in other.remeasured.items()} == {0: 2.0, 1: 2.3}
        assert other.trials[0].metrics["latency_ms"] == 2.0


def test_later_figures_replace_earlier_ones_and_leave_those_of_other_trials(filled):
    filled.remeasure({0: Remeasured(2.0, 1.9, 2.1, {}), 1: Remeasured(2.3, 2.2, 2.4, {})}, PLAIN)
    filled.remeasure({1: Remeasured(2.1, 2.0, 2.2, {})}, PLAIN)
    with Run.open(filled.folder) as again:
        assert {n: found.ms for n, found in again.remeasured.items()} == {0: 2.0, 1: 2.1}


def test_trials_appended_afterwards_stand_behind_as_they_are(filled, trial):
    filled.remeasure({1: Remeasured(2.3, 2.2, 2.4, {})}, PLAIN)
    filled.append(trial(5))
    assert filled.trials[5] == filled.recorded[5]
    assert filled.trials[1].metrics["latency_ms"] == 2.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"trials": {"1": {"ms": 2}}}', "KeyError('low')"),
        ('{"trials": {"x": {"ms": 2}}}', "ValueError("),
        ('{"trials": []}', "AttributeError("),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(filled, text, said):
    file = filled.folder / FRONT_LATENCY_FILE
    file.write_text(text)
    with pytest.raises(AttnasError) as caught:
        Run.open(filled.folder)
    message = str(caught.value)
    assert message.startswith(f"{file}: the file is damaged: {said}")
    assert message.endswith("remove it: the search measures the front again when it is run again.")
