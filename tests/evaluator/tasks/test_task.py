"""What every task keeps to, and how tasks are found by name."""

import json
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from attnas.core import InputError, metric
from attnas.evaluator import TASKS, Data, Pool, Pools, load_data, make_task, register_task

SOURCES = {
    "classification": ("digits", {}),
    "multi_label": ("shapes", {"items": 200, "size": 16, "targets": "labels"}),
    "segmentation": ("shapes", {"items": 100, "size": 16, "targets": "masks"}),
    "regression": ("shapes", {"items": 200, "size": 16, "targets": "areas"}),
}


@pytest.fixture(scope="module", params=sorted(SOURCES))
def given(request):
    """A task with data for it."""
    task = make_task(request.param, {})
    source, options = SOURCES[request.param]
    return task, load_data(source, task, **options)


def guesses(task, data, seed=0):
    """Random outputs of the right shape for the validation split, as double."""
    shape = (len(data.validation), *task.output_shape(data))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scored(task, data, outputs, batch=None):
    scorer, targets = task.scorer(data), data.validation.targets
    for start in range(0, len(targets), batch or len(targets)):
        stop = start + (batch or len(targets))
        scorer.update(outputs[start:stop], targets[start:stop])
    return scorer.result()


def test_the_tasks_are_those_of_the_folder():
    assert list(TASKS) == sorted(SOURCES)
    assert all(cls.name == name and cls.__doc__ for name, cls in TASKS.items())


def test_its_metrics_are_registered_and_scored(given):
    task, data = given
    assert task.scored in task.metrics
    assert "validation_loss" in task.metrics
    found = scored(task, data, guesses(task, data))
    assert set(found.metrics) == set(task.metrics) == set(task.box(data))
    for name in task.metrics:
        assert not metric(name).cheap
        guessed, perfect = task.box(data)[name]
        assert (guessed < perfect) == (metric(name).better == "max")
        assert guessed != perfect


def test_the_scores_of_the_items_average_to_the_metric(given):
    task, data = given
    found = scored(task, data, guesses(task, data))
    assert found.scores.shape == (len(data.validation),)
    assert found.scores.mean() == pytest.approx(found.metrics[task.scored], abs=1e-12)


@pytest.mark.parametrize("batch", [1, 7])
def test_how_a_split_is_cut_into_batches_changes_nothing(given, batch):
    task, data = given
    outputs = guesses(task, data)
    whole, parts = scored(task, data, outputs), scored(task, data, outputs, batch)
    assert parts.metrics == pytest.approx(whole.metrics, rel=1e-12)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-12)


def test_the_loss_is_a_mean_that_a_step_lowers(given):
    task, data = given
    outputs = guesses(task, data).float().requires_grad_()
    targets, loss = data.validation.targets, task.loss(data, "cpu")
    value = loss(outputs, targets)
    value.backward()
    assert outputs.grad.isfinite().all()
    twice = loss(torch.cat([outputs, outputs]), torch.cat([targets, targets]))
    assert twice.item() == pytest.approx(value.item(), rel=1e-5)
    step = 0.1 * outputs.grad / outputs.grad.abs().max()
    assert loss(outputs - step, targets) < value


def test_facts_are_json_and_strata_numbers_one_an_item(given):
    task, data = given
    assert json.loads(json.dumps(task.data_facts(data))) == task.data_facts(data)
    strata = task.strata(data.train.targets)
    assert strata.shape == (len(data.train),)
    assert strata.dtype == np.int64
    assert 1 < len(np.unique(strata)) < len(strata) / 2


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("classify", {}, "task.name: unknown task 'classify'. Did you mean 'classification'?"),
        (
            "classification",
            {"label_smooth": 0.1},
            "task.label_smooth: unknown setting of the task classification 'label_smooth'. "
            "Did you mean 'label_smoothing'?",
        ),
        (
            "classification",
            {"label_smoothing": 1.5},
            "task.label_smoothing: cannot be 1.5. Write a number from 0 to below 1.",
        ),
        (
            "multi_label",
            {"class_weights": "rare"},
            "task.class_weights: cannot be 'rare'. Write 'balanced', or a list of numbers above 0, "
            "one a class.",
        ),
        (
            "segmentation",
            {"loss_function": "iou"},
            "task.loss_function: cannot be 'iou'. Write cross_entropy or dice.",
        ),
        (
            "regression",
            {"loss_function": "mse"},
            "task.loss_function: cannot be 'mse'. Write squared, absolute, huber.",
        ),
        (
            "no_such_lab:Mine",
            {},
            "task.name: cannot import 'no_such_lab' of 'no_such_lab:Mine': ModuleNotFoundError: "
            "No module named 'no_such_lab'. It must be installed or lie in the working directory.",
        ),
        ("own_task:Half", {}, "task.name: own_task:Half is no task: it lacks scorer, box."),
        ("own_task:Loose", {}, "task.name: own_task:Loose is no task: it is no dataclass."),
        ("own_task:Mine", {"a": 1}, "task.a: the task 'own_task:Mine' has no settings."),
    ],
)
def test_a_wrong_name_or_setting_is_told_with_its_key(own, name, settings, message):
    with pytest.raises(InputError) as caught:
        make_task(name, settings)
    assert str(caught.value) == message


OWN = """
from dataclasses import dataclass
from typing import ClassVar

class Loose:
    name, metrics, scored, spatial = "loose", ("validation_loss",), "validation_loss", False
    def check(self, pools): ...
    def strata(self, targets): return targets.numpy()
    def data_facts(self, data): return {}
    def output_shape(self, data): return (1,)
    def loss(self, data, device): ...
    def scorer(self, data): ...
    def box(self, data): return {}

@dataclass(frozen=True)
class Mine(Loose):
    pass

@dataclass(frozen=True)
class Half:
    name: ClassVar[str] = "half"
    metrics: ClassVar = ("validation_loss",)
    scored, spatial = "validation_loss", False
    def check(self, pools): ...
    def strata(self, targets): ...
    def data_facts(self, data): ...
    def output_shape(self, data): ...
    def loss(self, data, device): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_task.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_task", raising=False)
    yield
    sys.modules.pop("own_task", None)


def test_a_task_of_ones_own_is_found_by_its_path(own):
    assert make_task("own_task:Mine", {}).name == "loose"


def test_a_name_cannot_be_taken_twice():
    class Mine:
        """Another."""

    with pytest.raises(
        ValueError,
        match=r"^task 'regression' is attnas\.evaluator\.tasks\.regression\.Regression already; "
        r"register .*Mine under another name$",
    ):
        register_task("regression")(Mine)
    assert TASKS["regression"] is not Mine


def test_a_registered_task_can_be_asked_for_with_its_settings():
    @dataclass(frozen=True)
    class Counting(TASKS["regression"]):
        """How many there are."""

        at_most: int = 9

        name: ClassVar[str]

    register_task("counting")(Counting)
    try:
        made = make_task("counting", {"at_most": 4, "loss_function": "huber"})
        assert (made.name, made.at_most, made.loss_function) == ("counting", 4, "huber")
        assert made == Counting(at_most=4, loss_function="huber")
        pool = Pool(torch.zeros(4, 2), torch.arange(4.0)[:, None])
        assert made.output_shape(Data(pool, pool, pool, ("n",), {})) == (1,)
        made.check(Pools(pool, ("n",)))
    finally:
        del TASKS._found["counting"], TASKS._defined["counting"]
