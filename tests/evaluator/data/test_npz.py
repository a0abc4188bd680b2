import numpy as np
import pytest

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.npz import npz

TASK = make_task("classification", {})


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


def problem(path) -> str:
    with pytest.raises(InputError) as caught:
        load_data("npz", TASK, path=path)
    return str(caught.value)


LABELS = np.array([0, 1, 2] * 4)


@pytest.mark.parametrize(
    ("shape", "axes"), [((12, 5, 6), None), ((12, 5, 6, 3), (0, 3, 1, 2)), ((12, 3, 5, 6), None)]
)
def test_channels_are_found_wherever_they_stand(tmp_path, shape, axes):
    images = noise(*shape)
    pools = npz(str(save(tmp_path / "a.npz", x_train=images, y_train=LABELS)))
    expected = images[:, None] if images.ndim == 3 else images.transpose(axes or (0, 1, 2, 3))
    assert (pools.train.inputs.numpy() == expected).all()
    assert pools.train.targets.tolist() == LABELS.tolist()
    assert pools.classes == ("0", "1", "2")


def test_floats_from_0_to_1_become_grey_levels(tmp_path):
    levels = noise(12, 5, 6)
    file = save(tmp_path / "a.npz", images=levels / 255, labels=LABELS[:, None])
    assert (npz(str(file)).train.inputs[:, 0].numpy() == levels).all()


def test_parts_and_class_names_are_taken_as_they_are(tmp_path):
    file = save(
        tmp_path / "a.npz",
        train_images=noise(12, 5, 6),
        train_labels=LABELS,
        val_images=noise(3, 5, 6),
        val_labels=LABELS[:3],
        test_images=noise(6, 5, 6),
        test_labels=LABELS[:6],
        classes=np.array(["ant", "bee", "cow"]),
    )
    data = load_data("npz", TASK, path=file)
    assert data.classes == ("ant", "bee", "cow")
    assert data.facts["sizes"] == {"train": 12, "validation": 3, "test": 6}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"a": LABELS, "x_train": LABELS},
            "'{file}' has the arrays a, x_train; 'x_train' and 'y_train' or 'train_images' and "
            "'train_labels' or 'images' and 'labels' are needed.",
        ),
        (
            {"images": noise(12, 5), "labels": LABELS},
            "'images' has the shape (12, 5); (N, H, W), (N, H, W, C) or (N, C, H, W) is needed.",
        ),
        (
            {"images": noise(12, 9, 9, 9), "labels": LABELS},
            "'images' has the shape (12, 9, 9, 9); (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "is needed.",
        ),
        (
            {"images": noise(12, 5, 6) - 128.0, "labels": LABELS},
            "'images' has floats from -128 to 127; from 0 to 1 is needed (or uint8).",
        ),
        (
            {"images": noise(12, 5, 6).astype(int), "labels": LABELS},
            "'images' is int64; uint8 or floats are needed.",
        ),
        (
            {"images": noise(12, 5, 6), "labels": np.array(["a"] * 12)},
            "'labels' is <U1 of shape (12,); labels (N,) or (N, labels), numbers (N,) or "
            "(N, targets), or masks (N, H, W) are needed.",
        ),
    ],
)
def test_arrays_that_are_no_images_or_labels_are_refused(tmp_path, arrays, message):
    file = save(tmp_path / "a.npz", **arrays)
    assert problem(file) == "data.path: " + message.format(file=file)


def test_labels_from_1_are_refused(tmp_path):
    file = save(tmp_path / "a.npz", images=noise(12, 5, 6), labels=LABELS + 1)
    assert problem(file) == "data: the labels start at 1; they must start at 0."


def test_what_is_no_archive_is_said_to_be_none(tmp_path):
    assert problem(tmp_path) == f"data.path: '{tmp_path}' is a folder; an .npz file is needed."
    file = tmp_path / "a.npz"
    assert problem(file) == f"data.path: '{file}' does not exist; an .npz file is needed."
    file.write_text("text")
    assert problem(file).startswith(f"data.path: cannot read '{file}' as .npz: ")
    np.save(tmp_path / "b.npy", np.zeros(3))
    assert problem(tmp_path / "b.npy").startswith("data.path: cannot read ")


def test_pickled_arrays_are_not_loaded(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, images=np.array([{}], dtype=object), labels=np.array([0]))
    assert problem(file).startswith(f"data.path: cannot read '{file}' as .npz: Object arrays")
