"""Decoding the images of a part, chunk by chunk, into raw files."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from torch import Tensor

from attnas.core import InputError

from .decoding import BadImage, Encoded, Header, Layout, Pixels, each, header, mask, pixels

CHUNK = 1024  # images that are decoded between two notes of how far it is
_CHUNK_BYTES = 2**26
_SAID_S = 10.0  # between two messages of how far it is
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chunk:
    """Consecutive images, how messages call them, and their masks, if they have masks."""

    names: list[str]
    images: Sequence[Encoded]
    masks: Sequence[Encoded] | None = None


class EncodedPart(Protocol):
    """The images of a part as a source has them.

    `targets` (N, ...) are known without decoding; None says that each image has a mask.
    """

    @property
    def targets(self) -> Tensor | None: ...

    def __len__(self) -> int: ...

    def chunks(self, first: int, size: int) -> Iterator[Chunk]:
        """The images from the given one on, so many at a time."""
        ...


@dataclass(frozen=True)
class Bad:
    """An image that cannot be read: which of its part, its name, and why."""

    index: int
    name: str
    problem: str


@dataclass(frozen=True)
class DecodedPart:
    """How far decoding is: images read and kept, those that are bad, values in masks."""

    read: int = 0
    kept: int = 0
    bad: tuple[Bad, ...] = ()
    mask_values: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "DecodedPart":
        bad = tuple(Bad(**item) for item in content.get("bad", ()))
        values = tuple(content.get("mask_values", ()))
        return cls(content.get("read", 0), content.get("kept", 0), bad, values)


def layout_of(parts: Mapping[str, EncodedPart], size: tuple[int, int] | None) -> Layout:
    """What all images become: grey if all of them are, of the size given or of their own.

    Raises:
        InputError: their sizes differ and none is given.
    """
    grey, first = True, ("", size)
    for part in parts.values():
        for chunk in part.chunks(0, CHUNK):
            for name, found in zip(chunk.names, each(header, chunk.images), strict=True):
                if not isinstance(found, Header):
                    continue  # reported when all are decoded
                grey = grey and found.grey
                if first[1] is None:
                    first = name, found.size
                elif size is None and found.size != first[1]:
                    raise _sizes_differ(first[0], first[1], name, found.size)
    height, width = first[1] or (1, 1)  # (1, 1): no image can be read, which is reported later
    return Layout(height, width, grey)


def decode_part(
    part: EncodedPart, layout: Layout, file: Path, done: DecodedPart
) -> Iterator[DecodedPart]:
    """Decodes from where it was stopped; yields how far it is when that is on the disk.

    Writes `FILE.inputs.bin`, (N, C, H, W), and of masks `FILE.masks.bin`, (N, H, W), uint8.
    """
    size = int(np.prod(layout.shape))
    count = max(1, min(CHUNK, _CHUNK_BYTES // size))
    said = time.monotonic()
    with _open(file, "inputs") as inputs, _open(file, "masks") as masks:
        masked = layout.height * layout.width if part.targets is None else 0
        if not (_holds(inputs, done.kept * size) and _holds(masks, done.kept * masked)):
            done = DecodedPart()  # what was noted is not on the disk
        _cut(inputs, done.kept * size)
        _cut(masks, done.kept * masked)
        for chunk in part.chunks(done.read, count):
            good, bad = _decode(chunk, layout, done.read)
            inputs.write(b"".join(image.tobytes() for image, _ in good))
            values = set(done.mask_values)
            for _, numbers in good:
                if numbers is not None:
                    masks.write(numbers.tobytes())
                    values.update(np.unique(numbers).tolist())
            for written in (inputs, masks):
                written.flush()
                os.fsync(written.fileno())
            done = replace(
                done,
                read=done.read + len(chunk.names),
                kept=done.kept + len(good),
                bad=(*done.bad, *bad),
                mask_values=tuple(sorted(values)),
            )
            if time.monotonic() - said > _SAID_S:
                said = time.monotonic()
                _log.info("Decoded %s of %s %s images.", *_grouped(done.read, len(part)), file.name)
            yield done


def _decode(
    chunk: Chunk, layout: Layout, first: int
) -> tuple[list[tuple[Pixels, Pixels | None]], list[Bad]]:
    """Images with their masks, and those that cannot be read."""

    def one(image: Encoded, numbers: Encoded | None) -> tuple[Pixels, Pixels | None]:
        if numbers is None:
            return pixels(image, layout), None
        size = header(image).size
        return pixels(image, layout), mask(numbers, layout, size)

    masks: Sequence[Encoded | None] = chunk.masks or [None] * len(chunk.images)
    good, bad = [], []
    for i, found in enumerate(each(one, chunk.images, masks)):
        if isinstance(found, BadImage):
            bad.append(Bad(first + i, chunk.names[i], str(found)))
        else:
            good.append(found)
    return good, bad


def _open(file: Path, what: str) -> BinaryIO:
    return open(file.with_name(f"{file.name}.{what}.bin"), "ab")


def _grouped(*counts: int) -> list[str]:
    return [f"{count:,}" for count in counts]


def _holds(file: BinaryIO, size: int) -> bool:
    return os.fstat(file.fileno()).st_size >= size


def _cut(file: BinaryIO, size: int) -> None:
    """Drops what was written after the last note of how far it is."""
    file.truncate(size)
    file.seek(size)


def _sizes_differ(
    first: str, size: tuple[int, int], name: str, other: tuple[int, int]
) -> InputError:
    return InputError(
        f"image sizes differ: {first} is {size[0]}x{size[1]}, {name} {other[0]}x{other[1]}. Give "
        "one to scale to, such as 'image_size: 64'.",
        key="data.image_size",
    )
