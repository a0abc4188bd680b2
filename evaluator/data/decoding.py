"""Encoded images to uint8 tensors of one size."""

import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from attnas.search_space import InputError

ImageSize = int | Sequence[int] | None
Encoded = Path | bytes

_GREY = {"1", "L", "LA"}
_DEEP = ("I", "F")  # more than eight bits a channel: Pillow would clip them
_UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


def decode(encoded: Sequence[Encoded], names: Sequence[str], image_size: ImageSize) -> Tensor:
    """Images (N, C, H, W) as uint8; C is 1 if all of them are grey, else 3.

    With `image_size` (side, or height and width) every image is scaled to cover that size and
    cut at its centre. `names` says in messages which image is meant.

    Raises:
        InputError: an image cannot be read, or sizes differ and `image_size` is None.
    """
    target = _height_width(image_size)
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow decodes outside Python's lock
        headers = list(threads.map(_header, encoded, names))
        if target is None:
            target = _common_size(headers, names)
        mode = "L" if all(grey for _, grey in headers) else "RGB"
        height, width = target
        pixels = np.empty((len(encoded), height, width, len(mode)), np.uint8)

        def fill(index: int) -> None:
            pixels[index] = _pixels(encoded[index], names[index], mode, (width, height))

        for _ in threads.map(fill, range(len(encoded))):
            pass
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _height_width(image_size: ImageSize) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = [image_size] * 2 if isinstance(image_size, int) else list(image_size)
    if len(sides) != 2 or not all(isinstance(s, int) and s >= 1 for s in sides):
        raise InputError(
            f"cannot read {image_size!r}. Write a side (64) or height and width ([48, 64]).",
            key="data.image_size",
        )
    return sides[0], sides[1]


def _open(encoded: Encoded) -> Image.Image:
    return Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded)


def _header(encoded: Encoded, name: str) -> tuple[tuple[int, int], bool]:
    """(height, width) as it will stand upright, and whether the image is grey."""
    try:
        with _open(encoded) as image:
            if image.mode.startswith(_DEEP):
                raise InputError(
                    f"{name} has more than 8 bits a channel (mode {image.mode}). "
                    "Convert it to 8 bits.",
                    key="data.path",
                )
            width, height = image.size
            if image.getexif().get(0x0112, 1) >= 5:  # orientation: lies on its side
                width, height = height, width
            return (height, width), image.mode in _GREY
    except _UNREADABLE as error:
        raise _corrupt(name, error) from error


def _pixels(encoded: Encoded, name: str, mode: str, size: tuple[int, int]) -> np.ndarray:
    try:
        with _open(encoded) as image:
            upright = ImageOps.exif_transpose(image).convert(mode)
            if upright.size != size:
                upright = ImageOps.fit(upright, size, Image.Resampling.BICUBIC)
            array = np.asarray(upright)
    except _UNREADABLE as error:
        raise _corrupt(name, error) from error
    return array if array.ndim == 3 else array[:, :, None]


def _common_size(
    headers: Sequence[tuple[tuple[int, int], bool]], names: Sequence[str]
) -> tuple[int, int]:
    first = headers[0][0]
    for (size, _), name in zip(headers, names, strict=True):
        if size != first:
            raise InputError(
                f"image sizes differ: {names[0]} is {first[0]}x{first[1]}, {name} "
                f"{size[0]}x{size[1]}. Give one to scale to, such as 'image_size: 64'.",
                key="data.image_size",
            )
    return first


def _corrupt(name: str, error: Exception) -> InputError:
    detail = "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error)
    return InputError(f"cannot decode {name}: {detail}. Replace or remove it.", key="data.path")
