"""Parquet files in the layout that Hugging Face uses for images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnas.search_space import InputError

from .cache import decoded_once
from .decoding import ImageSize, decode
from .pool import Pool, Pools, numbered_classes
from .registry import register_source

_PARTS = ("train", "validation", "test")


@register_source("parquet")
def parquet(
    path: str,
    image_size: ImageSize = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> Pools:
    """Rows of an encoded image, struct {bytes, path}, and an integer label from 0.

    `path` is one file of training images, or a folder with `train*.parquet` and, if there are,
    `validation*.parquet` and `test*.parquet`. Class names are read from the `huggingface`
    metadata where it is; else they are the numbers. Layout:
    https://huggingface.co/docs/datasets/image_dataset

    Args:
        path: file or folder.
        image_size: side, or height and width, that all images are scaled to; None keeps theirs.
        image_column: the column of images; found by its type if not given.
        label_column: the column of labels; the only integer column, or `label`, if not given.
    """
    files = _files(Path(path))

    def read() -> Pools:
        columns = (image_column, label_column)
        pools, names = {}, None
        for part, part_files in files.items():
            pools[part], found = _pool(part_files, columns, image_size)
            names = names or found
        return Pools(**pools, classes=names or numbered_classes(pools))

    every = [file for part_files in files.values() for file in part_files]
    settings = {
        "source": "parquet",
        "parts": {part: len(part_files) for part, part_files in files.items()},
        "image_size": image_size,
        "columns": [image_column, label_column],
    }
    return decoded_once(every, settings, read)


def _files(path: Path) -> dict[str, list[Path]]:
    if not path.exists():
        raise InputError(f"'{path}' does not exist.", key="data.path")
    if path.is_file():
        return {"train": [path]}
    parts = {part: sorted(path.glob(f"{part}*.parquet")) for part in _PARTS}
    if not parts["train"]:
        raise InputError(f"'{path}' has no train*.parquet.", key="data.path")
    return {part: files for part, files in parts.items() if files}


def _pool(
    files: list[Path], columns: tuple[str | None, str | None], image_size: ImageSize
) -> tuple[Pool, tuple[str, ...] | None]:
    """The images of a part, and the names of the classes where the file has them."""
    encoded: list[bytes] = []
    labels, names, class_names = [], [], None
    for file in files:
        table, label_column = _table(file, columns)
        class_names = class_names or _class_names(table.schema.metadata, label_column)
        rows = table.column(0).to_pylist()
        for row, image in enumerate(rows):
            if not image or not image["bytes"]:
                raise InputError(f"row {row} of {file} has no image bytes.", key="data.path")
        encoded += [image["bytes"] for image in rows]
        names += [f"row {row} of {file}" for row in range(len(rows))]
        labels.append(_labels(table.column(1), file))
    together = np.concatenate(labels)
    if not len(together):
        raise InputError(f"'{files[0]}' has no rows.", key="data.path")
    return Pool(decode(encoded, names, image_size), torch.from_numpy(together)), class_names


def _table(file: Path, columns: tuple[str | None, str | None]) -> tuple[Any, str]:
    """The columns of images and labels, in this order, and the name of the latter."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(file)
        chosen = [
            _column(schema, columns[0], _is_image, "image", file),
            _column(schema, columns[1], lambda t: pa.types.is_integer(t), "label", file),
        ]
        return pq.read_table(file, columns=chosen).select(chosen), chosen[1]
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"cannot read '{file}' as Parquet: {first}", key="data.path") from error


def _is_image(column_type: Any) -> bool:
    import pyarrow as pa

    if not pa.types.is_struct(column_type):
        return False
    fields = {field.name: field.type for field in column_type}
    held = fields.get("bytes")
    return held is not None and (pa.types.is_binary(held) or pa.types.is_large_binary(held))


def _column(schema: Any, given: str | None, fits: Any, what: str, file: Path) -> str:
    fitting = [field.name for field in schema if fits(field.type)]
    found = ", ".join(f"{field.name} ({field.type})" for field in schema)
    key = f"data.{what}_column"
    needed = "a struct {bytes, path}" if what == "image" else "an integer"
    if given is not None:
        if given in fitting:
            return given
        problem = f"'{given}' is no column of {what}s ({needed})"
        raise InputError(f"{problem} in {file}. It has {found}.", key=key)
    if len(fitting) > 1 and what in fitting:
        return what
    if len(fitting) != 1:
        problem = f"no column of {what}s ({needed})" if not fitting else f"several fit as {what}s"
        raise InputError(
            f"{problem} in {file}. It has {found}.", key=key if fitting else "data.path"
        )
    return fitting[0]


def _labels(column: Any, file: Path) -> np.ndarray:
    if column.null_count:
        raise InputError(f"{column.null_count} rows of {file} have no label.", key="data.path")
    return column.to_numpy().astype(np.int64)


def _class_names(metadata: dict[bytes, bytes] | None, label_column: str) -> tuple[str, ...] | None:
    """Names in the `huggingface` metadata: {"info": {"features": {label: {"names": [...]}}}}."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label_column]["names"])
    except (KeyError, TypeError, ValueError):
        return None
