"""Arrays as they come (NumPy archives, a user's own) to inputs and targets."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnas.core import InputError

MOST_CHANNELS = 4
NO_CLASS = 255
"""The value of a mask's pixel that has no class."""


def image_inputs(array: NDArray[Any], name: str, key: str = "data.path") -> Tensor:
    """Images (N, C, H, W) as uint8.

    Takes (N, H, W), (N, H, W, C) and (N, C, H, W) with at most four channels, uint8 from 0 to
    255 or floats from 0 to 1.

    Raises:
        InputError: it is nothing of the kind; `name` says which array.
    """
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] <= MOST_CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] > MOST_CHANNELS:
        raise InputError(
            f"'{name}' has the shape {array.shape}; (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "is needed.",
            key=key,
        )
    if array.dtype.kind == "f" and array.size:
        if not (array.min() >= 0 and array.max() <= 1):
            raise InputError(
                f"'{name}' has floats from {array.min():g} to {array.max():g}; from 0 to 1 is "
                "needed (or uint8).",
                key=key,
            )
        array = (array * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"'{name}' is {array.dtype}; uint8 or floats are needed.", key=key)
    return torch.from_numpy(np.ascontiguousarray(array))


def signal_inputs(array: NDArray[Any], name: str, key: str = "data.path") -> Tensor:
    """Numbers (N, ...) as they are, float32: signals (N, C, L), features (N, F), volumes.

    Raises:
        InputError: they are no numbers, or not all finite.
    """
    if array.ndim < 2 or array.dtype.kind not in "fiub":
        raise InputError(
            f"'{name}' is {array.dtype} of shape {array.shape}; numbers of shape (N, ...) are "
            "needed.",
            key=key,
        )
    numbers = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if not torch.isfinite(numbers).all():
        raise InputError(f"'{name}' has numbers that are not finite.", key=key)
    return numbers


def targets_of(array: NDArray[Any], name: str, key: str = "data.path") -> Tensor:
    """Targets by the array's kind: what the tasks take, one for each item.

    Whole numbers (N,) or (N, 1) are labels, int64; 0s and 1s (N, K) mark K labels, int64; floats
    (N,) or (N, K) are numbers, float32 (N, K); whole numbers (N, H, W) are masks, uint8.

    Raises:
        InputError: it is none of these.
    """
    whole, floats = array.dtype.kind in "iub", array.dtype.kind == "f"
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    if whole and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if whole and array.ndim in (1, 2):
        return torch.from_numpy(array.astype(np.int64))
    if floats and array.ndim in (1, 2):
        return torch.from_numpy(array.astype(np.float32).reshape(len(array), -1))
    if whole and array.ndim == 3:
        if array.size and (array.min() < 0 or array.max() > NO_CLASS):
            raise InputError(
                f"'{name}' has masks with classes from {array.min()} to {array.max()}; from 0 to "
                f"{NO_CLASS} is needed.",
                key=key,
            )
        return torch.from_numpy(array.astype(np.uint8))
    raise InputError(
        f"'{name}' is {array.dtype} of shape {array.shape}; labels (N,) or (N, labels), numbers "
        "(N,) or (N, targets), or masks (N, H, W) are needed.",
        key=key,
    )
