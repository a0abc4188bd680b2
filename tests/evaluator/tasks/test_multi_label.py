import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given as drawing
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Pools, Recipe, evaluate, make_task, split_pools, train
from attnas.evaluator.tasks.multi_label import average_precisions

TASK = make_task("multi_label", {})


def slow_average_precision(outputs, positive):
    """The mean over the positives of the share of positives among all that are no less."""
    precisions = [
        np.mean([q for o, q in zip(outputs, positive, strict=True) if o >= output])
        for output, hit in zip(outputs, positive, strict=True)
        if hit
    ]
    return float(np.mean(precisions)) if precisions else 0.0


items = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=14).filter(
    lambda drawn: any(hit for _, hit in drawn)
)


@drawing(drawn=items)
@settings(deadline=None, max_examples=200)
def test_average_precision_is_that_of_a_slow_loop_and_of_scikit_learn_also_with_ties(drawn):
    outputs, positive = (np.array(column) for column in zip(*drawn, strict=True))
    value, _ = average_precisions(outputs.astype(float), positive)
    assert value == pytest.approx(slow_average_precision(outputs, positive), abs=1e-12)
    assert value == pytest.approx(average_precision_score(positive, outputs), abs=1e-12)


@drawing(drawn=items)
@settings(deadline=None, max_examples=200)
def test_the_value_without_an_item_is_that_of_the_other_items(drawn):
    outputs, positive = (np.array(column) for column in zip(*drawn, strict=True))
    _, without = average_precisions(outputs.astype(float), positive)
    for i in range(len(drawn)):
        rest = np.arange(len(drawn)) != i
        expected = slow_average_precision(outputs[rest], positive[rest])
        assert without[i] == pytest.approx(expected, abs=1e-12)


@drawing(drawn=items, order=st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_items_does_not_matter(drawn, order):
    shuffled = order.sample(range(len(drawn)), len(drawn))
    outputs, positive = (np.array(column) for column in zip(*drawn, strict=True))
    value, without = average_precisions(outputs.astype(float), positive)
    again, other = average_precisions(outputs[shuffled].astype(float), positive[shuffled])
    assert again == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(other, without[shuffled], atol=1e-12)


def drawn_items(n, labels, seed=0, signal=1.5, digits=None):
    """Outputs that rank the positives of each label above the others, more or less."""
    rng = np.random.default_rng(seed)
    targets = rng.random((n, labels)) < rng.uniform(0.1, 0.5, labels)
    outputs = rng.normal(size=(n, labels)) + signal * targets
    outputs = outputs if digits is None else outputs.round(digits)
    return torch.from_numpy(outputs), torch.from_numpy(targets.astype(np.int64))


def data_of(targets, classes=None):
    pool = Pool(torch.zeros(len(targets), 2), targets)
    names = classes or tuple(f"label {i}" for i in range(targets.shape[1]))
    return Data(pool, pool, pool, names, {})


def scored(outputs, targets, task=TASK):
    scorer = task.scorer(data_of(targets))
    scorer.update(outputs, targets)
    return scorer.result()


@pytest.mark.parametrize("digits", [None, 0])
def test_the_metric_is_scikit_learns_mean_over_the_labels(digits):
    outputs, targets = drawn_items(300, 5, digits=digits)
    found = scored(outputs, targets)
    expected = average_precision_score(targets, outputs, average="macro")
    assert found.metrics["mean_average_precision"] == pytest.approx(expected, abs=1e-12)
    p, t = outputs.sigmoid(), targets.double()
    loss = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
    assert found.metrics["validation_loss"] == pytest.approx(loss.item())


def test_the_score_of_an_item_is_its_pseudo_value_and_their_mean_the_metric():
    outputs, targets = drawn_items(40, 3)
    found = scored(outputs, targets)
    metric = found.metrics["mean_average_precision"]
    pseudo = []
    for i in range(40):
        rest = torch.arange(40) != i
        without = average_precision_score(targets[rest], outputs[rest], average="macro")
        pseudo.append(40 * metric - 39 * without)
    pseudo = np.array(pseudo)
    np.testing.assert_allclose(found.scores - metric, pseudo - pseudo.mean(), atol=1e-10)
    assert found.scores.mean() == pytest.approx(metric, abs=1e-12)


def test_the_scores_have_the_standard_error_of_the_metric_and_of_paired_differences():
    """Against what the metric, and the difference of two networks, varies by over 300 splits."""
    rng, found = np.random.default_rng(0), []
    n = 150
    for _ in range(300):
        targets = rng.random((n, 2)) < (0.3, 0.15)
        outputs = rng.normal(size=(n, 2)) + 1.5 * targets
        noisy = outputs + rng.normal(0, 0.5, outputs.shape)
        labels = torch.from_numpy(targets.astype(np.int64))
        one, other = (scored(torch.from_numpy(o), labels) for o in (outputs, noisy))
        metrics = [s.metrics["mean_average_precision"] for s in (one, other)]
        errors = [s.std(ddof=1) / math.sqrt(n) for s in (one.scores, one.scores - other.scores)]
        found.append((metrics[0], metrics[0] - metrics[1], *errors))
    metric, difference, error, paired = np.array(found).T
    assert error.mean() == pytest.approx(metric.std(), rel=0.12)
    assert paired.mean() == pytest.approx(difference.std(), rel=0.12)
    assert paired.mean() < 0.7 * error.mean()


def test_labels_that_no_item_has_are_left_out():
    outputs, targets = drawn_items(60, 3)
    targets[:, 1] = 0
    found = scored(outputs, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        each = [average_precision_score(targets[:, i], outputs[:, i]) for i in (0, 2)]
    assert found.metrics["mean_average_precision"] == pytest.approx(np.mean(each))
    nothing = scored(outputs, torch.zeros_like(targets))
    assert nothing.metrics["mean_average_precision"] == 0
    assert nothing.scores.tolist() == [0] * 60


def test_outputs_that_are_all_equal_are_worth_the_share_of_the_positives():
    _, targets = drawn_items(90, 2)
    found = scored(torch.ones(90, 2), targets)
    share = targets.float().mean(0)
    assert found.metrics["mean_average_precision"] == pytest.approx(share.mean().item())
    guessed, perfect = TASK.box(data_of(targets))["mean_average_precision"]
    assert (guessed, perfect) == (pytest.approx(share.mean().item()), 1.0)
    entropy = -(share * share.log() + (1 - share) * (1 - share).log()).mean()
    assert TASK.box(data_of(targets))["validation_loss"] == (pytest.approx(entropy.item()), 0.0)


@pytest.mark.parametrize(
    ("given", "weights"),
    [(None, [1, 1]), ("balanced", [5 / (2 * 4), 5 / (2 * 1)]), ([3, 0.5], [3, 0.5])],
)
def test_weights_weigh_the_labels_in_the_training_loss(given, weights):
    outputs, _ = drawn_items(10, 2)
    targets = torch.tensor([[1, 0]] * 4 + [[0, 1]] + [[0, 0]] * 5)
    task = make_task("multi_label", {"class_weights": given})
    found = task.loss(data_of(targets), "cpu")(outputs.float(), targets)
    total = 0.0
    for row, hits in zip(outputs.tolist(), targets.tolist(), strict=True):
        for w, output, hit in zip(weights, row, hits, strict=True):
            p = 1 / (1 + math.exp(-output))
            total -= w * math.log(p if hit else 1 - p)
    assert found.item() == pytest.approx(total / 20, rel=1e-5)
    assert scored(outputs, targets, task).metrics == scored(outputs, targets).metrics


def test_splits_share_out_the_rarest_label_of_each_item():
    targets = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 0, 1], [0, 1, 1]])
    # label 3 is everybody's, label 1 has three items and label 2 two
    assert TASK.strata(targets).tolist() == [1, 2, 3, 1, 2]
    assert TASK.strata(torch.tensor([[0, 0], [1, 0], [0, 0], [1, 1]])).tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            [0, 1],
            "data: the train targets are torch.int64 of shape (2,); whole numbers 0 and 1 of shape "
            "(N, 2), one column a label, are needed.",
        ),
        (
            [[0, 1, 1]],
            "data: the train targets are torch.int64 of shape (1, 3); whole numbers 0 and 1 of "
            "shape (N, 2), one column a label, are needed.",
        ),
        (
            [[0.0, 1.0]],
            "data: the train targets are torch.float32 of shape (1, 2); whole numbers 0 and 1 of "
            "shape (N, 2), one column a label, are needed.",
        ),
        ([[0, 2]], "data: the train targets are not all 0 or 1."),
        ([[-1, 1]], "data: the train targets are not all 0 or 1."),
        ([[1, 0], [0, 0]], "data: no training item has the label 'dog'."),
    ],
)
def test_targets_that_it_cannot_take_are_refused(targets, message):
    pool = Pool(torch.zeros(len(targets), 2), torch.tensor(targets))
    with pytest.raises(InputError) as caught:
        TASK.check(Pools(pool, ("cat", "dog")))
    assert str(caught.value) == message


def test_a_wrong_number_of_weights_is_refused():
    pool = Pool(torch.zeros(2, 2), torch.tensor([[1, 0], [0, 1]]))
    with pytest.raises(InputError) as caught:
        make_task("multi_label", {"class_weights": [1]}).check(Pools(pool, ("cat", "dog")))
    assert str(caught.value) == "task.class_weights: has 1 weights for the 2 classes of the data."


def test_a_label_that_the_split_leaves_without_training_items_is_named():
    whole, none = torch.tensor([[1, 1], [0, 1]]), torch.tensor([[1, 0], [0, 0]])
    pools = [Pool(torch.zeros(2, 2), targets) for targets in (none, whole, whole)]
    with pytest.raises(InputError) as caught:
        TASK.data_facts(Data(*pools, ("cat", "dog"), {}))
    assert str(caught.value) == "data.train: the label 'dog' gets no training item."
    assert TASK.data_facts(Data(*reversed(pools), ("cat", "dog"), {})) == {"label_counts": [1, 2]}


def test_training_raises_the_mean_average_precision():
    """Three labels, each a bright square at a place of its own in a noisy image."""
    rng = np.random.default_rng(0)
    targets = torch.from_numpy((rng.random((300, 3)) < (0.5, 0.3, 0.15)).astype(np.int64))
    images = torch.from_numpy(rng.integers(0, 150, (300, 1, 16, 16), dtype=np.uint8))
    for label, (row, column) in enumerate(((1, 1), (1, 9), (9, 5))):
        images[:, 0, row : row + 6, column : column + 6] += 30 * targets[:, label, None, None].to(
            torch.uint8
        )
    data = split_pools(
        Pools(Pool(images, targets), ("one", "two", "three")),
        TASK,
        {"test": None, "validation": None, "train": None},
        split_seed=0,
        facts={},
    )
    assert TASK.output_shape(data) == (3,)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3))
    recipe = Recipe(epochs=10, batch_size=20, learning_rate=0.05, precision="float32")
    before = evaluate(network, data.validation, data, TASK, recipe)
    after = train(network, data, TASK, recipe, seed=0)
    found = "mean_average_precision"
    assert before.metrics[found] < 0.7
    assert after.metrics[found] > 0.85
    assert after.metrics["validation_loss"] < before.metrics["validation_loss"]
    assert (after.scores.kind, after.scores.items) == ("float32", 60)
    assert after.scores.mean == pytest.approx(after.metrics[found], abs=1e-5)
    low, high = after.intervals[found]
    assert low < after.metrics[found] < high
