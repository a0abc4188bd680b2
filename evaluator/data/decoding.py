"""Encoded images and masks to uint8 arrays of one size."""

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from attnas.core import InputError

ImageSize = int | Sequence[int] | None
Encoded = Path | bytes
Pixels = NDArray[np.uint8]

_GREY = {"1", "L", "LA", "I", "F"}
_LEVELS_16 = 65535
_ORIENTATION = 0x0112  # in EXIF; from 5 on the image lies on its side
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


class BadImage(Exception):
    """An image that cannot be read; the message says why."""


@dataclass(frozen=True)
class Header:
    """Height and width of an image as it will stand upright, and whether it is grey."""

    size: tuple[int, int]
    grey: bool


@dataclass(frozen=True)
class Layout:
    """What every image becomes: (channels, height, width), with 1 channel or 3."""

    height: int
    width: int
    grey: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        return (1 if self.grey else 3, self.height, self.width)


def height_width(image_size: ImageSize) -> tuple[int, int] | None:
    """What a config's `image_size` says: a side, or height and width.

    Raises:
        InputError: it says neither.
    """
    if image_size is None:
        return None
    sides: list[Any] = [image_size] * 2
    if isinstance(image_size, list | tuple):
        sides = list(image_size)
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 1 for s in sides)
    if len(sides) != 2 or not whole:
        raise InputError(
            f"cannot read {image_size!r}. Write a side (64) or height and width ([48, 64]).",
            key="data.image_size",
        )
    return sides[0], sides[1]


def each(function: Callable[..., Any], *items: Sequence[Any]) -> list[Any]:
    """The function of each item, or the BadImage that it raised, in several threads."""

    def one(*item: Any) -> Any:
        try:
            return function(*item)
        except BadImage as bad:
            return bad

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow decodes outside Python's lock
        return list(threads.map(one, *items))


def header(encoded: Encoded) -> Header:
    """What an image's first bytes say.

    Raises:
        BadImage: they cannot be read.
    """
    with _opened(encoded) as image:
        width, height = image.size
        if _lies(image):
            width, height = height, width
        grey = image.mode in _GREY or image.mode.startswith("I;16")
    return Header((height, width), grey)


def pixels(encoded: Encoded, layout: Layout) -> Pixels:
    """An image (C, H, W), scaled to cover the layout's size and cut at its centre.

    Sixteen bits a channel are brought to eight over their whole range, palettes to colours.

    Raises:
        BadImage: it cannot be read.
    """
    with _opened(encoded) as image:
        upright = ImageOps.exif_transpose(_eight_bits(image))
        array = _fitted(upright.convert("L" if layout.grey else "RGB"), layout, smooth=True)
    return array[None] if layout.grey else array.transpose(2, 0, 1)


def mask(encoded: Encoded, layout: Layout, size: tuple[int, int] | None = None) -> Pixels:
    """The class of each pixel (H, W): the values of a grey image, or a palette's numbers.

    Scaled and cut as the image is, without mixing neighbours. `size` is that of the image.

    Raises:
        BadImage: it cannot be read, has colours, or another size than its image.
    """
    with _opened(encoded) as image:
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            raise BadImage(f"a mask has one channel of class numbers, not the mode {image.mode}")
        if size is not None and (image.height, image.width) != size:
            raise BadImage(
                f"the mask is {image.height}x{image.width}, its image {size[0]}x{size[1]}"
            )
        numbers = np.asarray(image)
    if numbers.min(initial=0) < 0 or numbers.max(initial=0) > 255:
        raise BadImage("a mask's class numbers run from 0 to 255")
    return _fitted(Image.fromarray(numbers.astype(np.uint8)), layout, smooth=False)


def _lies(image: Image.Image) -> bool:
    """Whether it lies on its side. Asking a PNG for an EXIF that it lacks would decode it."""
    if image.format == "PNG" and "exif" not in image.info:
        return False
    return bool(image.getexif().get(_ORIENTATION, 1) >= 5)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The same image with at most eight bits a channel (Pillow itself would clip)."""
    if not image.mode.startswith(("I", "F")):
        return image
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > _LEVELS_16:
        raise BadImage(f"pixels are no levels of 8 or 16 bits (mode {image.mode})")
    scaled = Image.fromarray(np.round(levels / (_LEVELS_16 / 255)).astype(np.uint8))
    scaled.info["exif"] = image.getexif().tobytes()
    return scaled


def _fitted(image: Image.Image, layout: Layout, *, smooth: bool) -> Pixels:
    size = (layout.width, layout.height)
    if image.size != size:
        how = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
        image = ImageOps.fit(image, size, how)
    return np.asarray(image)


class _opened:
    """An image file, with whatever Pillow raises on it as a BadImage."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def __enter__(self) -> Image.Image:
        if self._encoded == b"":
            raise BadImage("it has no bytes")
        source = io.BytesIO(self._encoded) if isinstance(self._encoded, bytes) else self._encoded
        try:
            self._image = Image.open(source)
        except _UNREADABLE as error:
            raise _bad(error) from error
        return self._image

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._image.close()
        if isinstance(error, _UNREADABLE):
            raise _bad(error) from error


def _bad(error: BaseException) -> BadImage:
    if isinstance(error, Image.UnidentifiedImageError):
        return BadImage("not an image")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return BadImage(text)
