"""Data that a Python program hands over: arrays, datasets, or splits of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnas.core import InputError

from .arrays import MOST_CHANNELS, image_inputs, signal_inputs, targets_of
from .pool import Pool, Pools, numbered_classes

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def pools_of(data: Any) -> Pools:
    """Pools from a pair (inputs, targets), a dataset, or a mapping of splits to either.

    Inputs are arrays or tensors: images (N, C, H, W), (N, H, W, C) or (N, H, W), uint8 or
    floats from 0 to 1 in 256 levels; any other numbers (N, ...) are taken as they are. A
    dataset is one of torch, with a length and items (input, target), where inputs may be
    pictures of Pillow too; all of it is read once, so it should not augment. Splits are `train`
    and, if there are, `validation` (or `val`) and `test`. A dataset's `classes` are kept.

    Raises:
        InputError: it is none of these; with the key `data`.
    """
    if isinstance(data, Pools):
        return data
    if not isinstance(data, Mapping):
        data = {"train": data}
    if "train" not in data or not set(data) <= set(_PARTS):
        raise InputError(
            f"splits are train, validation and test, not {', '.join(map(str, data)) or 'none'}.",
            key="data",
        )
    pools = {_PARTS[name]: _pool(part, name) for name, part in data.items()}
    classes = tuple(str(name) for name in getattr(data["train"], "classes", ()) or ())
    return Pools(**pools, classes=classes or numbered_classes(pools))  # type: ignore[arg-type]


def _pool(part: Any, name: str) -> Pool:
    pair = isinstance(part, tuple | list) and len(part) == 2
    inputs, targets = part if pair else _read(part, name)
    inputs, targets = _array(inputs), _array(targets)
    kind = image_inputs if _are_images(inputs) else signal_inputs
    return Pool(
        kind(inputs, f"{name} inputs", key="data"), targets_of(targets, f"{name} targets", "data")
    )


def _read(dataset: Any, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """All items of a dataset."""
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        raise InputError(
            f"{name} is a {type(dataset).__name__}; a pair (inputs, targets) or a dataset with "
            "a length and items (input, target) is needed.",
            key="data",
        )
    if not len(dataset):
        raise InputError(f"the {name} dataset has no items.", key="data")
    inputs: NDArray[Any] | None = None
    targets = []
    for i in range(len(dataset)):
        item, target = _item(dataset, i, name)
        if inputs is None:
            inputs = np.empty((len(dataset), *item.shape), item.dtype)
        if item.shape != inputs.shape[1:]:
            raise InputError(
                f"item {i} of the {name} dataset has the shape {item.shape}, item 0 "
                f"{inputs.shape[1:]}; one shape is needed.",
                key="data",
            )
        inputs[i] = item
        targets.append(target)
    assert inputs is not None
    try:
        return inputs, np.stack(targets)
    except ValueError as error:
        raise InputError(
            f"the targets of the {name} dataset differ in shape: {error}", key="data"
        ) from error


def _item(dataset: Any, index: int, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        item, target = dataset[index]
    except Exception as error:
        raise InputError(
            f"item {index} of the {name} dataset cannot be read as (input, target): "
            f"{type(error).__name__}: {error}",
            key="data",
        ) from error
    return _array(item), _array(target)


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _are_images(inputs: NDArray[Any]) -> bool:
    """uint8 of an image's shape, or floats in 256 levels from 0 to 1, as transforms make them."""
    shape = inputs.shape
    if inputs.ndim not in (3, 4) or (inputs.ndim == 4 and min(shape[1], shape[3]) > MOST_CHANNELS):
        return False
    if inputs.dtype == np.uint8:
        return True
    if inputs.dtype.kind != "f" or not inputs.size or inputs.ndim == 3:
        return False
    few = inputs.reshape(len(inputs), -1)[:: max(1, len(inputs) // 256)]
    levels = few.astype(np.float64) * 255
    whole = bool(np.abs(levels - levels.round()).max() < 1e-3)
    return whole and bool(inputs.min() >= 0 and inputs.max() <= 1)
