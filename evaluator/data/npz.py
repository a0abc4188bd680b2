"""Arrays in a NumPy archive."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attnas.search_space import InputError

from .pool import Pool, Pools, numbered_classes
from .registry import register_source

# Names that Keras, MedMNIST and plain archives use, by part.
_NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels")),
    "validation": (
        ("x_validation", "y_validation"),
        ("x_val", "y_val"),
        ("val_images", "val_labels"),
    ),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
_MOST_CHANNELS = 4


@register_source("npz")
def npz(path: str) -> Pools:
    """Arrays `x_train`, `y_train` and, if there are, `x_test`, `y_test` and `x_val`, `y_val`.

    `train_images`, `train_labels` and so on are read too, and `images`, `labels` alone. Images
    are (N, H, W), (N, H, W, C) or (N, C, H, W) with at most four channels, uint8 from 0 to 255
    or floats from 0 to 1; labels are (N,) or (N, 1) integers from 0. An array `classes` names
    the classes.

    Args:
        path: the `.npz` file.
    """
    arrays = _arrays(Path(path))
    pools = {}
    for part, spellings in _NAMES.items():
        for x, y in spellings:
            if x in arrays and y in arrays:
                pools[part] = Pool(_images(arrays[x], x), _labels(arrays[y], y))
                break
    if "train" not in pools:
        wanted = " or ".join(f"'{x}' and '{y}'" for x, y in _NAMES["train"])
        raise InputError(
            f"'{path}' has the arrays {', '.join(arrays) or '(none)'}; {wanted} are needed.",
            key="data.path",
        )
    if "classes" in arrays:
        classes = tuple(str(name) for name in arrays["classes"])
    else:
        classes = numbered_classes(pools)
    return Pools(**pools, classes=classes)


def _arrays(path: Path) -> Mapping[str, np.ndarray]:
    if not path.is_file():
        found = "is a folder" if path.exists() else "does not exist"
        raise InputError(f"'{path}' {found}; an .npz file is needed.", key="data.path")
    if not zipfile.is_zipfile(path):
        raise InputError(f"cannot read '{path}' as .npz: it is none, or cut.", key="data.path")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"cannot read '{path}' as .npz: {error}", key="data.path") from error


def _images(array: np.ndarray, name: str) -> Tensor:
    """(N, C, H, W) as uint8."""
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] <= _MOST_CHANNELS:
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] > _MOST_CHANNELS:
        raise InputError(
            f"'{name}' has the shape {array.shape}; (N, H, W), (N, H, W, C) or (N, C, H, W) "
            "is needed.",
            key="data.path",
        )
    if array.dtype.kind == "f" and array.size:
        if not (array.min() >= 0 and array.max() <= 1):
            raise InputError(
                f"'{name}' has floats from {array.min():g} to {array.max():g}; from 0 to 1 is "
                "needed (or uint8).",
                key="data.path",
            )
        array = (array * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"'{name}' is {array.dtype}; uint8 or floats are needed.", key="data.path")
    return torch.from_numpy(np.ascontiguousarray(array))


def _labels(array: np.ndarray, name: str) -> Tensor:
    """(N,) as int64."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"'{name}' is {array.dtype} of shape {array.shape}; integers of shape (N,) are needed.",
            key="data.path",
        )
    return torch.from_numpy(array.astype(np.int64))
