import random
import subprocess
import sys

import numpy as np
import pytest

from attnas.core import AttnasError, History, InputError, Objective, Trial
from attnas.strategies import borrowed_strategies, nni_tuner
from attnas.strategies.nni_tuner import TUNERS, UNUSABLE, shares


def test_nothing_of_nni_is_imported_before_a_tuner_is_asked_for():
    code = (
        "import sys, attnas.strategies as s; s.borrowed_strategies(); "
        "print('nni' in sys.modules, 'hyperopt' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]


def test_every_tuner_is_listed_once_and_those_that_do_not_run_say_why(simulation):
    listed = {n.removeprefix("nni:") for n in borrowed_strategies() if n.startswith("nni:")}
    assert listed == set(TUNERS)
    assert not listed & set(UNUSABLE)
    for name, reason in UNUSABLE.items():
        with pytest.raises(InputError) as caught:
            simulation.make(f"nni:{name}", simulation.space_of(2))
        assert str(caught.value) == f"strategy.name: nni:{name} cannot be used: {reason}."


def test_a_missing_nni_is_an_error_with_the_command_that_installs_it(simulation, monkeypatch):
    monkeypatch.setitem(sys.modules, "nni", None)
    with pytest.raises(AttnasError) as caught:
        simulation.make("nni:TPE", simulation.space_of(2))
    assert str(caught.value) == (
        "nni:TPE needs NNI, which is not installed: pip install 'attnas[nni]'."
    )


def test_a_loss_is_the_share_of_trials_that_are_at_least_as_good(simulation):
    space = simulation.space_of(5, 1)
    scores = [3, 1, 2, 2]
    trials = [Trial(i, space.at(i), 1, "complete", {"accuracy": s}) for i, s in enumerate(scores)]
    broken = Trial(4, space.at(4), 1, "infeasible", {}, {}, {"latency_ms <= 1": 0.5})
    one = (Objective("accuracy", "max"),)
    assert shares([*trials, broken], one) == [1 / 5, 4 / 5, 3 / 5, 3 / 5, 1]
    assert shares([], one) == []


class TestWithNNI:
    @pytest.fixture(autouse=True)
    def _nni(self):
        pytest.importorskip("nni")

    def test_an_unknown_setting_is_refused(self, simulation):
        with pytest.raises(InputError) as caught:
            simulation.make("nni:Evolution", simulation.space_of(2), populatoin_size=3)
        assert str(caught.value) == (
            "strategy.populatoin_size: unknown setting 'populatoin_size'. "
            "Did you mean 'population_size'?"
        )

    def test_a_setting_that_the_tuner_refuses_is_an_input_error(self, simulation):
        with pytest.raises(InputError, match="strategy: nni:TPE refuses these settings: Type"):
            simulation.make("nni:TPE", simulation.space_of(2, 2), tpe_args={"gama": 1})

    def test_nothing_is_printed(self, simulation, capfd):
        strategy = simulation.make("nni:TPE", simulation.space_of(3, 3))
        assert len(simulation.simulate(strategy, 9)) == 9
        assert capfd.readouterr() == ("", "")

    def test_the_global_generators_come_back_even_after_an_error(self, simulation, monkeypatch):
        strategy = simulation.make("nni:Evolution", simulation.space_of(3, 3))
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        monkeypatch.setattr(nni_tuner, "told", None)
        with pytest.raises(TypeError):
            strategy.propose(History())
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002

    def test_grid_search_goes_through_the_space_in_order(self, simulation):
        space = simulation.space_of(2, 3)
        trials = simulation.simulate(simulation.make("nni:GridSearch", space), 6)
        assert [t.architecture for t in trials] == list(space.enumerate())

    @pytest.mark.parametrize("name", ["nni:TPE", "nni:Evolution"])
    def test_it_learns_from_trials_that_others_proposed(self, simulation, name):
        """The best of 30 given trials share one option; it is proposed more often than by luck."""
        space = simulation.space_of(8, 8, 8)
        rng = np.random.default_rng(0)
        given = list(dict.fromkeys(space.sample(rng) for _ in range(60)))[:30]

        def right(architecture):
            return simulation.genes(architecture)[0] == 5

        history = [
            Trial(i, a, 3, "complete", {"accuracy": 1.0 + right(a)}) for i, a in enumerate(given)
        ]
        assert any(map(right, given))
        one = (Objective("accuracy", "max"),)
        proposed = [
            simulation.make(name, space, seed=seed, objectives=one)
            .propose(History(tuple(history), (), 30))
            .architecture
            for seed in range(30)
        ]
        assert sum(map(right, proposed)) >= 10  # 3.75 by luck
