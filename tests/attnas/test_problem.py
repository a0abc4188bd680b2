"""What a config asks for, held against what tasks, metrics and trainings can give."""

import pytest

from attnas.config import parse_config
from attnas.core import METRICS, Constraint, InputError, Objective
from attnas.problem import make_problem, read_backbone

SMALL = {
    "data": {"source": "digits", "train": 60, "validation": 30, "test": 30},
    "search_space": {"backbone": {"name": "resnet_cifar", "depth": 8, "width": 4}},
}
OWN = """
import torch

def fit(*, network, epochs):
    return {"score": 1.0}

def keyless(model):
    return {"score": 1.0}

def network(width=4):
    return torch.nn.Sequential(torch.nn.Conv2d(2, width, 3), torch.nn.Conv2d(width, 1, 3))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module with trainings of one's own."""
    (tmp_path / "own_problem.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return {
        "training": {"function": "own_problem:fit"},
        "search_space": {
            "backbone": {
                "factory": "own_problem:network",
                "stages": {"only": {"units": ["0"], "sites": {"post": {"after": ""}}}},
                "input_shape": [2, 12, 12],
            },
            "placements": ["post"],
        },
        "objectives": {"score": "max", "params": "min"},
    }


def error_of(content):
    with pytest.raises(InputError) as caught:
        make_problem(parse_config(content))
    return str(caught.value)


def test_without_objectives_the_metric_of_the_task_and_the_latency_are_pushed():
    problem = make_problem(parse_config(SMALL))
    assert problem.objectives == (Objective("accuracy", "max"), Objective("latency_ms", "min"))
    assert problem.task.name == "classification"
    assert problem.space.backbone.output_shape == (10,)
    assert problem.function is problem.table is None


def test_the_metrics_of_a_problem_are_those_of_objectives_and_constraints_once():
    content = {
        **SMALL,
        "objectives": {"accuracy": "max", "params": "min"},
        "constraints": {"params": "<= 1.2x", "flops": "<= 1e9"},
    }
    problem = make_problem(parse_config(content))
    assert problem.metrics == ("accuracy", "params", "flops")
    assert problem.constraints == (
        Constraint("params", "<=", 1.2, relative=True),
        Constraint("flops", "<=", 1e9),
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"objectives": {"mean_iou": "max"}},
            "objectives.mean_iou: the task 'classification' does not give it, but accuracy, "
            "validation_loss.",
        ),
        (
            {"constraints": {"dice": ">= 0.5"}},
            "constraints.dice: the task 'classification' does not give it, but accuracy, "
            "validation_loss.",
        ),
        (
            {"metrics": ["synflo"]},
            "metrics[0]: unknown metric 'synflo'. Did you mean 'synflow'?",
        ),
        ({"task": "clasification"}, "task.name: unknown task 'clasification'. Did you mean "),
        (
            {"task": {"name": "classification", "smoothing": 0.1}},
            "task.smoothing: unknown setting of the task classification 'smoothing'. Did you mean "
            "'label_smoothing'?",
        ),
        (
            {"task": {"name": "classification", "label_smoothing": 1}},
            "task.label_smoothing: cannot be 1. Write a number from 0 to below 1.",
        ),
        ({"task": "mine:Task"}, "task.name: cannot import 'mine' of 'mine:Task': "),
        (
            {"search_space": {"backbone": {**SMALL["search_space"]["backbone"],
                                           "input_shape": [1, 8, 8]}}},
            "search_space.backbone.input_shape: is that of the data. Leave it out.",
        ),
        ({"data": None}, "data: is missing: the built-in training needs data."),
        (
            {"objectives": {"validation_loss": "max"}},
            "objectives.validation_loss: 'max' looks for the worst. Write 'min'.",
        ),
        (
            {"constraints": {"accuracy": ">= 0.98x"}},
            "constraints.accuracy: '>= 0.98x' is relative to the plain backbone, whose accuracy is "
            "known only after its training. Write an absolute bound.",
        ),
    ],
)  # fmt: skip
def test_what_a_task_does_not_give_or_know_is_refused_with_its_key(changes, said):
    assert error_of({**SMALL, **changes}).startswith(said)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"arguments": {"wdth": [4, 8]}},
            "search_space.arguments.wdth[0]: unknown option of resnet_cifar 'wdth'. Did you mean "
            "'width'?",
        ),
        ({"arguments": {"width": []}}, "search_space.arguments.width: is an empty list"),
        ({"arguments": {"width": [4, 0]}}, "search_space.arguments.width"),
        ({"per": "units"}, "search_space.per: unknown value 'units'. Did you mean 'unit'?"),
        ({"depth": [0]}, "search_space.depth[0]: must be a number of units from 1 up, not 0."),
        (
            {"stages": {"layer1": {"depth": [3]}}},
            "search_space.stages.layer1.depth[0]: layer1 has 1 units, not 3.",
        ),
        (
            {"decisions": {"mine": {"kind": "atention", "options": ["none"]}}},
            "search_space.decisions.mine.kind: unknown kind of decision 'atention'. Did you mean "
            "'attention'?",
        ),
        (
            {"decisions": {"mine": {"options": ["none"]}}},
            "search_space.decisions.mine: must be a mapping with 'kind' and 'options'.",
        ),
    ],
)
def test_wrong_decisions_are_refused_with_their_key(space, said):
    content = {**SMALL, "search_space": {**SMALL["search_space"], **space}}
    assert error_of(content).startswith(said)


def test_a_training_of_ones_own_brings_its_metric_and_reads_no_data(own):
    problem = make_problem(parse_config(own))
    assert (problem.task, problem.data) == (None, None)
    assert problem.function.__name__ == "fit"
    assert problem.objectives == (Objective("score", "max"), Objective("params", "min"))
    assert problem.space.backbone.input_shape == (2, 12, 12)
    assert problem.space.backbone.output_shape == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objectives": None}, "objectives: is missing: name a metric that your training returns, "
         "and its direction."),
        ({"training": {"function": "own_problem:keyless"}}, "training.function: 'own_problem:"
         "keyless' must take the keyword argument 'network'."),
        ({"training": {"function": "own_problem:fti"}}, "training.function: 'own_problem' has no "
         "function 'fti'. Did you mean 'fit'?"),
        ({"constraints": {"score": ">= 0.9x"}}, "constraints.score: '>= 0.9x' is relative to the "
         "plain backbone, whose score is known only after its training. Write an absolute bound."),
        ({"objectives": {"params": "max"}}, "objectives.params: 'max' looks for the worst. Write "
         "'min'."),
    ],
)  # fmt: skip
def test_what_a_training_of_ones_own_cannot_be_asked_for_is_refused(own, changes, said):
    assert error_of({**own, **changes}).startswith(said)


def test_one_of_our_backbones_takes_the_classes_of_the_data_for_a_training_of_ones_own(own):
    space = SMALL["search_space"]
    assert error_of({**own, "search_space": space}) == (
        "search_space.backbone.name: one of ours needs a number of classes, which data would give. "
        "Name a network of your own by 'factory', or give 'data'."
    )
    problem = make_problem(parse_config({**own, "search_space": space, "data": SMALL["data"]}))
    assert (problem.task, problem.data.input_shape) == (None, (1, 8, 8))
    assert problem.space.backbone.output_shape == (10,)


def test_a_bound_on_a_metric_of_ones_own_is_absolute(own):
    problem = make_problem(parse_config({**own, "constraints": {"score": ">= 20"}}))
    assert problem.constraints == (Constraint("score", ">=", 20.0),)
    assert "score" not in METRICS


def test_a_replayed_table_stands_for_images_of_ten_classes():
    config = parse_config({"search_space": SMALL["search_space"]}).search_space.backbone
    backbone = read_backbone(config, None, make_problem(parse_config(SMALL)).task)
    assert (backbone.input_shape, backbone.output_shape) == ((3, 32, 32), (10,))
