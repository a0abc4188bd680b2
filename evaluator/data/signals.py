"""Short patterns in noise on several channels, drawn by code: an embedded set of 1-D signals."""

import numpy as np
import torch
from numpy.typing import NDArray

from .drawn_options import check_noise, check_whole_number
from .pool import Pool, Pools
from .registry import register_source

KINDS = ("tone", "rising", "falling", "beat", "pulses", "steps")
_SHORTEST = 32

Signal = NDArray[np.float64]


@register_source("signals")
def signals(
    items: int = 3000, channels: int = 4, length: int = 128, noise: float = 0.4, seed: int = 0
) -> Pools:
    """Signals (channels, length) that hold one of six patterns, to be classified.

    A tone, a rising or falling chirp, two tones that beat, a row of pulses, or random steps: each
    begins anywhere, takes a third to two thirds of the signal and has another gain on each
    channel, some near 0, so that the channels are not worth the same. Every channel has noise and
    an offset of its own. Float32, of about unit deviation.

    Args:
        items: signals.
        channels: of each signal.
        length: samples of a channel.
        noise: standard deviation of the noise, where patterns have amplitudes up to 1.
        seed: draws all of it.
    """
    check_whole_number("items", items, 10)
    check_whole_number("channels", channels, 1)
    check_whole_number("length", length, _SHORTEST)
    check_noise(noise)
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(KINDS), size=items)
    inputs = rng.normal(0, noise, (items, channels, length))
    inputs += rng.normal(0, 0.3, (items, channels, 1))
    for signal, label in zip(inputs, labels, strict=True):
        extent = int(rng.integers(length // 3, 2 * length // 3))
        start = int(rng.integers(length - extent + 1))
        gains = rng.beta(0.7, 0.7, channels)
        signal[:, start : start + extent] += gains[:, None] * _pattern(int(label), extent, rng)
    return Pools(Pool(torch.from_numpy(inputs.astype(np.float32)), torch.from_numpy(labels)), KINDS)


def _pattern(kind: int, extent: int, rng: np.random.Generator) -> Signal:
    """One pattern over so many samples, within -1 and 1."""
    name, samples = KINDS[kind], np.arange(extent)
    low, high = np.sort(rng.uniform(0.03, 0.25, 2))  # cycles a sample
    phase = rng.uniform(0, 2 * np.pi)
    if name == "pulses":
        width = int(rng.integers(2, 5))
        period = int(rng.integers(2 * width + 2, 16))
        return np.asarray((samples + int(rng.integers(period))) % period < width, dtype=float)
    if name == "steps":
        period = int(rng.integers(4, 12))
        return rng.choice((-1.0, 1.0), extent // period + 1).repeat(period)[:extent]
    if name == "beat":
        return np.asarray(
            np.sin(2 * np.pi * high * samples + phase) * np.sin(np.pi * low * samples)
        )
    low, high = {"tone": (high, high), "falling": (high, low / 2)}.get(name, (low / 2, high))
    cycles = low * samples + (high - low) * samples**2 / (2 * extent)
    return np.asarray(np.sin(2 * np.pi * cycles + phase))
