"""Shapes on noise, drawn by code: an embedded set for tasks other than classification."""

import numpy as np
import torch
from numpy.typing import NDArray

from attnas.core import InputError

from .drawn_options import check_noise, check_whole_number
from .pool import Pool, Pools
from .registry import register_source

KINDS = ("disc", "square", "cross")
TARGETS = ("masks", "labels", "areas")
MOST_SHAPES = 3
_SMALLEST = 16


@register_source("shapes")
def shapes(
    items: int = 2000, size: int = 32, targets: str = "masks", noise: float = 0.35, seed: int = 0
) -> Pools:
    """Grey images of up to three discs, squares and crosses, in noise and uneven light.

    What is asked for is one of `targets`: `masks`, the class of each pixel (background, disc,
    square, cross), for segmentation; `labels`, which kinds are in the image, for multi_label;
    `areas`, the share of the image that each kind covers, in percent, for regression. The images
    are the same for all of them.

    Args:
        items: images.
        size: side of the images, in pixels.
        targets: what is asked for.
        noise: standard deviation of the noise, where grey levels go from 0 to 1.
        seed: draws all of it.
    """
    _check(items, size, targets, noise)
    rng = np.random.default_rng(seed)
    images = np.empty((items, 1, size, size), dtype=np.uint8)
    masks = np.zeros((items, size, size), dtype=np.uint8)
    for image, mask in zip(images, masks, strict=True):
        image[0] = _drawn(mask, noise, rng)
    covered = np.stack([(masks == k + 1).mean((1, 2)) for k in range(len(KINDS))], axis=1)
    names: tuple[str, ...] = KINDS
    if targets == "masks":
        wanted, names = torch.from_numpy(masks), ("background", *KINDS)
    elif targets == "labels":
        wanted = torch.from_numpy((covered > 0).astype(np.int64))
    else:
        wanted = torch.from_numpy((100 * covered).astype(np.float32))
    return Pools(Pool(torch.from_numpy(images), wanted), names)


def _drawn(mask: NDArray[np.uint8], noise: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One image (H, W); its mask is filled in."""
    size = len(mask)
    rows, columns = np.mgrid[:size, :size]
    # a slope of light, so that no grey level means a class
    light = rng.uniform(-0.3, 0.3, 2) @ np.stack([rows.ravel(), columns.ravel()]) / size
    image = 0.3 + light.reshape(size, size)
    for _ in range(rng.integers(1, MOST_SHAPES + 1)):
        kind = int(rng.integers(len(KINDS)))
        inside = _inside(kind, rows, columns, size, rng)
        mask[inside] = kind + 1
        image[inside] += rng.uniform(0.25, 0.5)
    image += rng.normal(0, noise, image.shape)
    return np.asarray(255 * image.clip(0, 1)).round().astype(np.uint8)


def _inside(
    kind: int,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """The pixels of a shape somewhere in the image."""
    reach = rng.uniform(size / 10, size / 5)
    y, x = rng.uniform(reach, size - reach, 2)
    dy, dx = np.abs(rows - y), np.abs(columns - x)
    if KINDS[kind] == "disc":
        return np.asarray(dy**2 + dx**2 <= reach**2)
    if KINDS[kind] == "square":
        return np.asarray(np.maximum(dy, dx) <= 0.9 * reach)
    arm = 0.35 * reach
    return np.asarray((np.minimum(dy, dx) <= arm) & (np.maximum(dy, dx) <= reach))


def _check(items: int, size: int, targets: str, noise: float) -> None:
    check_whole_number("items", items, 10)
    check_whole_number("size", size, _SMALLEST)
    if targets not in TARGETS:
        raise InputError(f"cannot be {targets!r}. Write {', '.join(TARGETS)}.", key="data.targets")
    check_noise(noise)
