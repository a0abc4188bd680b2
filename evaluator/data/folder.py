"""A folder of class folders of images."""

from pathlib import Path

import torch
from PIL import Image

from attnas.search_space import InputError

from .cache import decoded_once
from .decoding import ImageSize, decode
from .pool import Pool, Pools
from .registry import register_source

_PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


@register_source("folder")
def folder(path: str, image_size: ImageSize = None) -> Pools:
    """Images in one folder per class, `path/cat/1.jpg`, or `path/train/cat/1.jpg`.

    With a folder `train`, the folders `validation` (or `val`) and `test` are parts too. Classes
    are the names of the folders, in alphabetical order. Hidden files are passed over.

    Args:
        path: the folder.
        image_size: side, or height and width, that all images are scaled to; None keeps theirs.
    """
    root = Path(path)
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise InputError(f"'{path}' {found}; a folder of class folders is needed.", key="data.path")
    parts = _parts(root)
    classes = tuple(sorted(f.name for f in _folders(parts["train"])))
    if not classes:
        raise InputError(f"'{parts['train']}' has no class folders.", key="data.path")
    files = {name: _files(part, classes) for name, part in parts.items()}

    def read() -> Pools:
        pools = {}
        for name, labelled in files.items():
            paths = [file for file, _ in labelled]
            images = decode(paths, [str(file) for file in paths], image_size)
            pools[name] = Pool(images, torch.tensor([label for _, label in labelled]))
        return Pools(**pools, classes=classes)

    every = [file for labelled in files.values() for file, _ in labelled]
    return decoded_once(every, {"source": "folder", "image_size": image_size}, read)


def _folders(parent: Path) -> list[Path]:
    return sorted(f for f in parent.iterdir() if f.is_dir() and not f.name.startswith("."))


def _parts(root: Path) -> dict[str, Path]:
    if not (root / "train").is_dir():
        return {"train": root}
    parts: dict[str, Path] = {}
    for found in _folders(root):
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


def _files(part: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """The images of a part with their labels, ordered by path."""
    strange = [f.name for f in _folders(part) if f.name not in classes]
    if strange:
        raise InputError(
            f"'{part / strange[0]}' is not a class: the training images have "
            f"{', '.join(classes[:8])}{', ...' if len(classes) > 8 else ''}.",
            key="data.path",
        )
    known = Image.registered_extensions()
    labelled = []
    for label, name in enumerate(classes):
        images = sorted(f for f in (part / name).glob("*") if f.suffix.lower() in known)
        if not images and part.joinpath(name).is_dir():
            raise InputError(
                f"the class folder '{part / name}' has no images. Fill or remove it.",
                key="data.path",
            )
        labelled += [(f, label) for f in images if not f.name.startswith(".")]
    return labelled
