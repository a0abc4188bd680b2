"""A folder of class folders of images."""

from pathlib import Path

import torch

from attnas.core import InputError

from .cache import CACHE_GB, decoded_once
from .decoding import ImageSize
from .image_files import ImageFiles, folders, images_in, part_folders
from .pool import Pools
from .registry import register_source


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
    root = Path(path)
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise InputError(f"'{path}' {found}; a folder of class folders is needed.", key="data.path")
    found_parts = part_folders(root)
    classes = tuple(f.name for f in folders(found_parts["train"]))
    if not classes:
        raise InputError(f"'{found_parts['train']}' has no class folders.", key="data.path")
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
