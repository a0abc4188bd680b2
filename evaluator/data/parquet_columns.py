"""Which columns of a Parquet file are images and targets, and what they hold."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnas.core import InputError

from .decoding import Encoded

_NEEDED = {
    "image": "a struct {bytes, path}",
    "label": "an integer, a float, a list of them, or a mask",
}


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Says of what cannot be read as Parquet that it cannot."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"cannot read '{file}' as Parquet: {first}", key="data.path") from error


def columns_of(schema: Any, wanted: tuple[str | None, str | None], file: Path) -> tuple[str, str]:
    """The columns of images and of their targets, as they are given or by their types.

    Raises:
        InputError: a given one does not fit, or not exactly one does.
    """
    images = [field.name for field in schema if _is_image(field.type)]
    image = _chosen(schema, wanted[0], images, "image", file)
    fitting = [f.name for f in schema if _is_target(f.type) and f.name != image]
    if wanted[1] is None and "label" not in fitting:
        import pyarrow as pa

        whole = [name for name in fitting if pa.types.is_integer(schema.field(name).type)]
        fitting = whole or fitting  # an integer is a label before anything else is
    return image, _chosen(schema, wanted[1], fitting, "label", file)


def targets_in(file: Path, column: str, classes: tuple[str, ...] | None) -> Tensor | None:
    """The targets of a file's rows, (N,) int64 or (N, K); None if they are masks.

    Raises:
        InputError: one is missing, or lists differ in length.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if _is_image(pq.read_schema(file).field(column).type):
        return None
    values = pq.read_table(file, columns=[column]).column(column).combine_chunks()
    if values.null_count:
        raise InputError(f"{values.null_count} rows of {file} have no label.", key="data.path")
    if pa.types.is_integer(values.type):
        return torch.from_numpy(values.to_numpy(zero_copy_only=False).astype(np.int64))
    if pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False)
        return torch.from_numpy(numbers.astype(np.float32)[:, None])
    if pa.types.is_floating(values.type.value_type):
        return torch.from_numpy(_rows_of(values, file).astype(np.float32))
    return torch.from_numpy(_marks(values, file, classes))


def image_bytes(column: Any) -> list[Encoded]:
    """The encoded images of a column; one without bytes is empty, which cannot be read."""
    return [(row or {}).get("bytes") or b"" for row in column.to_pylist()]


def class_names(metadata: dict[bytes, bytes] | None, label_column: str) -> tuple[str, ...] | None:
    """Names in the `huggingface` metadata: {"info": {"features": {label: {"names": [...]}}}}."""
    try:
        feature = json.loads((metadata or {})[b"huggingface"])["info"]["features"][label_column]
        feature = feature[0] if isinstance(feature, list) else feature.get("feature", feature)
        return tuple(str(name) for name in feature["names"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None


def _rows_of(values: Any, file: Path) -> np.ndarray:
    """Lists of one length, (N, K)."""
    lengths = np.asarray(values.value_lengths())
    if len(lengths) and (lengths != lengths[0]).any():
        raise InputError(
            f"the lists of numbers in {file} are from {lengths.min()} to {lengths.max()} long; "
            "one length is needed.",
            key="data.path",
        )
    return np.asarray(values.flatten()).reshape(len(values), -1)


def _marks(values: Any, file: Path, classes: tuple[str, ...] | None) -> np.ndarray:
    """0 and 1 for each label (N, K): from lists of these, or from lists of labels."""
    lengths, flat = np.asarray(values.value_lengths()), np.asarray(values.flatten())
    if len(flat) and flat.min() < 0:
        raise InputError(f"a label in {file} is {flat.min()}; 0 is the lowest.", key="data.path")
    known = 0 if classes is None else len(classes)
    width = int(lengths[0]) if len(lengths) else 0
    same = width > 1 and (lengths == width).all() and known in (0, width)
    if same and flat.max() <= 1:
        return flat.reshape(-1, width).astype(np.int64)
    marks = np.zeros((len(lengths), max(known, int(flat.max(initial=0)) + 1)), np.int64)
    marks[np.repeat(np.arange(len(lengths)), lengths), flat] = 1
    return marks


def _is_image(column_type: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_struct(column_type):
        return False
    fields = {field.name: field.type for field in column_type}
    held = fields.get("bytes")
    return held is not None and (pa.types.is_binary(held) or pa.types.is_large_binary(held))


def _is_target(column_type: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    lists = (types.is_list, types.is_large_list, types.is_fixed_size_list)
    if any(is_list(column_type) for is_list in lists):
        column_type = column_type.value_type
    elif _is_image(column_type):
        return True
    return bool(types.is_integer(column_type) or types.is_floating(column_type))


def _chosen(schema: Any, given: str | None, fitting: list[str], what: str, file: Path) -> str:
    found = ", ".join(f"{field.name} ({field.type})" for field in schema)
    key = f"data.{what}_column"
    if given is not None:
        if given in fitting:
            return given
        problem = f"'{given}' is no column of {what}s ({_NEEDED[what]})"
        raise InputError(f"{problem} in {file}. It has {found}.", key=key)
    if len(fitting) > 1 and what in fitting:
        return what
    if len(fitting) != 1:
        none = f"no column of {what}s ({_NEEDED[what]})"
        problem = none if not fitting else f"several fit as {what}s"
        raise InputError(
            f"{problem} in {file}. It has {found}.", key=key if fitting else "data.path"
        )
    return fitting[0]
