"""A folder of class folders of images."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from attnas.core import InputError

from .cache import CACHE_GB, decoded_once
from .decoding import Header, ImageSize, each, header
from .image_files import ImageFiles, folders, images_in, part_folders
from .pool import Pools
from .registry import register_source

_LOOKED_AT = 64  # images of a part, for their sizes


@register_source("folder")
def folder(
    path: str,
    image_size: ImageSize = None,
    bad_images: str = "error",
    cache_gb: float = CACHE_GB,
) -> Pools:
    """Images in one folder per class, `path/cat/1.jpg`, or `path/train/cat/1.jpg`.

    With a folder `train`, the folders `validation` (or `val`) and `test` are parts too. Classes
    are the names of the folders, in alphabetical order. Hidden files are passed over.

    Args:
        path: the folder.
        image_size: side, or height and width, that all images are scaled to; None keeps theirs.
        bad_images: what to do with images that cannot be read: `error`, or `skip` them.
        cache_gb: what all decoded images may take on disk.
    """
    found_parts, classes = _parts(Path(path))
    parts = {name: _labelled(part, classes) for name, part in found_parts.items()}
    return decoded_once(
        parts,
        classes,
        [file for part in parts.values() for file in part.images],
        {"source": "folder", "parts": {name: len(part) for name, part in parts.items()}},
        image_size=image_size,
        bad_images=bad_images,
        cache_gb=cache_gb,
    )


def _labelled(part: Path, classes: tuple[str, ...]) -> ImageFiles:
    """The images of a part with their labels, ordered by path."""
    strange = [f.name for f in folders(part) if f.name not in classes]
    if strange:
        raise InputError(
            f"'{part / strange[0]}' is not a class: the training images have "
            f"{', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''}.",
            key="data.path",
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if not (part / name).is_dir():
            continue
        images = images_in(part / name)
        if not images:
            raise InputError(
                f"the class folder '{part / name}' has no images. Fill or remove it.",
                key="data.path",
            )
        files += images
        labels += [label] * len(images)
    return ImageFiles(files, torch.tensor(labels))


@dataclass(frozen=True)
class FolderSurvey:
    """What is in a folder of class folders, without its images decoded.

    `counts` are the images by part and class, `sizes` height and width of some of them,
    `channels` are 1 if all of these are grey, else 3.
    """

    counts: Mapping[str, Mapping[str, int]]
    sizes: tuple[tuple[int, int], ...]
    channels: int


def survey(root: Path) -> FolderSurvey:
    """Counts the images and reads the headers of some.

    Raises:
        InputError: it is no folder of class folders with images, or none of them can be read.
        OSError: it cannot be read.
    """
    parts, classes = _parts(root)
    counts, looked = {}, []
    for name, part in parts.items():
        found = _labelled(part, classes)
        per_class = Counter(file.parent.name for file in found.images)
        counts[name] = {label: per_class[label] for label in classes}
        looked += found.images[:: max(1, len(found) // _LOOKED_AT)]
    headers = [h for h in each(header, looked) if isinstance(h, Header)]
    if not headers:
        raise InputError(f"none of the images in '{root}' can be read.", key="data.path")
    channels = 1 if all(h.grey for h in headers) else 3
    return FolderSurvey(counts, tuple(h.size for h in headers), channels)


def _parts(root: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """The folders of the parts, and the names of the classes.

    Raises:
        InputError: there is no such folder, or it has no class folders.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise InputError(f"'{root}' {found}; a folder of class folders is needed.", key="data.path")
    parts = part_folders(root)
    classes = tuple(f.name for f in folders(parts["train"]))
    if classes:
        return parts, classes
    loose = images_in(parts["train"])
    hint = (
        f" It has {len(loose):,} images: put those of each class into a folder of its own, "
        f"{parts['train'] / 'cat' / loose[0].name}."
        if loose
        else ""
    )
    raise InputError(f"'{parts['train']}' has no class folders.{hint}", key="data.path")
