import numpy as np
import pytest
import torch

from attnas.core import InputError
from attnas.evaluator import load_data, make_task
from attnas.evaluator.data.arrays import image_inputs, signal_inputs, targets_of

from .images import noise


@pytest.mark.parametrize(
    ("array", "dtype", "shape"),
    [
        (np.arange(6), torch.int64, (6,)),
        (np.arange(6, dtype=np.uint8)[:, None], torch.int64, (6,)),
        (np.arange(6) > 2, torch.int64, (6,)),
        (np.eye(6, dtype=bool), torch.int64, (6, 6)),
        (np.linspace(0, 1, 6), torch.float32, (6, 1)),
        (np.zeros((6, 2), np.float16), torch.float32, (6, 2)),
        (noise(6, 4, 5), torch.uint8, (6, 4, 5)),
        (noise(6, 1, 4, 5).astype(np.int64), torch.uint8, (6, 4, 5)),
    ],
)
def test_the_kind_of_the_targets_is_that_of_the_array(array, dtype, shape):
    targets = targets_of(array, "y")
    assert (targets.dtype, tuple(targets.shape)) == (dtype, shape)
    assert np.allclose(targets.numpy().ravel(), array.ravel())


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (np.full((2, 3, 3), 256), "masks with classes from 256 to 256; from 0 to 255"),
        (np.zeros((2, 3, 3)), "'y' is float64 of shape (2, 3, 3); labels (N,)"),
        (np.array(["a", "b"]), "'y' is <U1 of shape (2,); labels (N,)"),
    ],
)
def test_arrays_that_are_no_targets_are_refused(array, problem):
    with pytest.raises(InputError) as caught:
        targets_of(array, "y", key="data")
    assert problem in str(caught.value)


def test_signals_are_taken_as_they_are():
    values = np.random.default_rng(0).normal(size=(4, 2, 7))
    assert (signal_inputs(values, "x").numpy() == values.astype(np.float32)).all()
    with pytest.raises(InputError, match="not finite"):
        signal_inputs(np.full((2, 3), np.nan), "x")
    with pytest.raises(InputError, match=r"numbers of shape \(N, \.\.\.\) are needed"):
        signal_inputs(np.array([["a"]]), "x")


def test_images_of_four_pixels_a_side_keep_their_channels():
    assert image_inputs(noise(2, 4, 4, 3), "x").shape == (2, 3, 4, 4)


def test_an_archive_may_hold_signals_and_numbers(tmp_path):
    rng = np.random.default_rng(0)
    file = tmp_path / "a.npz"
    np.savez(file, x_train=rng.normal(size=(40, 2, 9)), y_train=rng.integers(20, 60, 40))
    data = load_data("npz", make_task("regression", {}), path=file, inputs="signals")
    assert data.input_shape == (2, 9)
    assert data.train.inputs.dtype == data.train.targets.dtype == torch.float32
    assert data.train.targets.shape == (24, 1)  # whole numbers are numbers too
    assert data.classes == ("target",)
    with pytest.raises(InputError, match=r"data\.inputs: cannot be 'sounds'\. Write images or sig"):
        load_data("npz", make_task("regression", {}), path=file, inputs="sounds")
