import pytest
import torch

from attnas.core import AttnasError, Constraint, History
from attnas.search_space import build
from attnas.strategies import preparing_strategies

SETTINGS = {"supernet_epochs": 3, "population": 6, "generations": 2, "check": 3, "paths": 3}


@pytest.fixture(scope="module")
def unbroken(sharing, tmp_path_factory):
    """An unbroken preparation, and the folder that it left."""
    folder = tmp_path_factory.mktemp("unbroken")
    given, _ = sharing.resources(folder)
    return sharing.make("oneshot", **SETTINGS).prepare(given), folder


def run(strategy, machine, trials=100):
    finished = []
    while len(finished) < trials:
        proposal = strategy.propose(History(tuple(finished), (), len(finished)))
        if proposal is None:
            break
        finished.append(machine.trial(proposal, len(finished)))
    return finished


def test_each_target_gets_a_network_that_measures_within_it(sharing, unbroken):
    strategy, _ = unbroken
    machine = sharing.Machine(sharing.tiny_space())
    trials = run(strategy, machine)
    assert len(strategy.found.targets) == 4
    for target, line in zip(strategy.found.targets, strategy.closing(trials), strict=False):
        assert line.startswith(f"Target latency_ms <= {target['latency_ms']:.4g}: layer1=")
        assert line.endswith(": kept.")
    measured = [trial.metrics["latency_ms"] for trial in trials]
    for target in strategy.found.targets:
        assert any(m <= target["latency_ms"] for m in measured[:4])


def test_recommendations_and_controls_come_first_and_nothing_twice(sharing, unbroken):
    strategy, _ = unbroken
    trials = run(strategy, sharing.Machine(sharing.tiny_space()))
    proposed = [trial.architecture for trial in trials]
    assert len(set(proposed)) == len(proposed)
    controls = {entry.architecture for entry in strategy.found.controls}
    assert len(controls) == SETTINGS["check"]
    assert controls <= set(proposed[: 4 + len(controls)])


def test_a_constraint_is_kept_where_all_measure_more_than_predicted(sharing, tmp_path):
    """Asked for 2 ms on a machine that is 12 % slower than its table says."""
    bound = Constraint("latency_ms", "<=", 2.0)
    machine = sharing.Machine(sharing.tiny_space(), (bound,), off=1.12, slow="all")
    given, _ = sharing.resources(tmp_path, machine=machine)
    strategy = sharing.make("oneshot", targets={"latency_ms": [2.0]}, **SETTINGS).prepare(given)
    first = run(strategy, machine, trials=1)[0]
    assert first.state == "complete"
    assert first.metrics["latency_ms"] <= 2.0


def test_killed_in_any_epoch_it_ends_as_if_unbroken(sharing, tmp_path, unbroken):
    whole, folder = unbroken

    class Killed(BaseException):
        pass

    def kill(text, done, steps):
        if (text, done) == ("supernet epoch", kill.at):
            raise Killed

    strategy = sharing.make("oneshot", **SETTINGS)
    for kill.at in (1, 2):
        with pytest.raises(Killed):
            strategy.prepare(sharing.resources(tmp_path, progress=kill)[0])
    seen = []
    given, notes = sharing.resources(
        tmp_path, progress=lambda text, done, _: seen.append((text, done))
    )
    resumed = strategy.prepare(given)
    assert resumed.found == whole.found
    assert ("supernet epoch", 0) not in seen
    assert notes == []
    kept, expected = (
        torch.load(where / "supernet.pt", weights_only=True)["parts"]["supernet"]
        for where in (tmp_path, folder)
    )
    assert all(torch.equal(kept[name], expected[name]) for name in expected)


def test_a_finished_preparation_trains_nothing_again(sharing, unbroken):
    whole, folder = unbroken

    def untouched(text, done, steps):
        raise AssertionError(text)

    given, _ = sharing.resources(folder, progress=untouched)
    assert sharing.make("oneshot", **SETTINGS).prepare(given) == whole


def test_an_artifact_of_another_seed_is_not_used(sharing, tmp_path):
    small = {**SETTINGS, "supernet_epochs": 1, "generations": 1}
    sharing.make("oneshot", **small).prepare(sharing.resources(tmp_path)[0])
    given, notes = sharing.resources(tmp_path)
    sharing.make("oneshot", seed=4, **small).prepare(given)
    assert len(notes) == 2
    assert all(note.endswith("is of other settings or data: it is not used.") for note in notes)


def test_where_nothing_is_feasible_it_says_so_before_training(sharing, tmp_path):
    impossible = Constraint("latency_ms", "<=", 0.8)

    def untouched(text, done, steps):
        raise AssertionError(text)

    given, _ = sharing.resources(tmp_path, constraints=[impossible], progress=untouched)
    with pytest.raises(AttnasError) as caught:
        sharing.make("oneshot", **SETTINGS).prepare(given)
    assert str(caught.value) == (
        "nothing meets the constraints: the nearest architecture found, layer1=none layer2=none "
        "layer3=none, misses latency_ms <= 0.8 by 25.0%. Loosen the bound or allow cheaper "
        "options; no supernet was trained."
    )


def test_a_target_out_of_reach_is_said_and_the_others_are_served(sharing, tmp_path):
    given, notes = sharing.resources(tmp_path)
    wanted = {"latency_ms": [0.5, 2.0]}
    small = {**SETTINGS, "supernet_epochs": 1}
    strategy = sharing.make("oneshot", targets=wanted, **small).prepare(given)
    assert notes == [
        "By the predictions latency_ms <= 0.5 cannot be kept, the least that the space has is 1."
    ]
    trials = run(strategy, sharing.Machine(sharing.tiny_space()))
    lines = strategy.closing(trials)
    assert lines[0] == (
        "Target latency_ms <= 0.5: no architecture was found that keeps it; "
        "the nearest measures 1.2."
    )
    assert lines[1].endswith(": kept.")


def test_targets_that_are_all_out_of_reach_end_it_before_training(sharing, tmp_path):
    """Training or measuring would end the test: `progress` raises."""

    def untouched(text, done, steps):
        raise AssertionError(text)

    given, _ = sharing.resources(tmp_path, progress=untouched)
    with pytest.raises(AttnasError) as caught:
        sharing.make("oneshot", targets={"params": [100], "latency_ms": [0.5]}).prepare(given)
    least = sum(p.numel() for p in build(sharing.tiny_space().plain).parameters())
    assert str(caught.value) == (
        f"no target can be kept: params <= 100 cannot be kept, the least that the space has is "
        f"{least}; latency_ms <= 0.5 cannot be kept, the least that the space has is 1. Loosen the "
        "bound or allow cheaper options; no supernet was trained."
    )


def test_it_proposes_nothing_before_it_is_prepared(sharing):
    with pytest.raises(ValueError, match="OneShot proposes nothing itself: call `prepare`"):
        sharing.make("oneshot").propose(History())
    assert "oneshot" in preparing_strategies()
