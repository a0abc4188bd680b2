"""Arrays in a NumPy archive."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attnas.core import InputError

from .arrays import image_inputs, signal_inputs, targets_of
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
_INPUTS = {"images": image_inputs, "signals": signal_inputs}


@register_source("npz")
def npz(path: str, inputs: str = "images") -> Pools:
    """Arrays `x_train`, `y_train` and, if there are, `x_test`, `y_test` and `x_val`, `y_val`.

    `train_images`, `train_labels` and so on are read too, and `images`, `labels` alone. Images
    are (N, H, W), (N, H, W, C) or (N, C, H, W) with at most four channels, uint8 from 0 to 255
    or floats from 0 to 1. Targets are labels, (N,) or (N, 1) integers from 0; several labels
    each, (N, K) of 0 and 1; numbers, (N,) or (N, K) floats; or masks, (N, H, W) integers. An
    array `classes` names classes or targets.

    Args:
        path: the `.npz` file.
        inputs: `images`, or `signals` for numbers of any shape (N, C, ...) that are taken as
            they are.
    """
    if inputs not in _INPUTS:
        raise InputError(f"cannot be {inputs!r}. Write {' or '.join(_INPUTS)}.", key="data.inputs")
    arrays = _arrays(Path(path))
    pools = {}
    for part, spellings in _NAMES.items():
        for x, y in spellings:
            if x in arrays and y in arrays:
                pools[part] = Pool(_INPUTS[inputs](arrays[x], x), targets_of(arrays[y], y))
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
    return Pools(**pools, classes=classes)  # type: ignore[arg-type]


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
