"""Digits among pieces of others, drawn by code: an embedded set on which attention matters."""

import numpy as np
import torch
from numpy.typing import NDArray

from .drawn_options import check_noise, check_whole_number
from .pool import Pool, Pools
from .registry import register_source

_SIDE = 8  # of a digit
_PIECE = 4  # of a piece of one
_LARGEST = 256
_MOST_PIECES = 1000
_SHARES = {"train": (0.0, 2 / 3), "validation": (2 / 3, 5 / 6), "test": (5 / 6, 1.0)}

Images = NDArray[np.float64]


@register_source("cluttered_digits")
def cluttered_digits(
    items: int = 4000, size: int = 20, pieces: int = 12, noise: float = 0.1, seed: int = 0
) -> Pools:
    """Canvases (1, size, size) with one of scikit-learn's digits among pieces of others.

    A digit of 8x8 stands anywhere, over quarters of 4x4 pixels that are cut out of other digits;
    noise lies over all. What the whole is must be told from its parts, which are everywhere: the
    cluttered MNIST of Mnih et al. 2014 (arXiv:1406.6247, section 4.1) in small. Training,
    validation and test images are made of different digits: of 1,198, 299 and 300.

    Args:
        items: training images; half as many are made for validation, and for the test.
        size: side of a canvas.
        pieces: on each.
        noise: standard deviation of the noise, where ink is 1.
        seed: draws all of it.
    """
    from sklearn.datasets import load_digits

    check_whole_number("items", items, 10)
    check_whole_number("size", size, _SIDE, _LARGEST)
    check_whole_number("pieces", pieces, 0, _MOST_PIECES)
    check_noise(noise)
    bunch = load_digits()
    drawn, labels = bunch.images / 16, bunch.target
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    pools = {}
    for part, (begin, end) in _SHARES.items():
        own = order[round(begin * len(order)) : round(end * len(order))]
        chosen = rng.choice(own, items if part == "train" else items // 2)
        canvases = _canvases(drawn[chosen], drawn[own], size, pieces, rng)
        canvases += rng.normal(0, noise, canvases.shape)
        grey = torch.from_numpy((255 * canvases.clip(0, 1)).round().astype(np.uint8))
        pools[part] = Pool(grey[:, None], torch.from_numpy(labels[chosen].astype(np.int64)))
    classes = tuple(str(name) for name in bunch.target_names)
    return Pools(pools["train"], classes, pools["validation"], pools["test"])


def _canvases(
    digits: Images, others: Images, size: int, pieces: int, rng: np.random.Generator
) -> Images:
    """The digits (N, 8, 8) on canvases (N, size, size), over pieces of the others (M, 8, 8)."""
    count = len(digits)
    canvases = np.zeros((count, size, size))
    for _ in range(pieces):
        source = rng.integers(len(others), size=count)
        cut = others[_window(source, rng.integers(_SIDE - _PIECE + 1, size=(2, count)), _PIECE)]
        there = _window(np.arange(count), rng.integers(size - _PIECE + 1, size=(2, count)), _PIECE)
        canvases[there] = np.maximum(canvases[there], cut)
    there = _window(np.arange(count), rng.integers(size - _SIDE + 1, size=(2, count)), _SIDE)
    canvases[there] = digits
    return canvases


def _window(
    items: NDArray[np.int64], corners: NDArray[np.int64], side: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The index of a square of each item, (N, side, side); `corners` (2, N) are its upper left."""
    along = np.arange(side)
    rows = corners[0][:, None, None] + along[:, None]
    columns = corners[1][:, None, None] + along
    return items[:, None, None], rows, columns
