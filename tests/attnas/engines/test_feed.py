"""Tasks that come back trained, and tasks whose workers die."""

from types import SimpleNamespace

import pytest

from attnas.config import parse_config
from attnas.coordinator import Coordinator
from attnas.engines.feed import Feed, death
from attnas.evaluation import EvaluatorLost, screen, train
from attnas.facts import environment, make_facts
from attnas.observer import Observer
from attnas.problem import make_problem
from attnas.results import Run
from attnas.setup import make_evaluator, make_searcher


class Notes(Observer):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


class ProcessEnded(Exception):
    """As Ray's for a dead actor."""


@pytest.fixture
def feeding(settings, tmp_path):
    """A feed of 2 workers on the table, with its run, evaluator and notes."""
    config = parse_config({**settings, "budget": {"trials": 4}, "constraints": {}})
    problem = make_problem(config)
    evaluator = make_evaluator(config, problem, None)
    run = Run.create(
        tmp_path / "run",
        config=config.model_dump(mode="json", exclude_none=True),
        facts=make_facts(config, problem, evaluator.screen(problem.space.plain)),
        environment=environment(evaluator),
    )
    notes = Notes()
    with run, run.lock():
        coordinator = Coordinator(run, config, problem, make_searcher(config, problem), notes)
        feed = Feed(coordinator, lambda p: screen(p, evaluator), workers=2, limit_s=1e-9)
        yield SimpleNamespace(feed=feed, run=run, evaluator=evaluator, notes=notes.texts)


def trained(feeding, task):
    return train(task.proposal, feeding.evaluator, lambda *_: None)


def test_as_many_tasks_are_out_as_there_are_workers_until_the_search_is_over(feeding):
    feed, out, key = feeding.feed, {}, 0
    while not feed.over():
        task = feed.take(str(key))
        if task is None:
            assert len(out) == min(2, 4 - len(feeding.run.trials))
            done = next(iter(out))
            feed.done(done, trained(feeding, out.pop(done)))
        else:
            out[str(key)] = task
        key += 1
        if not out:
            assert feed.take("last") is None
    assert [trial.state for trial in feeding.run.trials] == ["complete"] * 4


def test_a_task_whose_worker_dies_is_trained_again_twice_and_then_fails(feeding):
    feed = feeding.feed
    first = feed.take("a")
    feed.lost("a", ProcessEnded("The actor died unexpectedly"))
    assert feed.take("b") == first
    feed.lost("b", None)
    assert feed.take("c") == first
    assert feeding.run.trials == ()
    feed.lost("c", ProcessEnded("The actor died unexpectedly"))
    [trial] = feeding.run.trials
    assert (trial.state, trial.architecture) == ("failed", first.proposal.architecture)
    assert trial.reason == "worker died: its process ended in each of 3 attempts"
    assert feeding.notes == ["Trial 0: worker died: its process ended; it is trained again."] * 2
    assert feed.take("d").number == 1


def test_a_task_that_died_after_its_time_limit_hung_and_is_not_tried_again(feeding):
    feeding.feed.take("a")
    feeding.feed.began("a")
    feeding.feed.lost("a", ProcessEnded("The actor died unexpectedly"))
    [trial] = feeding.run.trials
    assert trial.state == "failed"
    assert trial.reason == "time limit: it hung, and was ended after 0 s"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (None, "worker died: its process ended"),
        (
            ProcessEnded("Task was killed due to the node running low on memory."),
            "out of memory: the system ended its worker",
        ),
        (
            ProcessEnded("The actor died because its node has died. Node Id: 12"),
            "worker died: its machine was lost",
        ),
        (
            ProcessEnded(
                "The actor died because of an error raised in its creation task,\n"
                "  File mine.py, line 3\nModuleNotFoundError: No module named 'mine'\n"
            ),
            "raised: ModuleNotFoundError: No module named 'mine'",
        ),
    ],
)
def test_what_ray_says_of_a_worker_that_died_is_told_in_a_few_words(error, text):
    assert death(error) == text


def test_a_lost_evaluator_ends_the_search_and_makes_no_failed_trials(feeding):
    class Lost:
        def screen(self, architecture):
            raise EvaluatorLost("the node was lost")

    feed = Feed(feeding.feed.coordinator, lambda p: screen(p, Lost()), workers=2, limit_s=None)
    with pytest.raises(EvaluatorLost, match="the node was lost"):
        feed.take("a")
    assert list(feeding.run.trials) == []
