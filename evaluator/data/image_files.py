"""Folders of image files: parts, images, and how they are read in chunks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor

from attnas.core import InputError

from .decoded_parts import Chunk

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class ImageFiles:
    """Image files with a target each, (N,), or with a file that is its mask each."""

    images: list[Path]
    targets: Tensor | None = None
    masks: list[Path] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def chunks(self, first: int, size: int) -> Iterator[Chunk]:
        for start in range(first, len(self), size):
            images = self.images[start : start + size]
            masks = None if self.masks is None else self.masks[start : start + size]
            yield Chunk([str(file) for file in images], images, masks)


def folders(parent: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones."""
    return sorted(f for f in parent.iterdir() if f.is_dir() and not f.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """The image files in a folder, by name, without hidden ones."""
    known = Image.registered_extensions()
    return sorted(
        f for f in folder.iterdir() if f.suffix.lower() in known and not f.name.startswith(".")
    )


def part_folders(root: Path) -> dict[str, Path]:
    """The folders of the parts that there are; the root itself is `train` if none is so named.

    Raises:
        InputError: two of them are of one part.
    """
    if not (root / "train").is_dir():
        return {"train": root}
    parts: dict[str, Path] = {}
    for found in folders(root):
        name = _PARTS.get(found.name)
        if name in parts:
            raise InputError(
                f"'{root}' has '{parts[name].name}' and '{found.name}', which are names of one "
                "part. Keep one of them, or put their images together.",
                key="data.path",
            )
        if name is not None:
            parts[name] = found
    return parts
