"""The full training of an exported architecture, on images whose pixels say who they are."""

import errno
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import attnas
from attnas import full_training
from attnas.core import AttnasError, InputError
from attnas.evaluator import Recipe, load_data, make_task, read_record, refuse_leak, weights_file
from attnas.full_training import train_exported

SIZES = {"train": 40, "validation": 20, "test": 20}


@pytest.fixture
def images(tmp_path):
    """90 images, each with its number in all pixels, in a file; 10 are of no split."""
    path = tmp_path / "images.npz"
    numbers = np.arange(90, dtype=np.uint8)
    pixels = np.broadcast_to(numbers[:, None, None, None], (90, 8, 8, 1))
    np.savez(path, train_images=pixels, train_labels=numbers.astype(np.int64) % 2)
    return path


@pytest.fixture
def data(images):
    """The data as the search saw them."""
    return load_data("npz", make_task("classification", {}), path=images, **SIZES)


BACKBONE = {
    "name": "resnet_cifar",
    "arguments": {"depth": 8, "width": 8},
    "input_shape": [1, 8, 8],
}
OPTIONS = {"layer1": "se:r4@residual", "layer2": "none", "layer3": "eca@post"}
RECIPE = {**Recipe().model_dump(), "batch_size": 20, "precision": "float32"}
OF_VERSION = {
    1: {
        "version": 1,
        "backbone": {**BACKBONE, "classes": 2},
        "choices": OPTIONS,
        "recipe": {**RECIPE, "label_smoothing": 0.25},
    },
    2: {
        "version": 2,
        "backbone": {**BACKBONE, "output_shape": [2]},
        "decisions": [{"kind": "attention", "stage": stage} for stage in OPTIONS],
        "architecture": OPTIONS,
        "recipe": RECIPE,
        "task": {"name": "classification", "label_smoothing": 0.25},
    },
}


@pytest.fixture(params=OF_VERSION, ids=lambda version: f"version-{version}")
def exported(tmp_path, data, request):
    """An export with what `train_exported` needs, as a search writes it or once wrote it."""
    document = {
        **OF_VERSION[request.param],
        "identity_start": True,
        "data": dict(data.facts),
    }
    path = tmp_path / "best.json"
    path.write_text(json.dumps(document))
    return path


def full(exported, **changes):
    settings = {"epochs": 1, "data_path": None, "seed": 0, "say": lambda _: None}
    settings["weights"] = exported.with_suffix(".safetensors")
    return train_exported(exported, **{**settings, **changes})


def numbers(pool):
    return set(pool.inputs[:, 0, 0, 0].tolist())


def test_all_images_but_the_test_split_are_trained_on(exported, data, monkeypatch):
    calls = []
    train = full_training.train

    def noted(network, given, task, recipe, **settings):
        calls.append((given, task, recipe, settings))
        return train(network, given, task, recipe, **settings)

    monkeypatch.setattr(full_training, "train", noted)
    result = full(exported, epochs=2, seed=5)
    [(given, task, recipe, settings)] = calls
    unseen = numbers(data.test)
    assert len(unseen) == 20
    assert numbers(given.test) == unseen
    assert numbers(given.train) == set(range(90)) - unseen
    assert len(given.train) == 70
    assert settings["split"] == "test"
    assert settings["seed"] == 5
    assert recipe.epochs == result.epochs == 2
    assert recipe.batch_size == 20
    assert task == make_task("classification", {"label_smoothing": 0.25})
    assert result.scores.items == 20


def test_weights_for_a_search_to_begin_with_see_no_validation_images(exported, data, monkeypatch):
    seen = []

    def stop(network, given, task, recipe, **settings):
        seen.append((given, settings))
        raise full_training.TrainingFailed("raised", "enough")

    monkeypatch.setattr(full_training, "train", stop)
    with pytest.raises(AttnasError):
        full(exported, hold_out_validation=True)
    [(given, settings)] = seen
    assert numbers(data.validation) == numbers(given.validation)
    assert numbers(given.train) == set(range(90)) - numbers(data.test) - numbers(data.validation)
    assert settings["split"] == "test"


def test_a_checkpoint_that_has_seen_the_validation_images_is_not_gone_on_from(
    exported, monkeypatch
):
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)

    def stop(text):
        if text.startswith("epoch 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        full(exported, epochs=2, say=stop)
    said = []
    full(exported, epochs=2, hold_out_validation=True, say=said.append)
    assert said[1].startswith("epoch 1 of 2")


@pytest.mark.parametrize("name", ["missing/net.safetensors", "folder"])
def test_a_place_that_cannot_be_written_is_told_before_the_training(exported, tmp_path, name):
    (tmp_path / "folder").mkdir()
    said = []
    with pytest.raises(AttnasError, match=rf"{name}.*(cannot be written|is a folder)"):
        full(exported, weights=tmp_path / name, say=said.append)
    assert said == []


def test_where_the_weights_cannot_be_written_the_training_can_go_on(exported, monkeypatch):
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)
    replace_file = weights_file.replace_file

    def full_disk(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights_file, "replace_file", full_disk)
    with pytest.raises(AttnasError, match="No space left on device"):
        full(exported, epochs=2)
    monkeypatch.setattr(weights_file, "replace_file", replace_file)
    said = []
    full(exported, epochs=2, say=said.append)
    assert said[0].endswith("Going on from its checkpoint.")


def test_labels_stay_with_their_images(exported, monkeypatch):
    seen = []

    def stop(network, given, task, recipe, **settings):
        seen.append(given.train)
        raise full_training.TrainingFailed("diverged", "the loss is nan")

    monkeypatch.setattr(full_training, "train", stop)
    with pytest.raises(AttnasError, match=r"^the training failed: diverged: the loss is nan\.$"):
        full(exported)
    assert (seen[0].inputs[:, 0, 0, 0] % 2 == seen[0].targets).all()
    assert not exported.with_suffix(".safetensors").exists()


def test_the_weights_make_a_rebuilt_network_the_trained_one(exported, monkeypatch):
    trained = []
    train = full_training.train
    monkeypatch.setattr(
        full_training,
        "train",
        lambda network, *a, **k: trained.append(network) or train(network, *a, **k),
    )
    full(exported)
    rebuilt = attnas.build(exported)
    rebuilt.load_state_dict(load_file(exported.with_suffix(".safetensors")))
    batch = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        expected = trained[0].cpu().eval()(batch)
        torch.testing.assert_close(rebuilt.eval()(batch), expected)
        fresh = attnas.build(exported, seed=0).eval()(batch)
    assert not torch.allclose(fresh, expected, atol=1e-3)


def test_other_data_are_refused(exported, images):
    with np.load(images) as stored:
        changed = dict(stored)
    changed["train_images"] = changed["train_images"] + 1
    other = images.with_name("other.npz")
    np.savez(other, **changed)
    with pytest.raises(InputError, match="data: the data are not those of the search"):
        full(exported, data_path=str(other))


def test_moved_data_are_found_where_they_are_said_to_be(exported, images):
    moved = images.rename(images.with_name("moved.npz"))
    assert 0 <= full(exported, data_path=str(moved)).metrics["accuracy"] <= 1


def test_an_interrupted_training_goes_on_to_the_same_weights(exported, monkeypatch):
    whole = full(exported, epochs=4)
    weights = exported.with_suffix(".safetensors")
    expected = load_file(weights)
    weights.unlink()
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)

    def stop(text):
        if text.startswith("epoch 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        full(exported, epochs=4, say=stop)
    assert not weights.exists()
    said = []
    result = full(exported, epochs=4, say=said.append)
    assert "4 epochs from scratch" in said[0]
    assert said[0].endswith(". Going on from its checkpoint.")
    assert said[1].startswith("epoch 3 of 4") or said[1].startswith("epoch 4 of 4")
    assert result.scores == whole.scores
    found = load_file(weights)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert sorted(path.suffix for path in exported.parent.iterdir()) == [
        ".json", ".npz", ".safetensors",
    ]  # fmt: skip


def test_a_checkpoint_of_another_training_is_not_gone_on_from(exported, monkeypatch):
    monkeypatch.setattr("attnas.evaluator.training.CHECKPOINT_SECONDS", 0.0)

    def stop(text):
        if text.startswith("epoch 2"):
            raise KeyboardInterrupt

    for changes in ({"seed": 1}, {"epochs": 3}):
        with pytest.raises(KeyboardInterrupt):
            full(exported, say=stop, **{"epochs": 2, **changes})
    said = []
    full(exported, epochs=2, say=said.append)
    assert said[1].startswith("epoch 1 of 2")


@pytest.mark.parametrize(
    ("held_out", "splits", "refused"),
    [
        (True, {}, ""),
        (False, {}, "these weights were trained on the validation items of these data, too"),
        (True, {"split_seed": 3}, "these weights were trained on these data with other splits"),
    ],
)
def test_weights_say_what_they_have_seen_and_a_search_refuses_the_leak(
    exported, data, held_out, splits, refused
):
    full(exported, hold_out_validation=held_out)
    record = read_record(exported.with_suffix(".safetensors"))
    facts = data.facts
    assert record["data_sha256"] == facts["data_sha256"]
    assert record["validation_sha256"] == facts["validation_sha256"]
    settings = {"path": facts["path"], **facts["options"], "validation": len(data.validation)}
    settings |= {"test": len(data.test), "split_seed": facts["split_seed"], **splits}
    task = make_task("classification", {})
    searched = load_data(facts["source"], task, **settings)
    if not refused:
        refuse_leak(record, searched)
        return
    with pytest.raises(InputError, match=f"^init: {refused}: the trials would be scored on"):
        refuse_leak(record, searched)


def test_weights_of_others_have_no_record(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pt")
    assert read_record(tmp_path / "a.safetensors") == read_record(tmp_path / "a.pt") == {}
