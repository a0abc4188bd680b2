import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score, log_loss
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Pools, Recipe, evaluate, load_data, make_task, train
from attnas.evaluator.tasks.segmentation import soft_dice_loss

TASK = make_task("segmentation", {})
CLASSES = ("background", "liver", "kidney")


def data_of(masks, classes=CLASSES):
    masks = torch.as_tensor(np.asarray(masks), dtype=torch.uint8)
    images = torch.zeros(len(masks), 1, *masks.shape[1:], dtype=torch.uint8)
    pool = Pool(images, masks)
    return Data(pool, pool, pool, classes, {})


def outputs_for(predicted, classes=3):
    """Outputs whose greatest is the predicted class of each pixel."""
    predicted = torch.as_tensor(np.asarray(predicted)).long()
    return F.one_hot(predicted, classes).movedim(-1, 1).double()


def scored(outputs, masks, classes=CLASSES):
    masks = torch.as_tensor(np.asarray(masks), dtype=torch.uint8)
    scorer = TASK.scorer(data_of(masks, classes))
    scorer.update(outputs, masks)
    return scorer.result()


def drawn(seed, images=6, side=5, ignored=True, present=(0, 1, 2)):
    """Masks with ignored pixels, and a prediction that is often right."""
    rng = np.random.default_rng(seed)
    masks = rng.choice(present, (images, side, side))
    predicted = np.where(rng.random(masks.shape) < 0.6, masks, rng.integers(3, size=masks.shape))
    if ignored:
        masks[rng.random(masks.shape) < 0.2] = 255
    return masks, predicted


def slow_dice(mask, predicted, classes):
    """Of one image, pixel by pixel: the mean over the classes in the mask or the prediction."""
    found = []
    for c in range(classes):
        both = truth = guess = 0
        for t, p in zip(mask.flat, predicted.flat, strict=True):
            if t != 255:
                both, truth, guess = both + (t == p == c), truth + (t == c), guess + (p == c)
        if truth + guess:
            found.append(2 * both / (truth + guess))
    return np.mean(found)


def slow_iou(masks, predicted, classes):
    found = []
    for c in range(classes):
        pixels = [(t, p) for t, p in zip(masks.flat, predicted.flat, strict=True) if t != 255]
        whole = sum(t == c or p == c for t, p in pixels)
        if whole:
            found.append(sum(t == p == c for t, p in pixels) / whole)
    return np.mean(found)


@given(seed=st.integers(0, 10_000), present=st.sampled_from([(0, 1, 2), (0, 2), (1,)]))
@settings(deadline=None, max_examples=60)
def test_dice_and_mean_iou_are_those_of_plain_loops(seed, present):
    masks, predicted = drawn(seed, present=present)
    found = scored(outputs_for(predicted), masks)
    each = [slow_dice(m, p, 3) for m, p in zip(masks, predicted, strict=True)]
    np.testing.assert_allclose(found.scores, each, atol=1e-12)
    assert found.metrics["dice"] == pytest.approx(np.mean(each))
    assert found.metrics["mean_iou"] == pytest.approx(slow_iou(masks, predicted, 3))


@pytest.mark.parametrize("ignored", [False, True])
def test_mean_iou_is_scikit_learns_on_the_pixels_that_have_a_class(ignored):
    masks, predicted = drawn(1, images=20, ignored=ignored)
    found = scored(outputs_for(predicted), masks)
    meant = masks != 255
    expected = jaccard_score(masks[meant], predicted[meant], average="macro")
    assert found.metrics["mean_iou"] == pytest.approx(expected, abs=1e-12)


def test_a_class_that_is_nowhere_counts_for_nothing():
    masks, predicted = drawn(2, ignored=False, present=(0, 1))
    predicted[predicted == 2] = 0
    three, two = (scored(outputs_for(predicted, n), masks, CLASSES[:n]).metrics for n in (3, 2))
    assert three["dice"] == two["dice"]
    assert three["mean_iou"] == two["mean_iou"]


def test_a_class_that_is_predicted_where_it_is_not_costs_its_share():
    masks = np.zeros((2, 2, 2), dtype=int)
    predicted = masks.copy()
    predicted[0, 0, 0] = 1
    found = scored(outputs_for(predicted), masks)
    first = (2 * 3 / (4 + 3) + 0) / 2  # background is right in 3 of 4 pixels, liver nowhere
    assert found.scores.tolist() == [pytest.approx(first), 1]
    assert found.metrics["mean_iou"] == pytest.approx((7 / 8 + 0) / 2)


def test_the_loss_is_the_mean_over_the_pixels_that_have_a_class():
    masks, _ = drawn(3)
    outputs = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(0)).double()
    shares = outputs.softmax(1).movedim(1, -1)[torch.from_numpy(masks != 255)]
    expected = log_loss(masks[masks != 255], shares, labels=[0, 1, 2])
    assert scored(outputs, masks).metrics["validation_loss"] == pytest.approx(expected)
    loss = TASK.loss(data_of(masks), "cpu")(outputs.float(), torch.from_numpy(masks))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("given_weights", "weights"),
    [("balanced", [24 / (3 * 16), 24 / (3 * 6), 24 / (3 * 2)]), ([1, 5, 0.5], [1, 5, 0.5])],
)
def test_weights_weigh_the_pixels_of_the_classes_without_the_ignored_ones(given_weights, weights):
    masks = torch.tensor([0] * 16 + [1] * 6 + [2] * 2 + [255] * 8, dtype=torch.uint8).view(2, 4, 4)
    outputs = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    task = make_task("segmentation", {"class_weights": given_weights})
    found = task.loss(data_of(masks), "cpu")(outputs, masks)
    logs, w = outputs.log_softmax(1), torch.tensor(weights)
    total = heaviness = 0.0
    for n, row, column in np.ndindex(2, 4, 4):
        if (c := int(masks[n, row, column])) != 255:
            total -= w[c] * logs[n, c, row, column]
            heaviness += w[c]
    assert found.item() == pytest.approx((total / heaviness).item(), rel=1e-5)


def test_the_soft_dice_loss_is_that_of_the_written_formula():
    """1 - mean over classes of 2 sum p t / (sum p + sum t), sums over the batch's pixels."""
    masks, _ = drawn(4)
    outputs = torch.randn(6, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    shares = outputs.softmax(1).numpy()
    ratios = []
    for c in range(3):
        both = p_sum = t_sum = 0.0
        for n, row, column in np.ndindex(6, 5, 5):
            if masks[n, row, column] != 255:
                p, t = shares[n, c, row, column], float(masks[n, row, column] == c)
                both, p_sum, t_sum = both + p * t, p_sum + p, t_sum + t
        ratios.append(2 * both / (p_sum + t_sum))
    task = make_task("segmentation", {"loss_function": "dice"})
    loss = task.loss(data_of(masks), "cpu")(outputs, torch.from_numpy(masks))
    assert loss.item() == pytest.approx(1 - np.mean(ratios), abs=1e-5)


def test_the_soft_dice_loss_is_0_for_a_sure_and_right_network_and_ignores_pixels():
    masks, _ = drawn(5)
    masks, sure = torch.from_numpy(masks), 50 * outputs_for(np.where(masks == 255, 0, masks))
    assert soft_dice_loss(sure.float(), masks).item() == pytest.approx(0, abs=1e-6)
    elsewhere = sure.float().clone().requires_grad_()
    loss = soft_dice_loss(elsewhere, masks)
    loss.backward()
    ignored = (masks == 255)[:, None].expand_as(elsewhere)
    assert elsewhere.grad.isfinite().all()
    assert elsewhere.grad[ignored].abs().max() == 0
    nothing = torch.full_like(masks, 255)
    assert soft_dice_loss(sure.float(), nothing).isfinite()


def test_an_output_a_class_and_pixel():
    data = data_of(np.zeros((3, 6, 4)))
    assert TASK.output_shape(data) == (3, 6, 4)
    assert TASK.spatial
    assert TASK.box(data)["dice"] == TASK.box(data)["mean_iou"] == (0.0, 1.0)
    assert TASK.box(data)["validation_loss"] == (pytest.approx(math.log(3)), 0.0)


def test_splits_share_out_the_most_frequent_class_beside_the_background():
    masks = torch.zeros(5, 2, 3, dtype=torch.uint8)
    masks[1, 0, 0] = 1
    masks[2] = torch.tensor([[2, 2, 1], [0, 0, 0]])
    masks[3] = 255
    masks[4] = torch.tensor([[2, 255, 255], [255, 255, 1]])  # a tie goes to the first
    assert TASK.strata(masks).tolist() == [0, 1, 2, 0, 1]
    assert TASK.strata(torch.zeros(3, 2, 2, dtype=torch.uint8)).tolist() == [0, 0, 0]


def test_facts_count_the_training_pixels_of_each_class():
    assert TASK.data_facts(data_of([[[0, 0], [2, 255]]])) == {"pixel_counts": [2, 0, 1]}


@pytest.mark.parametrize(
    ("masks", "classes", "settings", "message"),
    [
        (
            torch.zeros(2, 4, 4, dtype=torch.uint8),
            ("background",),
            {},
            "data: two classes or more are needed, background included.",
        ),
        (
            torch.zeros(2, 4, 4, dtype=torch.int64),
            CLASSES,
            {},
            "data: the train masks are torch.int64 of shape (2, 4, 4); torch.uint8 of shape "
            "(2, 4, 4) is needed.",
        ),
        (
            torch.zeros(2, 4, 5, dtype=torch.uint8),
            CLASSES,
            {},
            "data: the train masks are torch.uint8 of shape (2, 4, 5); torch.uint8 of shape "
            "(2, 4, 4) is needed.",
        ),
        (
            torch.zeros(2, dtype=torch.uint8),
            CLASSES,
            {},
            "data: the train masks are torch.uint8 of shape (2,); torch.uint8 of shape (2, 4, 4) "
            "is needed.",
        ),
        (
            torch.full((2, 4, 4), 3, dtype=torch.uint8),
            CLASSES,
            {},
            "data: a pixel of the train masks is 3; with 3 classes pixels run from 0 to 2, and "
            "255 means none.",
        ),
        (
            torch.tensor([0, 255], dtype=torch.uint8)[:, None, None].repeat(1, 4, 4),
            CLASSES,
            {},
            "data: 1 of the train masks (the first is number 1) have no pixel of a class, 255 "
            "throughout. Leave these images out.",
        ),
        (
            torch.zeros(2, 4, 4, dtype=torch.uint8),
            CLASSES,
            {"class_weights": [1, 2]},
            "task.class_weights: has 2 weights for the 3 classes of the data.",
        ),
    ],
)
def test_targets_that_it_cannot_take_are_refused(masks, classes, settings, message):
    pool = Pool(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), masks)
    with pytest.raises(InputError) as caught:
        make_task("segmentation", settings).check(Pools(pool, classes))
    assert str(caught.value) == message


def test_pixels_without_a_class_are_taken():
    masks = torch.tensor([[[0, 1], [2, 255]]], dtype=torch.uint8)
    TASK.check(Pools(Pool(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), masks), CLASSES))


@pytest.mark.parametrize("loss_function", ["cross_entropy", "dice"])
def test_training_raises_dice_and_mean_iou(loss_function):
    task = make_task("segmentation", {"loss_function": loss_function})
    data = load_data("shapes", task, items=150, size=16, noise=0.05)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 4, 1),
        )
    recipe = Recipe(epochs=8, batch_size=15, learning_rate=0.1, precision="float32")
    before = evaluate(network, data.validation, data, task, recipe)
    after = train(network, data, task, recipe, seed=0)
    for name in ("dice", "mean_iou"):
        assert after.metrics[name] > before.metrics[name] + 0.1
    assert after.losses[-1] < after.losses[0]
    assert (after.scores.metric, after.scores.items) == ("dice", 30)
    assert after.scores.mean == pytest.approx(after.metrics["dice"], abs=1e-6)
