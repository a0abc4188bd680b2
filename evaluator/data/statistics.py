"""Mean and deviation of the channels, by which inputs are normalised."""

import numpy as np
import torch
from torch import Tensor

from .inputs import Inputs, chunks

SAMPLE = 2**16
"""Items that the figures are taken of where all of them do not fit memory."""


def channel_statistics(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation by channel, the second axis of inputs (N, C, ...), each (C,).

    Of inputs that are not in memory at most SAMPLE items are read, evenly spread. A channel that
    is constant has the deviation 1, so that it can be divided by.
    """
    if not isinstance(inputs, Tensor) and len(inputs) > SAMPLE:
        inputs = inputs.take_items(torch.linspace(0, len(inputs) - 1, SAMPLE).long())
    if inputs.dtype == torch.uint8:
        return _of_levels(inputs)
    channels, count = int(inputs.shape[1]), 0
    total, square = (torch.zeros(channels, dtype=torch.float64) for _ in range(2))
    for chunk in chunks(inputs):
        part = chunk.double().transpose(0, 1).flatten(1)
        total, square = total + part.sum(1), square + part.square().sum(1)
        count += part.shape[1]
    mean = total / count
    deviation = (square / count - mean.square()).clamp(min=0).sqrt()
    flat = deviation <= 1e-6 * mean.abs().clamp(min=1e-6)
    return mean.float(), torch.where(flat, torch.ones_like(deviation), deviation).float()


def _of_levels(images: Inputs) -> tuple[Tensor, Tensor]:
    """Of uint8 images (N, C, H, W), from how often each level occurs."""
    channels = int(images.shape[1])
    counts = np.zeros((channels, 256), dtype=np.int64)
    for chunk in chunks(images):
        for channel in range(channels):
            values = chunk[:, channel].reshape(-1).numpy()
            counts[channel] += np.bincount(values, minlength=256)
    levels = torch.arange(256, dtype=torch.float64)
    means, deviations = [], []
    for row in counts:
        share = torch.from_numpy(row).double()
        share /= share.sum()
        mean = (share * levels).sum()
        deviation = (share * (levels - mean).square()).sum().sqrt()
        means.append(mean)
        deviations.append(deviation if deviation > 0 else torch.ones_like(deviation))
    return torch.stack(means).float(), torch.stack(deviations).float()
