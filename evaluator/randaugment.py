"""RandAugment on whole batches of uint8 colour images, in torch alone."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

OPERATIONS_AN_IMAGE = 2
MAGNITUDE = 9
MOST = 30  # the magnitude at which every operation is strongest
_GREY = 128  # what comes in from outside of an image
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601

Operation = Callable[[Tensor, Tensor], Tensor]
"""Takes float images (n, 3, H, W) on the scale of 0..255 and strengths (n,), -1 to 1."""


class RandAugment:
    """The draws of one epoch, and their application to its batches.

    Cubuk et al. 2019, arXiv:1909.13719: to each image two operations, one after the other, of the
    fourteen of section 3, all equally probable and with magnitude 9 of 30 as for ImageNet there.
    Ranges are those of torchvision: rotation by up to 30 degrees, shears to 0.3, shifts by 45 % of
    the side, factors from 0.1 to 1.9, four bits less, everything solarized. The direction of what
    has two is drawn. What comes in from outside is grey.
    """

    def __init__(self, images: int, rng: np.random.Generator) -> None:
        shape = images, OPERATIONS_AN_IMAGE
        self.operations = torch.from_numpy(rng.integers(len(OPERATIONS), size=shape))
        signs = torch.from_numpy(rng.choice(np.array([-1.0, 1.0], np.float32), shape))
        self.strengths = signs * (MAGNITUDE / MOST)

    def __call__(self, images: Tensor, start: int) -> Tensor:
        """Images (N, 3, H, W) uint8 from `start` of the epoch on, changed; any device."""
        these = slice(start, start + len(images))
        drawn, strengths = self.operations[these], self.strengths[these]
        changed = images.clone()
        for step in range(OPERATIONS_AN_IMAGE):
            for number, operation in enumerate(OPERATIONS.values()):
                chosen = (drawn[:, step] == number).nonzero().flatten()
                if not len(chosen):
                    continue
                at, own = chosen.to(images.device), strengths[chosen, step].to(images.device)
                given = operation(changed[at].float(), own)
                changed[at] = given.round_().clamp_(0, 255).to(torch.uint8)
        return changed


def _identity(images: Tensor, strengths: Tensor) -> Tensor:
    return images


def _auto_contrast(images: Tensor, strengths: Tensor) -> Tensor:
    """Each channel stretched to 0..255; one of a single value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = high == low
    stretched = (images - low) * (255 / (high - low).masked_fill(flat, 1))
    return torch.where(flat, images, stretched)


def _equalize(images: Tensor, strengths: Tensor) -> Tensor:
    """Values of each channel spread by their cumulative histogram, as PIL does it."""
    planes = images.long().flatten(0, 1).flatten(1)  # (n * 3, pixels)
    offsets = 256 * torch.arange(len(planes), device=images.device)[:, None]
    counts = torch.bincount((planes + offsets).flatten(), minlength=256 * len(planes))
    counts = counts.view(-1, 256)
    brightest = planes.amax(1, keepdim=True)
    step = (planes.shape[1] - counts.gather(1, brightest)) // 255  # (n * 3, 1)
    below = counts.cumsum(1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    spread = torch.where(step > 0, table.gather(1, planes), planes)
    return spread.view(images.shape).float()


def _solarize(images: Tensor, strengths: Tensor) -> Tensor:
    threshold = 255 * (1 - strengths.abs())[:, None, None, None]
    return torch.where(images >= threshold, 255 - images, images)


def _posterize(images: Tensor, strengths: Tensor) -> Tensor:
    step = 2 ** (4 * strengths.abs()).round()[:, None, None, None]
    return (images / step).floor() * step


def _colour(images: Tensor, strengths: Tensor) -> Tensor:
    return _blended(_luma(images), images, strengths)


def _contrast(images: Tensor, strengths: Tensor) -> Tensor:
    return _blended(_luma(images).mean((2, 3), keepdim=True), images, strengths)


def _brightness(images: Tensor, strengths: Tensor) -> Tensor:
    return _blended(torch.zeros_like(images), images, strengths)


def _sharpness(images: Tensor, strengths: Tensor) -> Tensor:
    """Against 3x3 means in which the pixel counts five times; the edge stays."""
    height, width = images.shape[2:]
    if min(height, width) < 3:
        return images
    kernel = images.new_ones(3, 3)
    kernel[1, 1] = 5
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 3, 3)
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, kernel, groups=images.shape[1]).round()
    return _blended(smooth, images, strengths)


def _rotate(images: Tensor, strengths: Tensor) -> Tensor:
    angles = math.radians(30) * strengths
    cosine, sine, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return _moved(images, (cosine, sine, zero), (-sine, cosine, zero))


def _shear_x(images: Tensor, strengths: Tensor) -> Tensor:
    one, zero = torch.ones_like(strengths), torch.zeros_like(strengths)
    return _moved(images, (one, 0.3 * strengths, zero), (zero, one, zero))


def _shear_y(images: Tensor, strengths: Tensor) -> Tensor:
    one, zero = torch.ones_like(strengths), torch.zeros_like(strengths)
    return _moved(images, (one, zero, zero), (0.3 * strengths, one, zero))


def _translate_x(images: Tensor, strengths: Tensor) -> Tensor:
    one, zero = torch.ones_like(strengths), torch.zeros_like(strengths)
    return _moved(images, (one, zero, _shift(images.shape[3], strengths)), (zero, one, zero))


def _translate_y(images: Tensor, strengths: Tensor) -> Tensor:
    one, zero = torch.ones_like(strengths), torch.zeros_like(strengths)
    return _moved(images, (one, zero, zero), (zero, one, _shift(images.shape[2], strengths)))


OPERATIONS: dict[str, Operation] = {
    "identity": _identity,
    "auto_contrast": _auto_contrast,
    "equalize": _equalize,
    "rotate": _rotate,
    "solarize": _solarize,
    "colour": _colour,
    "posterize": _posterize,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
}


def _shift(side: int, strengths: Tensor) -> Tensor:
    """In whole pixels, so that nothing lies between two of them."""
    return (0.45 * side * strengths).round()


def _blended(other: Tensor, images: Tensor, strengths: Tensor) -> Tensor:
    """`other` at a factor of 0, the images at 1, beyond them above that."""
    factors = 1 + 0.9 * strengths[:, None, None, None]
    return (other + factors * (images - other)).clamp(0, 255)


def _luma(images: Tensor) -> Tensor:
    weights = images.new_tensor(_LUMA)[:, None, None]
    return (images * weights).sum(1, keepdim=True)


Row = tuple[Tensor, Tensor, Tensor]


def _moved(images: Tensor, x: Row, y: Row) -> Tensor:
    """Each pixel from where the rows say: (x, y, 1) from the centre, in pixels; the nearest."""
    height, width = images.shape[2:]
    rows = (
        torch.stack((x[0], x[1] * height / width, 2 * x[2] / width), 1),
        torch.stack((y[0] * width / height, y[1], 2 * y[2] / height), 1),
    )
    size = [len(images), images.shape[1], height, width]
    grid = F.affine_grid(torch.stack(rows, 1), size, align_corners=False)
    found = F.grid_sample(
        images - _GREY, grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return found + _GREY
