import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import binomtest, norm
from torch import nn

from attnas.core import METRICS, ItemScores, TrainingResult, register_metric
from attnas.evaluator import Data, Pool, interval_of, load_data, make_task
from attnas.evaluator.data.statistics import channel_statistics
from attnas.evaluator.recipe import Recipe, one_cycle
from attnas.evaluator.reproducible import reproducible
from attnas.evaluator.training import TrainingFailed, evaluate, train
from attnas.search_space import Checkpoint

TASK = make_task("classification", {})
BRIEF = Recipe(epochs=2, batch_size=64, learning_rate=0.1, precision="float32")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", TASK, train=640, validation=300)


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


def result(outcome: TrainingResult) -> tuple:
    """All but the time."""
    return outcome.metrics, outcome.scores, outcome.scores.content, outcome.losses


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
    outcome = train(small_network(), digits, TASK, BRIEF, seed=0, epochs=4)
    assert outcome.metrics["accuracy"] > 0.9
    assert outcome.losses[-1] < outcome.losses[0]
    assert (outcome.epochs, outcome.scores.items, outcome.precision) == (4, 300, "float32")


def test_the_packed_bits_are_the_images_that_were_right(digits):
    network = small_network()
    outcome = train(network, digits, TASK, BRIEF, seed=0)
    mean, std = channel_statistics(digits.train.inputs)
    images = (digits.validation.inputs.float() - mean[:, None, None]) / std[:, None, None]
    with torch.no_grad():
        logits = network.eval()(images)
    right = logits.argmax(1) == digits.validation.targets
    assert (outcome.scores.metric, outcome.scores.kind) == ("accuracy", "bits")
    bits = np.unpackbits(np.frombuffer(outcome.scores.content, np.uint8), count=300)
    assert (bits == right.numpy()).all()
    assert outcome.metrics["accuracy"] == bits.mean()
    assert outcome.metrics["validation_loss"] == pytest.approx(
        F.cross_entropy(logits, digits.validation.targets).item(), rel=1e-5
    )


def test_the_same_seed_gives_the_same_outcome_to_the_last_bit(digits):
    outcomes = []
    for _ in range(2):
        outcomes.append(result(train(small_network(dropout=0.3), digits, TASK, BRIEF, seed=3)))
        torch.rand(7)  # shifts the global generator
        np.random.rand(7)  # noqa: NPY002
    assert outcomes[0] == outcomes[1]
    other = train(small_network(dropout=0.3), digits, TASK, BRIEF, seed=4)
    assert result(other) != outcomes[0]


SCRIPT = """
import torch
torch.set_num_threads({threads})
from attnas.evaluator import load_data, train
from test_training import BRIEF, TASK, result, small_network
data = load_data("digits", TASK, train=640, validation=300)
print(repr(result(train(small_network(dropout=0.3), data, TASK, BRIEF, seed=3))))
"""


def test_another_process_agrees_to_the_last_bit(digits):
    here = result(train(small_network(dropout=0.3), digits, TASK, BRIEF, seed=3))
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
    train(small_network(dropout=0.3), digits, TASK, BRIEF, seed=0, epochs=1)
    assert (torch.rand(3) == expected).all()


def test_networks_trained_with_one_seed_see_the_same_batches(digits):
    first, second, other = Watcher(), Watcher((3, 5)), Watcher()
    train(first, digits, TASK, BRIEF, seed=1)
    torch.rand(11)
    train(second, digits, TASK, BRIEF, seed=1)
    train(other, digits, TASK, BRIEF, seed=2)
    assert all((a == b).all() for a, b in zip(first.batches, second.batches, strict=True))
    assert (first.batches[0] != other.batches[0]).any()
    epochs = len(first.batches) // 2
    assert (first.batches[0] != first.batches[epochs]).any()


def test_every_image_is_seen_once_an_epoch_normalised(digits):
    watcher = Watcher()
    plain = Recipe(batch_size=64, augment="none", precision="float32")
    train(watcher, digits, TASK, plain, seed=0, epochs=1)
    seen = torch.cat(watcher.batches)
    assert seen.mean().item() == pytest.approx(0, abs=1e-5)
    assert seen.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    mean, std = channel_statistics(digits.train.inputs)
    pixels = (seen * std[0] + mean[0]).round().to(torch.uint8)
    assert sorted(map(bytes, pixels.numpy())) == sorted(map(bytes, digits.train.inputs.numpy()))


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
        train(network, larger, TASK, recipe, seed=0)
    assert [batch.shape[-1] for batch in halved.batches] == [16, 16, 32, 32]
    for small, full in zip(halved.batches[:2], whole.batches[:2], strict=True):
        means = full.unflatten(3, (16, 2)).unflatten(2, (16, 2)).mean((3, 5))
        torch.testing.assert_close(small, means)
    assert (halved.batches[3] == whole.batches[3]).all()


def test_a_network_of_one_size_is_told_how_to_be_trained(larger):
    with pytest.raises(TrainingFailed) as caught:
        train(AnySize(side=32), larger, TASK, Recipe(epochs=2, precision="float32"), seed=0)
    assert str(caught.value) == (
        "raised: ValueError: 16 is not 32 (on images of half the side; "
        "training.half_resolution: 0 avoids them)"
    )
    recipe = Recipe(epochs=2, half_resolution=0, precision="float32")
    assert train(AnySize(side=32), larger, TASK, recipe, seed=0).scores.items == 40


def test_a_last_batch_of_one_image_is_dropped(digits):
    for images, batches in ((65, [64]), (66, [64, 2])):
        data = Data(digits.train.first(images), digits.validation, digits.test, digits.classes, {})
        watcher = Watcher()
        train(watcher, data, TASK, BRIEF, seed=0, epochs=1)
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
        warmup=0.5,
        augment="none",
        precision="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    weight = network[1].weight.detach().clone().requires_grad_()
    bias = network[1].bias.detach().clone().requires_grad_()
    mean, std = channel_statistics(data.train.inputs)
    x = ((data.train.inputs.float() - mean[0]) / std[0]).flatten(1).double()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for step in range(2):
        rate = 0.5 * one_cycle(step, 2, 0.5)
        log_p = F.linear(x, weight, bias).log_softmax(1)
        target = F.one_hot(data.train.targets, 10) * 0.8 + 0.02
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

    smoothed = make_task("classification", {"label_smoothing": 0.2})
    train(Double(), data, smoothed, recipe, seed=0)
    torch.testing.assert_close(network[1].weight, weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(network[1].bias, bias, rtol=1e-5, atol=1e-7)


def test_the_test_split_is_scored_only_on_request(digits):
    network = small_network()
    outcome = train(network, digits, TASK, BRIEF, seed=0, split="test")
    score = evaluate(network, digits.test, digits, TASK, BRIEF)
    assert (outcome.metrics, outcome.scores) == (score.metrics, score.scores)
    assert outcome.intervals == score.intervals
    assert outcome.scores.items == len(digits.test) != len(digits.validation)


def test_progress_is_told_after_every_epoch(digits):
    told = []
    outcome = train(
        small_network(),
        digits,
        TASK,
        BRIEF,
        seed=0,
        on_epoch=lambda done, loss: told.append((done, loss)),
    )
    assert told == list(enumerate(outcome.losses, 1))


def test_what_the_listener_raises_is_not_taken_for_the_networks(digits):
    def stop(done, loss):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        train(small_network(), digits, TASK, BRIEF, seed=0, on_epoch=stop)


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
        train(Breaking(act), digits, TASK, recipe, seed=0)
    assert (caught.value.kind, caught.value.reason) == (kind, reason)
    assert str(caught.value) == f"{kind}: {reason}"


def test_a_validation_loss_that_is_not_finite_is_a_divergence(digits):
    class Overflowing(Breaking):
        def forward(self, x):
            logits = super().forward(x)
            return logits if self.training else logits * math.nan

    with pytest.raises(TrainingFailed) as caught:
        train(Overflowing(lambda x: x), digits, TASK, BRIEF, seed=0, epochs=1)
    assert str(caught.value) == "diverged: the validation loss is nan"


def test_interruption_passes_through(digits):
    with pytest.raises(KeyboardInterrupt):
        train(Breaking(raising(KeyboardInterrupt())), digits, TASK, BRIEF, seed=0)


def test_no_epochs_are_a_mistake_of_the_caller(digits):
    with pytest.raises(ValueError, match="epochs must be at least 1, not 0"):
        train(small_network(), digits, TASK, BRIEF, seed=0, epochs=0)


def test_bfloat16_trains_where_it_is_asked_for(digits):
    recipe = Recipe(epochs=1, batch_size=64, precision="bfloat16")
    data = Data(digits.train.first(128), digits.validation, digits.test, digits.classes, {})
    outcome = train(small_network(), data, TASK, recipe, seed=0)
    assert outcome.precision == "bfloat16"
    assert math.isfinite(outcome.metrics["validation_loss"])


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
    before = digits.train.inputs.clone()
    train(small_network(), digits, TASK, BRIEF, seed=0, epochs=1)
    assert (digits.train.inputs == before).all()
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
    outcome = train(network, digits, TASK, Recipe(epochs=1), seed=0)
    assert 0 <= outcome.metrics["accuracy"] <= 1
    assert network[1].weight.is_contiguous()


def test_the_loss_is_made_once_a_training(digits):
    """A balanced one counts all pixels of the training split."""
    made = []

    class Counting(type(TASK)):
        def loss(self, data, device):
            made.append(device)
            return super().loss(data, device)

    train(small_network(), digits, Counting(), BRIEF, seed=0)
    assert made == ["cpu"]


@pytest.fixture
def registered():
    """Registers metrics for the test only."""
    names = []

    def register(name, measure, **properties):
        names.append(name)
        register_metric(name, better="max", **properties)(measure)

    yield register
    for name in names:
        del METRICS._found[name], METRICS._defined[name]


def top_2(outputs, targets):
    """The label is among the two greatest outputs."""
    assert outputs.dtype == torch.float32
    return (outputs.topk(2).indices == targets[:, None]).any(1).float().mean()


def test_a_metric_of_the_users_is_computed_from_all_outputs(digits, registered):
    registered("top_2", top_2)
    registered("size", lambda network, input_shape: 1, cheap=True)
    network = small_network()
    asked = ["top_2", "size", "accuracy", "latency_ms", "unknown"]
    outcome = train(network, digits, TASK, BRIEF, seed=0, metrics=asked)
    assert outcome.metrics.keys() == {"accuracy", "validation_loss", "top_2"}
    outputs = outputs_of(network, digits, digits.validation)
    labels = digits.validation.targets
    expected = [int(t) in o.argsort()[-2:] for o, t in zip(outputs, labels, strict=True)]
    assert outcome.metrics["top_2"] == pytest.approx(np.mean(expected))
    assert outcome.metrics["top_2"] > outcome.metrics["accuracy"]
    without = train(small_network(), digits, TASK, BRIEF, seed=0)
    assert without.metrics.items() < outcome.metrics.items()
    again = evaluate(network, digits.validation, digits, TASK, BRIEF, metrics=["top_2"])
    assert again.metrics == outcome.metrics


def outputs_of(network, data, pool):
    mean, std = channel_statistics(data.train.inputs)
    with torch.no_grad():
        return network.eval()((pool.inputs.float() - mean[:, None, None]) / std[:, None, None])


def test_a_metric_that_raises_is_a_failure_of_the_training(digits, registered):
    registered("broken", lambda outputs, targets: 1 / 0)
    with pytest.raises(TrainingFailed) as caught:
        train(small_network(), digits, TASK, BRIEF, seed=0, metrics=["broken"])
    assert str(caught.value) == "raised: ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("right", "of"), [(0, 7), (1, 7), (7, 7), (0, 10), (10, 10), (840, 1000)])
def test_the_interval_of_a_share_is_wilsons_and_holds_it(right, of):
    scores = ItemScores.of("accuracy", np.arange(of) < right)
    low, high = interval_of(scores)
    expected = binomtest(right, of).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert low <= scores.mean <= high


def test_the_interval_of_a_mean_is_normal():
    values = np.random.default_rng(0).normal(2, 3, 400).astype(np.float32)
    low, high = interval_of(ItemScores.of("r2", values))
    deviation = values.astype(float).std(ddof=1) / 20
    assert (low, high) == pytest.approx(norm.interval(0.95, values.mean(), deviation), rel=1e-6)
    assert interval_of(ItemScores.of("r2", values[:1])) == (-math.inf, math.inf)


def schedule(network, data, epochs, keep, **more):
    """So many epochs of a schedule of four."""
    recipe = BRIEF.model_copy(update={"epochs": 4})
    return train(
        network, data, TASK, recipe, seed=1, epochs=epochs, schedule_epochs=4, checkpoint=keep,
        **more,
    )  # fmt: skip


def weights(network: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in network.state_dict().values()]


@pytest.fixture
def keep(tmp_path) -> Checkpoint:
    return Checkpoint.within(tmp_path, {"architecture": "layer1=none"})


def test_going_on_gives_what_training_in_one_go_gives_to_the_last_bit(digits, keep):
    whole = small_network(dropout=0.3)
    expected = schedule(whole, digits, 4, None)
    for epochs in (1, 3):
        schedule(small_network(dropout=0.3), digits, epochs, keep)
        torch.rand(3)
    went_on = small_network(dropout=0.3)
    assert result(schedule(went_on, digits, 4, keep)) == result(expected)
    assert weights(went_on) == weights(whole)


def test_only_what_is_missing_is_trained(digits, keep):
    schedule(small_network(), digits, 2, keep)
    assert keep.file.is_file()
    told: list[int] = []
    for epochs, expected in ((2, []), (3, [3]), (4, [4])):
        told.clear()
        outcome = schedule(
            small_network(), digits, epochs, keep, on_epoch=lambda done, _: told.append(done)
        )
        assert told == expected
        assert len(outcome.losses) == outcome.epochs == epochs


def test_a_stop_in_the_schedule_is_not_a_training_of_its_own(digits):
    early = schedule(small_network(), digits, 2, None)
    own = train(small_network(), digits, TASK, BRIEF, seed=1, epochs=2)
    assert early.losses != own.losses


def test_an_interrupted_training_goes_on_from_its_last_checkpoint(digits, keep, monkeypatch):
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)
    whole, told = small_network(), []
    schedule(whole, digits, 4, None)

    def interrupt(done, loss):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        schedule(small_network(), digits, 4, keep, on_epoch=interrupt)
    went_on = small_network()
    schedule(went_on, digits, 4, keep, on_epoch=lambda done, _: told.append(done))
    assert told == [4]
    assert weights(went_on) == weights(whole)


@pytest.mark.parametrize("spoil", ["damaged", "of another training", "too long"])
def test_a_checkpoint_that_does_not_fit_is_passed_over(digits, keep, spoil):
    expected = result(schedule(small_network(), digits, 2, None))
    schedule(small_network(), digits, 3 if spoil == "too long" else 1, keep)
    if spoil == "damaged":
        content = keep.file.read_bytes()
        keep.file.write_bytes(content[: len(content) // 2])
    if spoil == "of another training":
        keep = Checkpoint(keep.file, {"architecture": "layer1=eca"})
    told: list[int] = []
    outcome = schedule(small_network(), digits, 2, keep, on_epoch=lambda done, _: told.append(done))
    assert result(outcome) == expected
    assert told == [1, 2]


def test_a_disk_that_refuses_does_not_stop_the_training(digits, tmp_path):
    (tmp_path / "file").write_text("no folder")
    outcome = schedule(
        small_network(), digits, 2, Checkpoint.within(tmp_path / "file" / "in", {"seed": 1})
    )
    assert len(outcome.losses) == 2


def test_more_epochs_than_the_schedule_are_a_mistake_of_the_caller(digits):
    with pytest.raises(ValueError, match="5 epochs are more than the schedule's 4"):
        schedule(small_network(), digits, 5, None)


@pytest.mark.parametrize(
    ("share", "epochs", "of", "half_size"),
    [
        (0.75, 1, 4, True),
        (0.75, 3, 4, True),
        (0.75, 4, 4, False),
        (0.75, 2, 2, False),
        (0.25, 2, 4, False),
        (1.0, 4, 4, False),  # a whole training is scored on the whole images
    ],
)
def test_a_stop_among_the_small_images_is_scored_on_small_ones(
    larger, share, epochs, of, half_size
):
    sides: list[int] = []

    class Seeing(AnySize):
        def forward(self, x):
            if not self.training:
                sides.append(x.shape[-1])
            return super().forward(x)

    recipe = Recipe(batch_size=24, half_resolution=share, precision="float32")
    outcome = train(Seeing(), larger, TASK, recipe, seed=0, epochs=epochs, schedule_epochs=of)
    assert outcome.half_size is half_size
    assert sides == [16 if half_size else 32]


def test_masks_are_halved_with_the_images_that_are_scored(larger):
    """A network that answers with the sign of its input, on masks that are that sign."""
    bright = (torch.arange(32) // 8 % 2).bool()  # stripes that 2x2 means keep
    images = torch.where(bright, 255, 0).to(torch.uint8).expand(20, 1, 32, 32).contiguous()
    pool = Pool(images, (images[:, 0] > 0).to(torch.uint8))
    data = Data(pool, pool, pool, ("dark", "bright"), {})

    class Sign(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.shapes = nn.Parameter(torch.ones(())), []

        def forward(self, x):
            self.shapes.append(tuple(x.shape))
            return torch.cat([-x, x], 1) * self.scale

    network = Sign()
    recipe = Recipe(batch_size=10, learning_rate=1e-3, augment="none", precision="float32")
    task = make_task("segmentation", {})
    outcome = train(network, data, task, recipe, seed=0, epochs=1, schedule_epochs=4)
    assert outcome.half_size
    assert set(network.shapes) == {(10, 1, 16, 16), (20, 1, 16, 16)}
    assert outcome.metrics["dice"] == outcome.metrics["mean_iou"] == 1
    assert outcome.scores.values.tolist() == [1] * 20


@pytest.mark.parametrize("shape", [(3, 40), (6,)], ids=["signals", "features"])
def test_inputs_that_are_no_images_are_trained_on(shape):
    draw = torch.Generator().manual_seed(0)
    targets = torch.arange(120) % 2
    inputs = torch.randn(120, *shape, generator=draw) * 20 + 100
    inputs[:, 0] += 60 * targets.reshape(-1, *(1 for _ in shape[1:]))
    pool = Pool(inputs, targets)
    data, before = Data(pool, pool, pool, ("low", "high"), {}), inputs.clone()
    network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 2))
    nn.init.zeros_(network[1].weight)
    recipe = Recipe(epochs=20, batch_size=20, learning_rate=0.05, precision="float32")
    outcome = train(network, data, TASK, recipe, seed=0)
    assert outcome.metrics["accuracy"] > 0.85
    assert not outcome.half_size
    assert torch.equal(inputs, before)


def test_cuda_trains_with_deterministic_kernels_and_leaves_the_settings_as_they_were():
    # fork_rng has nothing to keep where there is no GPU, so this runs on any machine
    before = torch.are_deterministic_algorithms_enabled()
    with reproducible(torch.device("cuda")):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
    assert torch.are_deterministic_algorithms_enabled() == before
    assert not torch.backends.cudnn.deterministic
