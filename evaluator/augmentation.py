"""Random crops and flips of whole batches of uint8 images."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .randaugment import RandAugment

Augment = Literal["auto", "flip_crop", "crop", "randaugment", "none"]


def resolve(augment: Augment, channels: int) -> Augment:
    """What 'auto' means: flips for colour images alone, since digits and letters have a side."""
    if augment != "auto":
        return augment
    return "flip_crop" if channels == 3 else "crop"


class Augmentation:
    """The draws of one epoch, and their application to its batches.

    Each image is shifted by up to an eighth of its side in both directions, borders reflected,
    and with 'flip_crop' mirrored in half of the cases: the usual 4 pixels for 32x32. With
    'randaugment' both, and then `RandAugment`, which moves images but not the maps of targets.
    """

    def __init__(
        self, augment: Augment, shape: tuple[int, int, int], images: int, rng: np.random.Generator
    ) -> None:
        _, height, width = shape
        crop = augment != "none"
        reach_y, reach_x = (max(1, height // 8), max(1, width // 8)) if crop else (0, 0)
        shift_y = rng.integers(-reach_y, reach_y, images, endpoint=True)
        shift_x = rng.integers(-reach_x, reach_x, images, endpoint=True)
        flip = rng.random(images) < (0.5 if augment in ("flip_crop", "randaugment") else 0)
        self.active = crop
        self.shift_y, self.shift_x = torch.from_numpy(shift_y), torch.from_numpy(shift_x)
        self.flip = torch.from_numpy(flip)
        self.more = RandAugment(images, rng) if augment == "randaugment" else None

    def __call__(self, images: Tensor, start: int) -> Tensor:
        """Images (N, C, H, W) from `start` of the epoch on, augmented; any device."""
        if not self.active:
            return images
        image, rows, columns = self._places(images, start)
        picked = images.permute(0, 2, 3, 1)[image, rows, columns]
        moved = picked.permute(0, 3, 1, 2)  # (N, H, W, C) in memory: channels last
        return moved if self.more is None else self.more(moved, start)

    def maps(self, targets: Tensor, start: int) -> Tensor:
        """Maps (N, H, W) that belong to images from `start` on, moved as these are."""
        if not self.active:
            return targets
        return targets[self._places(targets[:, None], start)]

    def _places(self, images: Tensor, start: int) -> tuple[Tensor, Tensor, Tensor]:
        """Where the pixels come from: (N, 1, 1), (N, H, 1), (N, 1, W)."""
        n, _, height, width = images.shape
        these, device = slice(start, start + n), images.device
        rows = torch.arange(height) + self.shift_y[these, None]  # (N, H)
        columns = torch.arange(width) + self.shift_x[these, None]  # (N, W)
        columns = torch.where(self.flip[these, None], columns.flip(1), columns)
        rows = _reflect(rows, height).to(device)[:, :, None]
        columns = _reflect(columns, width).to(device)[:, None, :]
        return torch.arange(n, device=device)[:, None, None], rows, columns


def _reflect(positions: Tensor, size: int) -> Tensor:
    """Positions outside 0..size-1 mirrored at the border pixel: -1 -> 1, size -> size - 2."""
    if size == 1:
        return torch.zeros_like(positions)
    folded = positions.abs() % (2 * (size - 1))
    return torch.minimum(folded, 2 * (size - 1) - folded)
