"""The evaluator that screens on a made-up device and trains for real."""

import pytest
import torch

from attnas.core import Constraint
from attnas.evaluator import (
    Data,
    Pool,
    Recipe,
    Screener,
    TaskTrainer,
    TrainingEvaluator,
    TrainingFailed,
    make_task,
)
from attnas.search_space import Backbone, SearchSpace

from .counting import CountingDevice

BACKBONE = Backbone("resnet_cifar", (("depth", 8), ("width", 8)), (1, 8, 8), (2,))
SPACE = SearchSpace.create(BACKBONE, blocks=["none", "se"], ratios=[4], placements=["residual"])
WITH_SE = SPACE.architecture(["se:r4@residual", "none", "none"])
RECIPE = Recipe(epochs=1, batch_size=8, precision="float32")


def pool(count, seed):
    """Dark images of the one class and bright ones of the other."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(100, (count, 1, 8, 8), generator=draw)
    return Pool((noise + 150 * labels[:, None, None, None]).to(torch.uint8), labels)


DATA = Data(pool(32, 0), pool(10, 1), pool(10, 2), ("dark", "bright"), facts={})


@pytest.fixture(scope="module")
def screener():
    bounds = [Constraint.parse("params", "<= 1.5x")]
    return Screener(SPACE, CountingDevice(0.001), bounds, seed=0)


def evaluator(screener, recipe=RECIPE):
    return TrainingEvaluator(
        screener, TaskTrainer(DATA, make_task("classification", {}), recipe, seed=0)
    )


def test_it_screens_as_its_screener_does(screener):
    one = evaluator(screener)
    assert one.plain is screener.plain
    assert one.latency is screener
    assert one.screen(WITH_SE) == screener.screen(WITH_SE)


def test_training_scores_the_validation_images_and_is_the_same_again(screener):
    one = evaluator(screener)
    told = []
    first = one.train(WITH_SE, 2, lambda epoch, loss: told.append(epoch))
    again = one.train(WITH_SE, 2)
    assert told == [1, 2]
    assert (first.scores.metric, first.scores.items, first.scores.kind) == ("accuracy", 10, "bits")
    bits = [int(bit) for byte in first.scores.content for bit in f"{byte:08b}"][:10]
    assert first.metrics["accuracy"] == sum(bits) / 10
    assert first.metrics == again.metrics
    assert first.scores == again.scores
    low, high = first.intervals["accuracy"]
    assert low <= first.metrics["accuracy"] <= high


def test_a_training_that_stops_in_its_schedule_is_passed_on(screener):
    one = evaluator(screener)
    brief = one.train(WITH_SE, 1, schedule_epochs=2)
    assert brief.epochs == 1
    assert brief.losses == one.train(WITH_SE, 2).losses[:1] != one.train(WITH_SE, 1).losses


def test_a_training_that_diverges_is_told(screener):
    wild = Recipe(epochs=1, batch_size=8, precision="float32", learning_rate=1e30)
    with pytest.raises(TrainingFailed, match=r"^diverged"):
        evaluator(screener, wild).train(WITH_SE, 3)


def test_the_environment_is_what_the_figures_hold_for(screener):
    assert evaluator(screener).environment() == {
        "device": {"device": "counting"},
        "training_device": "cpu",
        "precision": "float32",
    }
