"""What is handed out, in whatever order it comes back."""

import random
from contextlib import contextmanager

import pytest

from attnas.config import parse_config
from attnas.coordinator import Coordinator
from attnas.evaluation import make_trial, screen, train
from attnas.facts import environment, make_facts
from attnas.observer import Observer
from attnas.problem import make_problem
from attnas.results import Run
from attnas.search_loop import search
from attnas.setup import make_evaluator, make_searcher


@contextmanager
def session(settings, folder):
    """A coordinator on the run in that folder, made if it is not there, and its evaluator."""
    config = parse_config(settings)
    problem = make_problem(config)
    evaluator = make_evaluator(config, problem, None)
    run = (
        Run.open(folder)
        if Run.exists(folder)
        else Run.create(
            folder,
            config=config.model_dump(mode="json", exclude_none=True),
            facts=make_facts(config, problem, evaluator.screen(problem.space.plain)),
            environment=environment(evaluator),
        )
    )
    with run, run.lock():
        strategy = make_searcher(config, problem)
        yield Coordinator(run, config, problem, strategy, Observer()), evaluator


def finish(coordinator, evaluator, task):
    screened = screen(task.proposal, evaluator)
    passed = task.reference or not screened.screening.violations
    trained = train(task.proposal, evaluator, lambda *_: None) if passed else None
    objectives, constraints = coordinator.problem.objectives, coordinator.problem.constraints
    trial = make_trial(
        task.proposal, task.number, screened, trained, objectives, constraints, seed=0
    )
    return coordinator.finish(task, trial)


@pytest.mark.parametrize("strategy", ["random", "evolution", "local", "model", "nsga2", "tpe"])
def test_what_is_in_flight_is_never_handed_out_again(settings, tmp_path, strategy):
    settings["strategy"] = {"name": strategy}
    rng, flying, tasks = random.Random(0), [], []
    with session(settings, tmp_path / "run") as (coordinator, evaluator):
        while not coordinator.ending:
            while len(flying) < 5 and (task := coordinator.next()) is not None:
                flying.append(task)
                tasks.append(task)
            if flying:
                stored = finish(coordinator, evaluator, flying.pop(rng.randrange(len(flying))))
                assert stored == coordinator.run.trials[-1]
        trials = coordinator.run.trials
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len({trial.architecture for trial in trials}) == len(trials)
    assert sum(trial.state != "infeasible" for trial in trials) == 25
    assert sorted(task.number for task in tasks) == list(range(len(tasks)))


def test_the_last_trainings_of_a_budget_are_waited_for(settings, tmp_path):
    settings["budget"] = {"trials": 3}
    settings["constraints"] = {}
    with session(settings, tmp_path / "run") as (coordinator, evaluator):
        tasks = [coordinator.next() for _ in range(4)]
        assert tasks[3] is None
        assert coordinator.ending == ""
        for task in reversed(tasks[:3]):
            assert coordinator.next() is None
            finish(coordinator, evaluator, task)
        assert coordinator.next() is None
        assert coordinator.ending == "Budget used: 3 trials."


def test_a_space_is_used_up_only_when_nothing_is_in_flight(settings, tmp_path):
    settings["search_space"] = {**settings["search_space"], "blocks": ["none", "eca"]}
    settings["constraints"], settings["budget"] = {}, {"trials": 40}
    with session(settings, tmp_path / "run") as (coordinator, evaluator):
        tasks = [coordinator.next() for _ in range(28)]
        assert tasks[27] is None
        assert coordinator.ending == ""
        for task in tasks[:27]:
            finish(coordinator, evaluator, task)
        assert coordinator.next() is None
        assert coordinator.ending.startswith("The search space is used up: of its 27 ")


def test_a_reference_that_was_lost_in_flight_is_handed_out_first_the_next_time(settings, tmp_path):
    with session(settings, tmp_path / "run") as (coordinator, evaluator):
        reference, other = coordinator.next(), coordinator.next()
        assert (reference.reference, other.reference) == (True, False)
        finish(coordinator, evaluator, other)
    with session(settings, tmp_path / "run") as (coordinator, _):
        again = coordinator.next()
        assert again.reference
        assert again.proposal == reference.proposal
        assert again.number == 1


def test_one_after_the_other_gives_the_trials_of_the_local_engine(settings, tmp_path):
    whole = search(settings, runs=tmp_path)
    with session(settings, tmp_path / "run") as (coordinator, evaluator):
        while (task := coordinator.next()) is not None:
            assert task.number == len(coordinator.run.trials)
            finish(coordinator, evaluator, task)
        assert [t.architecture for t in coordinator.run.trials] == [
            t.architecture for t in whole.trials
        ]
