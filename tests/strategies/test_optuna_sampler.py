from typing import ClassVar

import optuna
import pytest

from attnas.core import AttnasError, History, InputError, Objective, Proposal
from attnas.strategies import borrowed_strategies
from attnas.strategies.optuna_sampler import OptunaSampler

LATENCY = (Objective("latency_ms", "min"),)


class Recorder(optuna.samplers.RandomSampler):
    """Writes down what it is told."""

    told: ClassVar = []

    def after_trial(self, study, trial, state, values):
        self.told.append((dict(trial.params), state.name, values, trial.constraints))


class OneObjectiveOnly(optuna.samplers.RandomSampler):
    def infer_relative_search_space(self, study, trial):
        assert study.direction.name == "MINIMIZE"
        return {}


def test_short_and_full_names_are_one_sampler(simulation):
    space = simulation.space_of(5, 6, 7)
    short, full = (simulation.make(n, space) for n in ("optuna:TPE", "optuna:TPESampler"))
    assert short == full
    assert short.sampler is optuna.samplers.TPESampler


def test_every_listed_sampler_proposes_something_of_the_space(simulation):
    names = [n for n in borrowed_strategies() if n.startswith("optuna:")]
    assert {"optuna:TPESampler", "optuna:NSGAIISampler", "optuna:GPSampler"} <= set(names)
    space = simulation.space_of(2, 3)
    for name in names:
        proposal = simulation.make(name, space).propose(History())
        assert proposal.architecture in space


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        (
            "optuna:CmaEs",
            {},
            "strategy.name: optuna:CmaEsSampler cannot be used: it samples numbers only, and the "
            "options of a decision are categories without an order. Use optuna:TPESampler, "
            "optuna:NSGAIISampler or optuna:NSGAIIISampler.",
        ),
        (
            "optuna:NSGAIV",
            {},
            "strategy.name: unknown sampler of Optuna 'NSGAIVSampler'. Did you mean "
            "'NSGAIISampler'? `attnas strategies` lists all.",
        ),
        (
            "optuna:TPE",
            {"multivariat": True},
            "strategy.multivariat: unknown setting 'multivariat'. Did you mean 'multivariate'?",
        ),
        (
            "optuna:NSGAII",
            {"population_size": 1},
            "strategy: NSGAIISampler refuses these settings: ValueError: `population_size` must "
            "be greater than or equal to 2.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(simulation, name, settings, problem):
    with pytest.raises(InputError) as caught:
        simulation.make(name, simulation.space_of(2, 3), **settings)
    assert str(caught.value) == problem


def test_a_sampler_of_the_users_own_is_a_strategy_by_its_path(simulation, monkeypatch, tmp_path):
    (tmp_path / "own_samplers.py").write_text(
        "import optuna\nclass Mine(optuna.samplers.RandomSampler):\n    'Mine.'\n"
    )
    monkeypatch.chdir(tmp_path)
    space = simulation.space_of(5, 6, 7)
    strategy = simulation.make("own_samplers:Mine", space)
    assert isinstance(strategy, OptunaSampler)
    of_optuna = simulation.make("optuna:RandomSampler", space)
    assert simulation.simulate(strategy, 20) == simulation.simulate(of_optuna, 20)


def test_the_sampler_hears_losses_and_violations_of_what_was_evaluated(simulation):
    space = simulation.space_of(5, 6, 7)
    strategy = OptunaSampler(space, simulation.OBJECTIVES, 3, 7, Recorder)
    Recorder.told.clear()
    others = [simulation.scored(space.at(i), n) for n, i in enumerate((3, 50))]
    broken = simulation.scored(space.at(77), 2, bound=0.5)
    strategy.propose(History((*others, broken), (), 3))
    worst = max(-t.metrics["accuracy"] for t in others)
    expected = [
        [*([-t.metrics["accuracy"], t.metrics["latency_ms"]] for t in others)],
        [worst, broken.metrics["latency_ms"]],
    ]
    heard = [entry for entry in Recorder.told if entry[1] == "COMPLETE"]
    assert [list(values) for _, _, values, _ in heard] == [*expected[0], expected[1]]
    assert [c["violation"] for *_, c in heard] == [0, 0, broken.violation]
    assert [list(params.values()) for params, *_ in heard] == [
        simulation.genes(t.architecture) for t in (*others, broken)
    ]


def test_trials_in_flight_change_nothing_that_is_remembered(simulation):
    space = simulation.space_of(5, 6, 7)
    strategy = simulation.make("optuna:TPE", space, n_startup_trials=3)
    trials = tuple(simulation.simulate(strategy, 12))
    before = strategy.propose(History(trials, (), 12))
    beside = strategy.propose(History(trials, (before, Proposal(space.at(9), 3)), 14))
    assert beside.architecture not in {before.architecture, space.at(9)}
    assert strategy.propose(History(trials, (), 12)) == before


def test_a_sampler_that_cannot_take_the_objectives_says_so(simulation):
    space = simulation.space_of(2, 3)
    strategy = OptunaSampler(space, simulation.OBJECTIVES, 3, 7, OneObjectiveOnly)
    with pytest.raises(AttnasError, match=r"OneObjectiveOnly failed.*takes one objective only"):
        strategy.propose(History())
    assert OptunaSampler(space, LATENCY, 3, 7, OneObjectiveOnly).propose(History()) is not None
