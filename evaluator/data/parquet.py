"""Parquet files in the layout that Hugging Face uses for images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnas.core import InputError

from .cache import CACHE_GB, decoded_once
from .decoded_parts import Chunk
from .decoding import ImageSize
from .parquet_columns import class_names, columns_of, image_bytes, reading, targets_in
from .pool import Pool, Pools, numbered_classes
from .registry import register_source

_PARTS = ("train", "validation", "test")


@register_source("parquet")
def parquet(
    path: str,
    image_size: ImageSize = None,
    image_column: str | None = None,
    label_column: str | None = None,
    bad_images: str = "error",
    cache_gb: float = CACHE_GB,
) -> Pools:
    """Rows of an encoded image, struct {bytes, path}, and what belongs to it.

    That is an integer label from 0; a list of such labels, or of 0s and 1s, one for each label;
    a float, or a list of floats; or a second image, the mask. `path` is one file of training
    images, or a folder with `train*.parquet` and, if there are, `validation*.parquet` and
    `test*.parquet`. Class names are read from the `huggingface` metadata where it is; else they
    are the numbers. Layout: https://huggingface.co/docs/datasets/image_dataset

    Args:
        path: file or folder.
        image_size: side, or height and width, that all images are scaled to; None keeps theirs.
        image_column: the column of images; found by its type if not given.
        label_column: the column of labels, numbers or masks; `label`, or the only one that
            fits, if not given.
        bad_images: what to do with images that cannot be read: `error`, or `skip` them.
        cache_gb: what all decoded images may take on disk.
    """
    files = _files(Path(path))
    parts = {
        name: _part(part_files, (image_column, label_column)) for name, part_files in files.items()
    }
    classes = next((part.classes for part in parts.values() if part.classes), None)
    targets = {name: part.targets for name, part in parts.items() if part.targets is not None}
    if classes is None and targets:
        classes = numbered_classes({name: Pool(values, values) for name, values in targets.items()})
    return decoded_once(
        parts,
        classes or (),
        [file for part_files in files.values() for file in part_files],
        {
            "source": "parquet",
            "parts": {part: len(part_files) for part, part_files in files.items()},
            "columns": [image_column, label_column],
        },
        image_size=image_size,
        bad_images=bad_images,
        cache_gb=cache_gb,
    )


@dataclass(frozen=True)
class _Rows:
    """The rows of a part's files, in their order."""

    files: list[Path]
    counts: list[int]
    columns: tuple[str, str]  # of images and of what belongs to them
    targets: Tensor | None
    classes: tuple[str, ...] | None

    def __len__(self) -> int:
        return sum(self.counts)

    def chunks(self, first: int, size: int) -> Iterator[Chunk]:
        import pyarrow.parquet as pq

        wanted = [*self.columns] if self.targets is None else [self.columns[0]]
        begin = 0
        for file, count in zip(self.files, self.counts, strict=True):
            begin, row = begin + count, 0
            if begin <= first:
                continue
            with reading(file), pq.ParquetFile(file, pre_buffer=False) as parquet_file:
                for batch in parquet_file.iter_batches(size, columns=wanted):
                    skipped = max(0, first - (begin - count) - row)  # decoded before a stop
                    if skipped < len(batch):
                        yield _chunk(batch.slice(skipped), self.columns, row + skipped, file)
                    row += len(batch)


def _chunk(batch: Any, columns: tuple[str, str], row: int, file: Path) -> Chunk:
    names = [f"row {row + i} of {file}" for i in range(len(batch))]
    masks = batch.column(columns[1]) if columns[1] in batch.schema.names else None
    return Chunk(
        names,
        image_bytes(batch.column(columns[0])),
        None if masks is None else image_bytes(masks),
    )


def _files(path: Path) -> dict[str, list[Path]]:
    if not path.exists():
        raise InputError(f"'{path}' does not exist.", key="data.path")
    if path.is_file():
        return {"train": [path]}
    parts = {part: sorted(path.glob(f"{part}*.parquet")) for part in _PARTS}
    if not parts["train"]:
        raise InputError(f"'{path}' has no train*.parquet.", key="data.path")
    return {part: files for part, files in parts.items() if files}


def _part(files: list[Path], wanted: tuple[str | None, str | None]) -> _Rows:
    """The rows of a part; their targets are read, the images are not."""
    import pyarrow.parquet as pq

    found, counts, targets, names = ("", ""), [], [], None
    for file in files:
        with reading(file):
            schema = pq.read_schema(file)
            found = columns_of(schema, wanted, file)
            names = names or class_names(schema.metadata, found[1])
            counts.append(pq.read_metadata(file).num_rows)
            targets.append(targets_in(file, found[1], names))
    if not sum(counts):
        raise InputError(f"'{files[0]}' has no rows.", key="data.path")
    known = [part for part in targets if part is not None]
    if not known:
        return _Rows(files, counts, found, None, names)
    widest = max(part.shape[-1] for part in known)
    if known[0].ndim == 2:  # lists of labels: the highest may be in another file
        known = [
            torch.nn.functional.pad(part, (0, widest - part.shape[1]))
            if not part.is_floating_point()
            else part
            for part in known
        ]
    return _Rows(files, counts, found, torch.cat(known), names)
