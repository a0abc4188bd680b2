import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Pools, Recipe, evaluate, load_data, make_task, train


def data_of(labels, classes=("a", "b", "c")):
    labels = torch.as_tensor(labels)
    pool = Pool(torch.zeros(len(labels), 4), labels)
    return Data(pool, pool, pool, classes, {})


def outputs_of(items, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(items, classes, generator=draw, dtype=torch.float64)


LABELS = torch.tensor([0] * 6 + [1] * 3 + [2])


def test_accuracy_and_loss_are_those_of_scikit_learn():
    outputs = outputs_of(500)
    labels = torch.randint(3, (500,), generator=torch.Generator().manual_seed(1))
    scorer = make_task("classification", {}).scorer(data_of(labels))
    scorer.update(outputs, labels)
    found = scorer.result()
    right = outputs.argmax(1) == labels
    assert found.metrics["accuracy"] == accuracy_score(labels, outputs.argmax(1))
    assert found.metrics["validation_loss"] == pytest.approx(log_loss(labels, outputs.softmax(1)))
    assert found.scores.dtype == np.bool_
    assert (found.scores == right.numpy()).all()


@pytest.mark.parametrize(
    ("given", "weights"),
    [(None, None), ("balanced", [10 / 18, 10 / 9, 10 / 3]), ([1, 2, 0.5], [1, 2, 0.5])],
)
def test_weights_and_smoothing_are_those_of_the_written_equation(given, weights):
    """-sum over classes w_c q_c log p_c, q mixed with the uniform one; divided by sum of w_y."""
    outputs, smoothing = outputs_of(10), 0.1
    task = make_task("classification", {"class_weights": given, "label_smoothing": smoothing})
    found = task.loss(data_of(LABELS), "cpu")(outputs.float(), LABELS)
    w = weights or [1.0, 1.0, 1.0]
    total = 0.0
    for logits, label in zip(outputs.tolist(), LABELS.tolist(), strict=True):
        log_sum = math.log(sum(map(math.exp, logits)))
        for c in range(3):
            q = smoothing / 3 + (1 - smoothing) * (c == label)
            total -= w[c] * q * (logits[c] - log_sum)
    assert found.item() == pytest.approx(total / sum(w[label] for label in LABELS), rel=1e-5)


def test_without_settings_it_is_the_plain_cross_entropy():
    outputs = outputs_of(10).float()
    for settings in ({}, {"class_weights": [2, 2, 2]}):
        loss = make_task("classification", settings).loss(data_of(LABELS), "cpu")
        torch.testing.assert_close(loss(outputs, LABELS), F.cross_entropy(outputs, LABELS))


def test_neither_weights_nor_smoothing_change_what_is_scored():
    outputs, results = outputs_of(10), []
    for settings in ({}, {"class_weights": "balanced", "label_smoothing": 0.3}):
        scorer = make_task("classification", settings).scorer(data_of(LABELS))
        scorer.update(outputs, LABELS)
        results.append(scorer.result().metrics)
    assert results[0] == results[1]


def test_an_output_a_class_and_guessing_is_uniform():
    task, data = make_task("classification", {}), data_of(LABELS)
    assert task.output_shape(data) == (3,)
    assert task.box(data) == {
        "accuracy": (1 / 3, 1.0),
        "validation_loss": (pytest.approx(math.log(3)), 0.0),
    }
    assert task.strata(LABELS).tolist() == LABELS.tolist()
    counts = {"train": [6, 3, 1], "validation": [6, 3, 1], "test": [6, 3, 1]}
    assert task.data_facts(data) == {"class_counts": counts}


@pytest.mark.parametrize(
    ("labels", "classes", "settings", "message"),
    [
        ([0, 0], "a", {}, "data: the images have 1 class (a); two or more are needed."),
        (
            [0.0, 1.0],
            "ab",
            {},
            "data: the train labels are torch.float32 of shape (2,); torch.int64 of shape (2,) is "
            "needed to classify.",
        ),
        (
            [[0], [1]],
            "ab",
            {},
            "data: the train labels are torch.int64 of shape (2, 1); torch.int64 of shape (2,) is "
            "needed to classify.",
        ),
        (
            [0, 2],
            "ab",
            {},
            "data: the train labels run from 0 to 2; with 2 classes they must run from 0 to 1.",
        ),
        ([1, 1], "ab", {}, "data: the labels start at 1; they must start at 0."),
        ([0, 1], "abc", {}, "data: no training image of the class 'c'."),
        (
            [0, 1],
            "ab",
            {"class_weights": [1, 2, 3]},
            "task.class_weights: has 3 weights for the 2 classes of the data.",
        ),
    ],
)
def test_targets_that_it_cannot_take_are_refused(labels, classes, settings, message):
    pool = Pool(torch.zeros(len(labels), 4), torch.tensor(labels))
    with pytest.raises(InputError) as caught:
        make_task("classification", settings).check(Pools(pool, tuple(classes)))
    assert str(caught.value) == message


def test_the_other_parts_are_checked_too():
    pool, wrong = (Pool(torch.zeros(2, 4), torch.tensor(t)) for t in ([0, 1], [0, 5]))
    with pytest.raises(InputError, match="the test labels run from 0 to 5"):
        make_task("classification", {}).check(Pools(pool, ("a", "b"), test=wrong))


def test_a_wrong_number_of_weights_is_told_before_anything_is_trained():
    with pytest.raises(InputError, match=r"^task\.class_weights: has 2 weights for the 10"):
        load_data("digits", make_task("classification", {"class_weights": [1, 2]}))


def test_training_raises_the_accuracy_and_balance_helps_the_rare_class():
    """Two overlapping classes, one of them seven times as frequent."""
    draw = torch.Generator().manual_seed(0)
    labels = (torch.arange(400) % 8 == 0).long()
    inputs = torch.randn(400, 2, generator=draw) + 1.5 * labels[:, None]
    pool = Pool(inputs, labels)
    data = Data(pool, pool, pool, ("often", "rare"), {})
    recipe = Recipe(epochs=15, batch_size=50, learning_rate=0.1, precision="float32")
    recalls = {}
    for weights in (None, "balanced"):
        task = make_task("classification", {"class_weights": weights})
        network = nn.Linear(2, 2)
        nn.init.zeros_(network.weight)
        with torch.no_grad():
            network.bias.copy_(torch.tensor([0.0, 1.0]))
        before = evaluate(network, data.validation, data, task, recipe)
        after = train(network, data, task, recipe, seed=0)
        assert before.metrics["accuracy"] == 0.125
        assert after.metrics["accuracy"] > 0.8
        assert after.metrics["validation_loss"] < before.metrics["validation_loss"]
        recalls[weights] = after.scores.values[labels == 1].mean()
    assert recalls["balanced"] > recalls[None] + 0.2
