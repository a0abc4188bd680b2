import pytest
import torch
from torch import nn

from attnas.evaluator import Recipe
from attnas.evaluator.checkpoint import Checkpoint
from attnas.evaluator.data import Data, Pool, load_data
from attnas.evaluator.training import train

RECIPE = Recipe(batch_size=64, learning_rate=0.1, precision="float32")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits", train=320, validation=200)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout2d(0.2),
            nn.Flatten(),
            nn.Linear(128, 10),
        )


def checkpoint(folder, **more) -> Checkpoint:
    return Checkpoint(folder, {"architecture": "layer1=none", "of": 4, **more})


def trained(digits, epochs, keep, recipe=RECIPE):
    net = network()
    outcome = train(net, digits, recipe, seed=1, epochs=epochs, of=4, checkpoint=keep)
    return net, outcome


def weights(net: nn.Module) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in net.state_dict().values()]


def test_going_on_gives_what_training_in_one_go_gives_to_the_last_bit(digits, tmp_path):
    whole, expected = trained(digits, 4, None)
    for epochs in (1, 3):
        trained(digits, epochs, checkpoint(tmp_path))
        torch.rand(3)
    went_on, outcome = trained(digits, 4, checkpoint(tmp_path))
    assert weights(went_on) == weights(whole)
    assert outcome.history == expected.history
    assert (outcome.loss, outcome.correct) == (expected.loss, expected.correct)


def test_only_what_is_missing_is_trained(digits, tmp_path):
    told: list[int] = []
    keep = checkpoint(tmp_path)
    trained(digits, 2, keep)
    assert keep.path.is_file()
    for epochs, expected in ((2, []), (3, [3]), (4, [4])):
        told.clear()
        train(
            network(),
            digits,
            RECIPE,
            seed=1,
            epochs=epochs,
            of=4,
            checkpoint=keep,
            on_epoch=lambda done, _: told.append(done),
        )
        assert told == expected


def test_a_stop_in_the_schedule_is_not_a_training_of_its_own(digits):
    early = train(network(), digits, RECIPE, seed=1, epochs=2, of=4)
    own = train(network(), digits, RECIPE, seed=1, epochs=2)
    assert early.history != own.history


def test_an_interrupted_training_goes_on_from_its_last_checkpoint(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)
    whole, _ = trained(digits, 4, None)

    def interrupt(done, loss):
        if done == 3:
            raise KeyboardInterrupt

    keep = checkpoint(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(network(), digits, RECIPE, seed=1, epochs=4, checkpoint=keep, on_epoch=interrupt)
    told: list[int] = []
    went_on = network()
    train(
        went_on,
        digits,
        RECIPE,
        seed=1,
        epochs=4,
        checkpoint=keep,
        on_epoch=lambda done, _: told.append(done),
    )
    assert told == [4]
    assert weights(went_on) == weights(whole)


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b""
    path.write_bytes(content)


def other_facts(path):
    content = torch.load(path, weights_only=True)
    torch.save({**content, "facts": "others"}, path)


def another_format(path):
    content = torch.load(path, weights_only=True)
    torch.save({**content, "format": 0}, path)


def another_network(path):
    content = torch.load(path, weights_only=True)
    torch.save({**content, "network": nn.Linear(2, 2).state_dict()}, path)


def a_text(path):
    path.write_text("no checkpoint")


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil", [damage, other_facts, another_format, another_network, a_text, empty]
)
def test_a_file_that_is_damaged_or_of_another_training_is_passed_over(digits, tmp_path, spoil):
    keep = checkpoint(tmp_path)
    _, expected = trained(digits, 2, keep)
    spoil(keep.path)
    _, outcome = trained(digits, 2, keep)
    assert outcome.history == expected.history
    assert trained(digits, 3, keep)[1].history[:2] == expected.history


def test_a_longer_training_than_is_asked_for_is_passed_over(digits, tmp_path):
    keep = checkpoint(tmp_path)
    trained(digits, 3, keep)
    assert len(trained(digits, 2, keep)[1].history) == 2


def test_other_facts_have_another_file(tmp_path):
    paths = {checkpoint(tmp_path, seed=seed).path for seed in (0, 1)}
    assert len(paths) == 2
    turned = Checkpoint(tmp_path, dict(reversed(checkpoint(tmp_path).facts.items())))
    assert turned.path == checkpoint(tmp_path).path


def test_a_disk_that_refuses_does_not_stop_the_training(digits, tmp_path):
    (tmp_path / "file").write_text("no folder")
    keep = checkpoint(tmp_path / "file")
    _, outcome = trained(digits, 2, keep)
    assert len(outcome.history) == 2
    assert keep.save(network(), torch.optim.SGD(network().parameters()), [1.0]) is False


@pytest.mark.parametrize(
    ("epochs", "of", "half_size"), [(1, 4, True), (3, 4, True), (4, 4, False), (2, 2, False)]
)
def test_a_stop_among_the_small_images_is_scored_on_small_ones(epochs, of, half_size):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (24, 3, 32, 32), dtype=torch.uint8, generator=generator)
    pool = Pool(images, torch.arange(24) % 2)
    sides: list[int] = []

    class Seeing(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x):
            if not self.training:
                sides.append(x.shape[-1])
            return self.linear(x.mean((2, 3)))

    recipe = Recipe(batch_size=24, half_resolution=0.75, precision="float32")
    data = Data(pool, pool, pool, ("a", "b"), {})
    outcome = train(Seeing(), data, recipe, seed=0, epochs=epochs, of=of)
    assert outcome.half_size is half_size
    assert sides == [16 if half_size else 32]


def test_more_epochs_than_the_schedule_are_a_mistake_of_the_caller(digits):
    with pytest.raises(ValueError, match="5 epochs are more than the schedule's 4"):
        trained(digits, 5, None)
