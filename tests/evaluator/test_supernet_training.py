"""What a strategy that trains a supernet is handed."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.core import SupernetTraining
from attnas.evaluator import Batches, Data, Pool, Recipe, SharedTraining, load_data, make_task
from attnas.evaluator.data.statistics import channel_statistics
from attnas.evaluator.recipe import one_cycle
from attnas.search_space import Backbone, SearchSpace

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (10,))
SPACE = SearchSpace.create(BACKBONE, blocks=["none", "se"], ratios=[2], placements=["residual"])
RECIPE = Recipe(batch_size=32, learning_rate=0.1, warmup=0.2, precision="float32")
TASK = make_task("classification", {})


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", TASK, train=200, validation=100)


def shared(data, *, seed=5, recipe=RECIPE, task=TASK, space=SPACE):
    return SharedTraining(space, data, task, recipe, seed=seed)


def items(training, part, data):
    """The training items of a part, by their bytes."""
    mean, deviation = channel_statistics(data.train.inputs)
    inputs = torch.cat([x for x, _ in training.epoch(part, 0, 0)])
    levels = (inputs * deviation[:, None, None] + mean[:, None, None]).round().to(torch.uint8)
    return sorted(map(bytes, levels.numpy()))


def unaugmented(**more):
    return RECIPE.model_copy(update={"augment": "none", "batch_size": 20, **more})


def test_the_weights_and_the_architectures_have_disjoint_parts_of_the_training_split(digits):
    training = shared(digits, recipe=unaugmented())
    parts = {part: items(training, part, digits) for part in ("weights", "selection")}
    assert (len(parts["weights"]), len(parts["selection"])) == (160, 40)
    every = sorted(map(bytes, digits.train.inputs.numpy()))
    assert sorted(parts["weights"] + parts["selection"]) == every
    assert training.steps == 8


def test_the_seed_alone_draws_the_parts(digits):
    recipe = unaugmented()
    first = items(shared(digits, recipe=recipe), "selection", digits)
    torch.rand(3)
    assert items(shared(digits, recipe=recipe), "selection", digits) == first
    assert items(shared(digits, recipe=recipe, seed=6), "selection", digits) != first


def test_an_epoch_is_drawn_from_its_seed_and_number_as_in_a_training(digits):
    training = shared(digits)
    pool = training._batches["weights"]._pool
    expected = Batches(digits, RECIPE, pool=pool).epoch(7, 3)
    for (x, y), (inputs, targets) in zip(training.epoch("weights", 7, 3), expected, strict=True):
        assert torch.equal(x, inputs)
        assert torch.equal(y, targets)


def test_it_has_all_that_strategies_are_promised(digits):
    training = shared(digits)
    promised = [name for name in vars(SupernetTraining) if not name.startswith("_")]
    assert len(promised) == 11
    assert all(hasattr(training, name) for name in promised)
    assert (training.device, training.precision) == ("cpu", "float32")
    outputs, targets = torch.randn(6, 10), torch.arange(6)
    assert torch.equal(training.loss(outputs, targets), F.cross_entropy(outputs, targets))


def test_the_loss_is_the_tasks_with_its_weights(digits):
    weighted = make_task("classification", {"class_weights": [1.0, *[3.0] * 9]})
    outputs, targets = torch.randn(6, 10), torch.arange(6)
    found = shared(digits, task=weighted).loss(outputs, targets)
    expected = F.cross_entropy(outputs, targets, weight=torch.tensor([1.0, *[3.0] * 9]))
    torch.testing.assert_close(found, expected)


def test_the_optimizer_and_its_rate_are_the_recipes(digits):
    training = shared(digits)
    network = nn.Linear(3, 2)
    optimizer = training.optimizer(network)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [5e-4, 0.0]
    for step in (0, 3, 9):
        training.set_rate(optimizer, step, 10)
        rate = 0.1 * one_cycle(step, 10, 0.2)
        assert [g["lr"] for g in optimizer.param_groups] == [rate, rate]


def test_forward_passes_run_in_the_resolved_precision_or_in_that_which_is_given(digits):
    half = shared(digits, recipe=RECIPE.model_copy(update={"precision": "bfloat16"}))
    linear, x = nn.Linear(3, 2), torch.ones(1, 3)
    assert half.precision == "bfloat16"
    for given, expected in ((None, torch.bfloat16), ("float32", torch.float32)):
        with half.autocast(given):
            assert linear(x).dtype == expected
    with shared(digits).autocast():
        assert linear(x).dtype == torch.float32


def test_the_first_epochs_are_at_half_the_side():
    images = torch.randint(256, (40, 1, 32, 32), dtype=torch.uint8)
    pool = Pool(images, torch.arange(40) % 10)
    data = Data(pool, pool, pool, tuple("0123456789"), {})
    space = SearchSpace.create(
        Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 32, 32), (10,)),
        blocks=["none", "se"],
        ratios=[2],
        placements=["residual"],
    )
    training = shared(data, space=space)
    assert training.small_epochs(4) == 3
    small, whole = (next(training.epoch("weights", 0, 0, small=s))[0] for s in (True, False))
    torch.testing.assert_close(small, F.avg_pool2d(whole, 2))


def test_a_network_is_placed_in_the_layout_of_the_batches(digits):
    training = shared(digits)
    network = nn.Conv2d(8, 8, 3)
    assert training.place(network) is network
    inputs, _ = next(training.epoch("weights", 0, 0))
    layout = training._batches["weights"].layout
    assert network.weight.is_contiguous(memory_format=layout)
    assert inputs.is_contiguous(memory_format=layout)


class Small(nn.Module):
    """A convolution with batch norm whose statistics are wrong, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, stride=2), nn.BatchNorm2d(4)
        self.linear = nn.Linear(36, 10)
        self.norm.running_mean.fill_(100)

    def forward(self, x):
        return self.linear(F.relu(self.norm(self.conv(x))).flatten(1))


def test_a_score_is_that_of_the_selection_part_with_statistics_of_the_weights_part(digits):
    training = shared(digits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Small()
    found = training.score(network)
    mean, deviation = channel_statistics(digits.train.inputs)
    weights, selection = (training._batches[part]._pool for part in ("weights", "selection"))
    normal = [(p.inputs.float() - mean[0]) / deviation[0] for p in (weights, selection)]
    with torch.no_grad():
        maps = network.conv(normal[0])
        x = network.conv(normal[1]) - maps.mean((0, 2, 3), keepdim=True)
        x = x / (maps.var((0, 2, 3), keepdim=True) + network.norm.eps).sqrt()
        outputs = network.linear(F.relu(x).flatten(1))
    targets = selection.targets
    assert found["validation_loss"] == pytest.approx(
        F.cross_entropy(outputs, targets).item(), rel=1e-3
    )
    right = (outputs.argmax(1) == targets).float().mean().item()
    assert found["accuracy"] == pytest.approx(right, abs=1 / 40)
    torch.testing.assert_close(
        network.norm.running_mean, maps.mean((0, 2, 3)), rtol=1e-3, atol=1e-5
    )


def test_a_score_that_is_not_finite_is_given_as_it_is(digits):
    network = Small()
    with torch.no_grad():
        network.linear.weight.fill_(math.inf)
    assert not math.isfinite(shared(digits).score(network)["validation_loss"])


@pytest.mark.parametrize(("train_items", "taken"), [(200, [160]), (900, [500]), (1300, [500, 500])])
def test_statistics_come_from_whole_batches_of_at_most_a_thousand_items(train_items, taken):
    images = torch.randint(256, (train_items, 1, 8, 8), dtype=torch.uint8)
    pool = Pool(images, torch.arange(train_items) % 10)
    training = shared(Data(pool, pool, pool, tuple("0123456789"), {}))
    sizes = []

    class Watching(Small):
        def forward(self, x):
            if self.norm.training:
                sizes.append(len(x))
            return super().forward(x)

    training.score(Watching())
    assert sizes == taken


def test_other_tasks_are_scored_by_their_metrics():
    task = make_task("segmentation", {})
    data = load_data("shapes", task, items=100, size=16)
    backbone = Backbone("unet", (("levels", 1), ("width", 4)), (1, 16, 16), (4, 16, 16))
    space = SearchSpace.create(backbone, blocks=["none", "se"], ratios=[2], placements=["post"])
    training = shared(data, task=task, space=space)
    network = training.place(space.plain.variant.network())
    found = training.score(network)
    assert found.keys() == {"dice", "mean_iou", "validation_loss"}
    inputs, masks = next(training.epoch("weights", 0, 0))
    assert masks.shape == (len(inputs), 16, 16)
    loss = training.loss(network(inputs), masks)
    assert loss.item() == pytest.approx(np.log(4), abs=1)
