"""AdamW, averaged weights, frozen parts and two views in whole trainings."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.core import InputError
from attnas.evaluator import Data, Pool, Recipe, check_recipe, load_data, make_task, train
from attnas.evaluator.views import predicted
from attnas.search_space import Backbone, Checkpoint

TASK = make_task("classification", {})
USUAL = Recipe(epochs=4, precision="float32")
BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (3, 32, 32), (10,))


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", TASK, train=320, validation=150)


@pytest.fixture(scope="module")
def colours() -> Data:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8, generator=rng)
    pool = Pool(images, torch.arange(60) % 10)
    return Data(pool, pool, pool, tuple("abcdefghij"), facts={})


def network(channels: int = 1) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32, 10),
        )


def weights(made: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in made.state_dict().values()]


OPTIONS = {
    "adamw": {"optimizer": "adamw"},
    "ema": {"ema": 0.9},
    "adamw with ema and all else": {
        "optimizer": "adamw",
        "ema": 0.9,
        "freeze": ["0", "1"],
        "learning_rate_scale": {"9": 3},
        "views": 2,
    },
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_training_that_is_cut_in_two_is_the_whole_one_to_the_last_bit(options, digits, tmp_path):
    recipe = Recipe(**USUAL.model_dump() | options)
    keep = Checkpoint.within(tmp_path, {})
    whole, cut = network(), network()
    expected = train(whole, digits, TASK, recipe, seed=1)
    for epochs in (1, 3, 4):
        cut = network()
        found = train(
            cut, digits, TASK, recipe, seed=1, epochs=epochs, schedule_epochs=4, checkpoint=keep
        )
        torch.rand(3)
    assert weights(cut) == weights(whole)
    assert (found.metrics, found.losses) == (expected.metrics, expected.losses)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_each_option_changes_the_training_and_still_learns(options, digits):
    usual = train(network(), digits, TASK, USUAL, seed=1)
    recipe = Recipe(**USUAL.model_dump() | {"learning_rate": 0.01} | options)
    found = train(network(), digits, TASK, recipe, seed=1)
    assert found.metrics != usual.metrics
    assert found.losses[-1] < found.losses[0]


def test_the_average_is_what_is_scored_and_kept(digits):
    last, averaged = network(), network()
    seen = train(last, digits, TASK, USUAL, seed=1)
    recipe = USUAL.model_copy(update={"ema": 0.9})
    found = train(averaged, digits, TASK, recipe, seed=1)
    assert found.losses == seen.losses  # the training is the same
    assert found.metrics != seen.metrics
    assert weights(averaged) != weights(last)


def test_steps_on_images_of_half_the_side_are_not_averaged_with_those_on_whole_ones(
    colours, monkeypatch
):
    from attnas.evaluator.weight_average import WeightAverage

    restarted = []

    def restart(average):
        restarted.append(average.updates)
        average.updates = 0

    monkeypatch.setattr(WeightAverage, "restart", restart)
    recipe = USUAL.model_copy(update={"ema": 0.9, "batch_size": 20, "half_resolution": 0.5})
    train(network(3), colours, TASK, recipe, seed=0)
    assert restarted == [2 * 3]
    restarted.clear()
    train(network(3), colours, TASK, recipe, seed=0, epochs=2, schedule_epochs=4)
    assert restarted == []


def test_two_views_score_the_mean_probability_of_an_image_and_its_mirror(colours):
    made = network(3).eval()
    images = colours.train.inputs[:8].float()
    outputs = predicted(made, images, TASK, 2, torch.autocast("cpu", enabled=False))
    with torch.no_grad():
        probabilities = (F.softmax(made(images), 1) + F.softmax(made(images.flip(3)), 1)) / 2
    assert torch.allclose(outputs.exp().float(), probabilities, atol=1e-6)
    assert outputs.dtype == torch.float64


def test_with_two_views_images_and_their_mirrors_score_alike(colours):
    recipe = USUAL.model_copy(update={"views": 2, "epochs": 1, "half_resolution": 0.0})
    mirrored = Pool(colours.validation.inputs.flip(3), colours.validation.targets)
    both = [
        train(
            network(3), Data(colours.train, pool, pool, colours.classes, {}), TASK, recipe, seed=0
        )
        for pool in (colours.validation, mirrored)
    ]
    assert both[0].metrics["accuracy"] == both[1].metrics["accuracy"]
    losses = [found.metrics["validation_loss"] for found in both]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_randaugment_is_drawn_from_seed_and_epoch_and_changes_training(colours):
    recipe = USUAL.model_copy(update={"augment": "randaugment", "half_resolution": 0.0})
    one, other = network(3), network(3)
    train(one, colours, TASK, recipe, seed=0, epochs=1)
    torch.rand(5)
    train(other, colours, TASK, recipe, seed=0, epochs=1)
    assert weights(one) == weights(other)
    usual = network(3)
    train(usual, colours, TASK, USUAL.model_copy(update={"half_resolution": 0.0}), seed=0, epochs=1)
    assert weights(usual) != weights(one)


def floats(data: Data) -> Data:
    pool = Pool(data.train.inputs.float(), data.train.targets)
    return Data(pool, pool, pool, data.classes, facts={})


def test_what_a_recipe_asks_for_in_vain_is_refused(colours, digits):
    maps, counts = make_task("segmentation", {}), make_task("regression", {})
    randaugment, views = Recipe(augment="randaugment"), Recipe(views=2)
    signals = Data(*[Pool(torch.zeros(20, 3, 32), torch.arange(20) % 10)] * 3, ("a", "b"), facts={})
    for recipe, data, task, key, problem in (
        (randaugment, digits, TASK, "augment", "is for 8-bit images of three colours"),
        (randaugment, floats(colours), TASK, "augment", "is for 8-bit images of three colours"),
        (randaugment, signals, TASK, "augment", "is for 8-bit images of three colours"),
        (randaugment, colours, maps, "augment", "does not move the target maps"),
        (views, colours, counts, "views", "the task 'regression' averages no predictions"),
        (views, signals, TASK, "views", "these are no images"),
        (Recipe(freeze=["layer7"]), colours, TASK, "freeze[0]", "no module or parameter 'layer7'"),
        (
            Recipe(learning_rate_scale={"hed": 2}),
            colours,
            TASK,
            "learning_rate_scale.hed",
            "'head'",
        ),
    ):
        with pytest.raises(InputError) as caught:
            check_recipe(recipe, data, task, BACKBONE)
        assert caught.value.key == f"training.{key}"
        assert problem in caught.value.problem
    check_recipe(Recipe(augment="randaugment", views=2, freeze=["stem"]), colours, TASK, BACKBONE)
