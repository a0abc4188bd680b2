"""Folders of images and of masks, for segmentation."""

from pathlib import Path

from attnas.core import InputError

from .cache import CACHE_GB, decoded_once
from .decoding import ImageSize
from .image_files import ImageFiles, images_in, part_folders
from .pool import Pools
from .registry import register_source


@register_source("image_masks")
def image_masks(
    path: str,
    images: str = "images",
    masks: str = "masks",
    mask_suffix: str = "",
    classes: list[str] | None = None,
    image_size: ImageSize = None,
    bad_images: str = "error",
    cache_gb: float = CACHE_GB,
) -> Pools:
    """Images and masks of the same names, `path/images/1.jpg` and `path/masks/1.png`.

    With a folder `train`, that is `path/train/images/1.jpg` and so on, and the folders
    `validation` (or `val`) and `test` are parts too. A mask is an image of one channel whose
    pixels are numbers of classes, 0 the background, 255 no class at all; masks that have 0 and
    255 alone are black and white drawings of one class. Masks are kept in memory.

    Args:
        path: the folder.
        images: name of the folders of images.
        masks: name of the folders of masks.
        mask_suffix: what the name of a mask has behind that of its image: `_mask` finds
            `1_mask.png` for `1.jpg`.
        classes: names of the classes, the background first; numbers if not given.
        image_size: side, or height and width, that images and masks are scaled to; None keeps
            theirs.
        bad_images: what to do with images or masks that cannot be read: `error`, or `skip` them.
        cache_gb: what all decoded images may take on disk.
    """
    root = Path(path)
    if not root.is_dir():
        found = "is a file" if root.exists() else "does not exist"
        raise InputError(f"'{path}' {found}; a folder is needed.", key="data.path")
    parts = {
        name: _pairs(part, images, masks, mask_suffix) for name, part in part_folders(root).items()
    }
    return decoded_once(
        parts,
        _names(classes),
        [file for part in parts.values() for file in (*part.images, *(part.masks or ()))],
        {"source": "image_masks", "parts": {name: len(part) for name, part in parts.items()}},
        image_size=image_size,
        bad_images=bad_images,
        cache_gb=cache_gb,
    )


def _pairs(part: Path, images: str, masks: str, suffix: str) -> ImageFiles:
    """The images of a part and the mask of each."""
    for name, key in ((images, "data.images"), (masks, "data.masks")):
        if not (part / name).is_dir():
            raise InputError(f"'{part}' has no folder '{name}'.", key=key)
    files = images_in(part / images)
    if not files:
        raise InputError(f"'{part / images}' has no images.", key="data.path")
    by_stem = {file.stem: file for file in images_in(part / masks)}
    missing = [file for file in files if file.stem + suffix not in by_stem]
    if missing:
        others = f" ({len(missing)} images have none)" if len(missing) > 1 else ""
        raise InputError(
            f"'{missing[0]}' has no mask '{missing[0].stem}{suffix}' in '{part / masks}'{others}. "
            "Add it or remove the image.",
            key="data.path",
        )
    return ImageFiles(files, masks=[by_stem[file.stem + suffix] for file in files])


def _names(classes: list[str] | None) -> tuple[str, ...]:
    if classes is None:
        return ()
    if not isinstance(classes, list) or len(classes) < 2:
        raise InputError(
            f"cannot be {classes!r}. Write two names or more, the background first.",
            key="data.classes",
        )
    return tuple(str(name) for name in classes)
