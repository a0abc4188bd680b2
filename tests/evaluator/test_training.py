import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attnas.evaluator.batches import channel_statistics
from attnas.evaluator.data import Data, Pool, load_data
from attnas.evaluator.recipe import Recipe, one_cycle
from attnas.evaluator.training import (
    Outcome,
    TrainingFailed,
    evaluate,
    train,
)

BRIEF = Recipe(epochs=2, batch_size=64, learning_rate=0.1, precision="float32")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", train=640, validation=300)


def small_network(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(256, 10),
        )


def result(outcome: Outcome) -> tuple:
    """All but the time."""
    return outcome.accuracy, outcome.loss, outcome.correct, outcome.history


class Watcher(nn.Module):
    """A network that notes every batch it is trained on."""

    def __init__(self, widths: tuple[int, ...] = ()) -> None:
        super().__init__()
        for width in widths:
            self.register_parameter(f"unused{width}", nn.Parameter(torch.randn(width)))
        self.linear = nn.Linear(64, 10)
        self.batches: list[torch.Tensor] = []

    def forward(self, x):
        if self.training:
            self.batches.append(x.detach().clone())
        return self.linear(x.flatten(1))


def test_brief_training_learns_digits(digits):
    outcome = train(small_network(), digits, BRIEF, seed=0, epochs=4)
    assert outcome.accuracy > 0.9
    assert outcome.history[-1] < outcome.history[0]
    assert (outcome.epochs, outcome.images, outcome.precision) == (4, 300, "float32")


def test_the_packed_bits_are_the_images_that_were_right(digits):
    network = small_network()
    outcome = train(network, digits, BRIEF, seed=0)
    mean, std = channel_statistics(digits.train.images)
    images = (digits.validation.images.float() - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits = network.eval()(images)
    right = logits.argmax(1) == digits.validation.labels
    bits = np.unpackbits(np.frombuffer(outcome.correct, np.uint8), count=outcome.images)
    assert (bits == right.numpy()).all()
    assert outcome.accuracy == bits.mean()
    assert outcome.loss == pytest.approx(
        F.cross_entropy(logits, digits.validation.labels).item(), rel=1e-5
    )


def test_the_same_seed_gives_the_same_outcome_to_the_last_bit(digits):
    outcomes = []
    for _ in range(2):
        outcomes.append(result(train(small_network(dropout=0.3), digits, BRIEF, seed=3)))
        torch.rand(7)  # shifts the global generator
        np.random.rand(7)  # noqa: NPY002
    assert outcomes[0] == outcomes[1]
    other = train(small_network(dropout=0.3), digits, BRIEF, seed=4)
    assert result(other) != outcomes[0]


SCRIPT = """
import torch
torch.set_num_threads({threads})
from attnas.evaluator.data import load_data
from attnas.evaluator.training import train
from test_training import BRIEF, result, small_network
data = load_data("digits", train=640, validation=300)
print(repr(result(train(small_network(dropout=0.3), data, BRIEF, seed=3))))
"""


def test_another_process_agrees_to_the_last_bit(digits):
    here = result(train(small_network(dropout=0.3), digits, BRIEF, seed=3))
    there = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(threads=torch.get_num_threads())],
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__), "PYTHONHASHSEED": "12"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert there.strip() == repr(here)


def test_training_leaves_the_global_generators_as_they_were(digits):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(small_network(dropout=0.3), digits, BRIEF, seed=0, epochs=1)
    assert (torch.rand(3) == expected).all()


def test_networks_trained_with_one_seed_see_the_same_batches(digits):
    first, second, other = Watcher(), Watcher((3, 5)), Watcher()
    train(first, digits, BRIEF, seed=1)
    torch.rand(11)
    train(second, digits, BRIEF, seed=1)
    train(other, digits, BRIEF, seed=2)
    assert all((a == b).all() for a, b in zip(first.batches, second.batches, strict=True))
    assert (first.batches[0] != other.batches[0]).any()
    epochs = len(first.batches) // 2
    assert (first.batches[0] != first.batches[epochs]).any()


def test_every_image_is_seen_once_an_epoch_normalised(digits):
    watcher = Watcher()
    plain = Recipe(batch_size=64, augment="none", precision="float32")
    train(watcher, digits, plain, seed=0, epochs=1)
    seen = torch.cat(watcher.batches)
    assert seen.mean().item() == pytest.approx(0, abs=1e-5)
    assert seen.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    mean, std = channel_statistics(digits.train.images)
    pixels = (seen * std[0] + mean[0]).round().to(torch.uint8)
    assert sorted(map(bytes, pixels.numpy())) == sorted(map(bytes, digits.train.images.numpy()))


@pytest.fixture
def larger() -> Data:
    """40 images of 3x32x32 in two classes."""
    images = torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8)
    pool = Pool(images, torch.arange(40) % 2)
    return Data(pool, pool, pool, ("a", "b"), {})


class AnySize(nn.Module):
    """Notes the batches; takes maps of any size, or of `side` alone."""

    def __init__(self, side: int | None = None) -> None:
        super().__init__()
        self.linear, self.side = nn.Linear(3, 2), side
        self.batches: list[torch.Tensor] = []

    def forward(self, x):
        if self.side not in (None, x.shape[-1]):
            raise ValueError(f"{x.shape[-1]} is not {self.side}")
        if self.training:
            self.batches.append(x.detach().clone())
        return self.linear(x.mean((2, 3)))


def test_the_first_epochs_see_the_same_images_at_half_resolution(larger):
    halved, whole = AnySize(), AnySize()
    for network, share in ((halved, 0.5), (whole, 0.0)):
        recipe = Recipe(epochs=4, batch_size=40, half_resolution=share, precision="float32")
        train(network, larger, recipe, seed=0)
    assert [batch.shape[-1] for batch in halved.batches] == [16, 16, 32, 32]
    for small, full in zip(halved.batches[:2], whole.batches[:2], strict=True):
        means = full.unflatten(3, (16, 2)).unflatten(2, (16, 2)).mean((3, 5))
        torch.testing.assert_close(small, means)
    assert (halved.batches[3] == whole.batches[3]).all()


def test_a_network_of_one_size_is_told_how_to_be_trained(larger):
    with pytest.raises(TrainingFailed) as caught:
        train(AnySize(side=32), larger, Recipe(epochs=2, precision="float32"), seed=0)
    assert str(caught.value) == (
        "raised: ValueError: 16 is not 32 (on images of half the side; "
        "training.half_resolution: 0 avoids them)"
    )
    recipe = Recipe(epochs=2, half_resolution=0, precision="float32")
    assert train(AnySize(side=32), larger, recipe, seed=0).images == 40


def test_a_last_batch_of_one_image_is_dropped(digits):
    for images, batches in ((65, [64]), (66, [64, 2])):
        data = Data(digits.train.first(images), digits.validation, digits.test, digits.classes, {})
        watcher = Watcher()
        train(watcher, data, BRIEF, seed=0, epochs=1)
        assert [len(batch) for batch in watcher.batches] == batches


def test_a_step_is_nesterov_momentum_without_decay_on_norms_and_biases(digits):
    """Two steps on the whole training set, recomputed by the written equations."""
    data = Data(digits.train.first(100), digits.validation, digits.test, digits.classes, {})
    recipe = Recipe(
        epochs=2,
        batch_size=100,
        learning_rate=0.5,
        momentum=0.8,
        weight_decay=0.1,
        label_smoothing=0.2,
        warmup=0.5,
        augment="none",
        precision="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    weight = network[1].weight.detach().clone().requires_grad_()
    bias = network[1].bias.detach().clone().requires_grad_()
    mean, std = channel_statistics(data.train.images)
    x = ((data.train.images.float() - mean[0]) / std[0]).flatten(1).double()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step in range(2):
        rate = 0.5 * one_cycle(step, 2, 0.5)
        log_p = F.linear(x, weight, bias).log_softmax(1)
        target = F.one_hot(data.train.labels, 10) * 0.8 + 0.02
        gradients = torch.autograd.grad(-(target * log_p).sum(1).mean(), (weight, bias))
        with torch.no_grad():
            for i, (p, g) in enumerate(zip((weight, bias), gradients, strict=True)):
                decayed = g + 0.1 * p if i == 0 else g
                velocity[i] = 0.8 * velocity[i] + decayed
                p -= rate * (decayed + 0.8 * velocity[i])

    class Double(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, inputs):
            return self.inner(inputs.double())

    train(Double(), data, recipe, seed=0)
    torch.testing.assert_close(network[1].weight, weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(network[1].bias, bias, rtol=1e-5, atol=1e-7)


def test_the_test_split_is_scored_only_on_request(digits):
    network = small_network()
    outcome = train(network, digits, BRIEF, seed=0, split="test")
    score = evaluate(network, digits.test, digits, BRIEF)
    assert (outcome.accuracy, outcome.correct) == (score.accuracy, score.correct)
    assert outcome.images == len(digits.test)


def test_progress_is_told_after_every_epoch(digits):
    told = []
    outcome = train(
        small_network(),
        digits,
        BRIEF,
        seed=0,
        on_epoch=lambda done, loss: told.append((done, loss)),
    )
    assert told == list(enumerate(outcome.history, 1))


def test_what_the_listener_raises_is_not_taken_for_the_networks(digits):
    def stop(done, loss):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        train(small_network(), digits, BRIEF, seed=0, on_epoch=stop)


class Breaking(nn.Module):
    """Does something else than compute when it is trained."""

    def __init__(self, act) -> None:
        super().__init__()
        self.linear, self.act = nn.Linear(64, 10), act

    def forward(self, x):
        logits = self.linear(x.flatten(1))
        return self.act(logits) if self.training else logits


def raising(error):
    def act(logits):
        raise error

    return act


def waiting(logits):
    time.sleep(0.02)
    return logits


@pytest.mark.parametrize(
    ("act", "kind", "reason"),
    [
        (lambda x: x * math.nan, "diverged", "the training loss is nan in epoch 1"),
        (lambda x: x * math.inf, "diverged", "the training loss is nan in epoch 1"),
        (raising(MemoryError()), "out of memory", "MemoryError"),
        (
            raising(torch.OutOfMemoryError("CUDA out of memory.")),
            "out of memory",
            "CUDA out of memory.",
        ),
        (
            raising(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")),
            "out of memory",
            "[enforce fail] DefaultCPUAllocator: can't allocate memory",
        ),
        (raising(ValueError("odd width\nof 7")), "raised", "ValueError: odd width"),
        (waiting, "time limit", "it took longer than 0.01 s"),
    ],
)
def test_a_failed_training_says_how_it_failed(digits, act, kind, reason):
    recipe = Recipe(epochs=2, time_limit_s=0.01 if act is waiting else None, precision="float32")
    with pytest.raises(TrainingFailed) as caught:
        train(Breaking(act), digits, recipe, seed=0)
    assert (caught.value.kind, caught.value.reason) == (kind, reason)
    assert str(caught.value) == f"{kind}: {reason}"


def test_a_validation_loss_that_is_not_finite_is_a_divergence(digits):
    class Overflowing(Breaking):
        def forward(self, x):
            logits = super().forward(x)
            return logits if self.training else logits * math.nan

    with pytest.raises(TrainingFailed) as caught:
        train(Overflowing(lambda x: x), digits, BRIEF, seed=0, epochs=1)
    assert str(caught.value) == "diverged: the validation loss is nan"


def test_interruption_passes_through(digits):
    with pytest.raises(KeyboardInterrupt):
        train(Breaking(raising(KeyboardInterrupt())), digits, BRIEF, seed=0)


def test_no_epochs_are_a_mistake_of_the_caller(digits):
    with pytest.raises(ValueError, match="epochs must be at least 1, not 0"):
        train(small_network(), digits, BRIEF, seed=0, epochs=0)


def test_bfloat16_trains_where_it_is_asked_for(digits):
    recipe = Recipe(epochs=1, batch_size=64, precision="bfloat16")
    data = Data(digits.train.first(128), digits.validation, digits.test, digits.classes, {})
    outcome = train(small_network(), data, recipe, seed=0)
    assert outcome.precision == "bfloat16"
    assert math.isfinite(outcome.loss)


def test_channel_statistics_are_those_of_the_pixels():
    images = torch.randint(256, (7, 3, 5, 4), dtype=torch.uint8)
    images[:, 2] = 9
    mean, std = channel_statistics(images)
    flat = images.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(mean.double(), flat.mean(1), rtol=1e-6, atol=0)
    expected = flat.std(1, correction=0)
    expected[2] = 1  # a constant channel is not divided by zero
    torch.testing.assert_close(std.double(), expected, rtol=1e-6, atol=0)


def test_pools_are_left_as_they_were(digits):
    before = digits.train.images.clone()
    train(small_network(), digits, BRIEF, seed=0, epochs=1)
    assert (digits.train.images == before).all()
    assert isinstance(digits.train, Pool)


def test_a_narrow_strided_1x1_convolution_does_not_end_the_process(digits):
    """In channels_last its backward pass in torch 2.13 corrupts memory: trained contiguous."""
    network = nn.Sequential(
        nn.Conv2d(digits.input_shape[0], 4, 3, padding=1),
        nn.Conv2d(4, 8, 1, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, len(digits.classes)),
    )
    outcome = train(network, digits, Recipe(epochs=1), seed=0)
    assert 0 <= outcome.accuracy <= 1
    assert network[1].weight.is_contiguous()
