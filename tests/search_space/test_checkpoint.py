import pytest
import torch
from torch import nn

from attnas.search_space import Checkpoint, read_parts

FACTS = {"architecture": "layer1=none", "epochs": 4}
X = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


class Parts:
    """A network and its optimizer, some steps after their start."""

    def __init__(self, steps=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.1, momentum=0.9)
        self.named = {"network": self.network, "optimizer": self.optimizer}
        for _ in range(steps):
            self.step()

    def step(self):
        self.optimizer.zero_grad()
        self.network(X).square().sum().backward()
        self.optimizer.step()

    @property
    def bits(self):
        return [tensor.numpy().tobytes() for tensor in self.network.state_dict().values()]


@pytest.fixture
def kept(tmp_path):
    """A checkpoint of three epochs of one step each."""
    checkpoint = Checkpoint.within(tmp_path, FACTS)
    checkpoint.save(Parts(3).named, [0.5, 0.25, 0.125])
    return checkpoint


def test_what_is_restored_goes_on_to_the_last_bit(kept):
    parts, expected = Parts(), Parts(5)
    assert kept.restore(parts.named, at_most=4) == [0.5, 0.25, 0.125]
    assert parts.bits == Parts(3).bits
    parts.step()
    parts.step()  # the optimizer's momentum has been restored too
    assert parts.bits == expected.bits


def test_a_file_is_replaced_by_the_next_one(kept, tmp_path):
    kept.save(Parts(4).named, [0.5, 0.25, 0.125, 0.0625])
    parts = Parts()
    assert kept.restore(parts.named, at_most=4) == [0.5, 0.25, 0.125, 0.0625]
    assert parts.bits == Parts(4).bits
    assert list(tmp_path.iterdir()) == [kept.file]


def test_losses_are_numbers_whatever_they_were(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.pt", FACTS)
    checkpoint.save(Parts(1).named, [torch.tensor(0.5), 1])
    assert checkpoint.restore(Parts().named, at_most=2) == [0.5, 1.0]


def test_a_folder_that_is_not_there_is_made(tmp_path):
    checkpoint = Checkpoint.within(tmp_path / "some" / "where", FACTS)
    checkpoint.save(Parts().named, [1.0])
    assert checkpoint.file.is_file()


def test_other_facts_have_another_file_and_their_order_does_not_matter(tmp_path):
    files = {Checkpoint.within(tmp_path, FACTS | {"seed": seed}).file for seed in (0, 1)}
    assert len(files) == 2
    turned = dict(reversed(FACTS.items()))
    assert Checkpoint.within(tmp_path, turned).file == Checkpoint.within(tmp_path, FACTS).file


def test_the_order_of_the_facts_is_not_another_training(kept):
    turned = Checkpoint(kept.file, dict(reversed(FACTS.items())))
    assert turned.restore(Parts().named, at_most=4) == [0.5, 0.25, 0.125]


# What is not used


def nothing_restored(checkpoint, at_most=4):
    """The notes; the parts, one step after their start, must be as they were."""
    parts, notes = Parts(1), []
    before = parts.bits
    assert checkpoint.restore(parts.named, at_most=at_most, note=notes.append) == []
    assert parts.bits == before
    parts.step()  # with the momentum of the optimizer
    assert parts.bits == Parts(2).bits
    return notes


def test_without_a_file_nothing_is_restored(tmp_path):
    assert nothing_restored(Checkpoint(tmp_path / "none.pt", FACTS)) == []


def test_a_longer_training_than_is_asked_for_is_passed_over(kept):
    assert nothing_restored(kept, at_most=2) == []


def test_another_training_is_passed_over_with_a_note(kept):
    other = Checkpoint(kept.file, FACTS | {"seed": 3})
    assert nothing_restored(other) == [f"{kept.file} is of other settings or data: it is not used."]


def test_another_format_is_passed_over_with_a_note(kept):
    content = torch.load(kept.file, weights_only=True)
    torch.save({**content, "format": 1}, kept.file)
    assert nothing_restored(kept) == [f"{kept.file} is of other settings or data: it is not used."]


def changed(**entries):
    def spoil(file):
        content = torch.load(file, weights_only=True)
        torch.save({**content, **entries}, file)

    return spoil


def without(name):
    def spoil(file):
        content = torch.load(file, weights_only=True)
        del content[name]
        torch.save(content, file)

    return spoil


def cut(file):
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def another_optimizer(file):
    content = torch.load(file, weights_only=True)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    content["parts"]["optimizer"] = optimizer.state_dict()
    torch.save(content, file)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(cut, id="cut"),
        pytest.param(lambda file: file.write_text("no checkpoint"), id="a text"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: torch.save([1], file), id="a list"),
        pytest.param(without("facts"), id="no facts"),
        pytest.param(without("losses"), id="no losses"),
        pytest.param(changed(losses=["a"]), id="losses that are none"),
        pytest.param(changed(parts={}), id="no parts"),
        pytest.param(
            changed(parts={"network": nn.Linear(2, 2).state_dict(), "optimizer": {}}),
            id="another network",
        ),
        pytest.param(another_optimizer, id="another optimizer"),
    ],
)
def test_a_damaged_file_is_passed_over_with_a_note_and_leaves_the_parts(kept, spoil):
    spoil(kept.file)
    [note] = nothing_restored(kept)
    assert note.startswith(f"{kept.file} is damaged and not used (")
    assert note.endswith("): the training begins anew.")


class Intruder:
    """Pickled as a call of a function."""

    def __reduce__(self):
        return print, ("run while reading",)


def test_nothing_in_a_file_is_run(kept, capsys):
    torch.save({"format": 2, "facts": Intruder()}, kept.file)
    [note] = nothing_restored(kept)
    assert "is damaged and not used" in note
    assert capsys.readouterr().out == ""


# Disks


def test_a_disk_that_refuses_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        Checkpoint.within(tmp_path / "file", FACTS).save(Parts().named, [1.0])


def test_a_file_is_deleted_if_there_is_one(kept, tmp_path):
    kept.delete()
    assert not kept.file.exists()
    kept.delete()
    (tmp_path / "folder").mkdir()
    Checkpoint(tmp_path / "folder", FACTS).delete()  # cannot be removed
    assert (tmp_path / "folder").is_dir()


def test_the_parts_are_read_whatever_training_they_are_of(kept):
    parts = read_parts(kept.file)
    assert parts.keys() == {"network", "optimizer"}
    fresh = Parts()
    fresh.network.load_state_dict(parts["network"])
    assert fresh.bits == Parts(3).bits
    with pytest.raises(FileNotFoundError):
        read_parts(kept.file.with_name("none.pt"))
