import os

import pytest
import torch
from torch import nn

from attnas.core import AttnasError
from attnas.strategies.checkpoint import Checkpointed


@pytest.fixture
def training(tmp_path):
    """A function that trains a layer to some epochs and may be killed in one of them."""

    def run(epochs, *, killed_in=None, facts=None, width=2):
        torch.manual_seed(0)
        layer = nn.Linear(width, 1)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
        notes, numbers = [], []
        parts = {"layer": layer, "optimizer": optimizer}
        kept = Checkpointed(tmp_path / "layer.pt", parts, facts or {"seed": 0}, notes.append)
        for number in kept.epochs(epochs):
            numbers.append(number)
            generator = torch.Generator().manual_seed(number)
            optimizer.zero_grad()
            layer(torch.randn(4, width, generator=generator)).square().mean().backward()
            optimizer.step()
            if number == killed_in:
                break
        return layer.weight.detach().clone(), numbers, notes

    run.file = tmp_path / "layer.pt"
    return run


def test_a_broken_training_goes_on_from_its_last_whole_epoch_with_the_same_result(training):
    unbroken, _, _ = training(5)
    training.file.unlink()
    training(5, killed_in=2)  # two epochs were whole
    resumed, numbers, notes = training(5)
    assert numbers == [2, 3, 4]
    assert torch.equal(resumed, unbroken)
    assert notes == []


def test_a_finished_training_is_not_repeated(training):
    first, _, _ = training(3)
    again, numbers, _ = training(3)
    assert numbers == []
    assert torch.equal(first, again)


def test_a_file_of_other_facts_is_not_used(training):
    training(3)
    _, numbers, [note] = training(3, facts={"seed": 1})
    assert numbers == [0, 1, 2]
    assert note == f"{training.file} is of other settings or data: it is not used."


def test_another_number_of_epochs_is_another_schedule(training):
    training(3)
    assert training(4)[1] == [0, 1, 2, 3]


@pytest.mark.parametrize("damage", ["half", "text", "empty", "other"])
def test_a_damaged_file_is_not_used(training, damage):
    unbroken, _, _ = training(3)
    whole = training.file.read_bytes()
    content = {"half": whole[: len(whole) // 2], "text": b"no tensors", "empty": b""}
    if damage == "other":
        torch.save([1, 2], training.file)
    else:
        training.file.write_bytes(content[damage])
    trained, numbers, [note] = training(3)
    assert numbers == [0, 1, 2]
    assert torch.equal(trained, unbroken)
    assert note.startswith(f"{training.file} is damaged and not used (")


def test_a_state_that_does_not_fit_leaves_the_parts_as_they_were(training):
    fresh, _, _ = training(2, width=3)
    training.file.unlink()
    training(2, width=2)
    trained, numbers, [note] = training(2, width=3)
    assert numbers == [0, 1]
    assert torch.equal(trained, fresh)
    assert "damaged" in note


def test_the_file_holds_tensors_and_plain_values_only(training):
    training(1)
    kept = torch.load(training.file, weights_only=True)
    assert set(kept) == {"format", "facts", "losses", "parts"}
    assert os.listdir(training.file.parent) == ["layer.pt"]


def test_what_cannot_be_written_is_said(training, tmp_path):
    training.file.mkdir()
    (training.file / "in the way").touch()
    with pytest.raises(AttnasError, match=r"layer\.pt: cannot be written: "):
        training(1)
