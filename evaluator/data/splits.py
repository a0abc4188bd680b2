"""Stratified splits: sizes, and which images go where."""

from collections.abc import Mapping

import numpy as np

from attnas.core import InputError

Size = int | float | None


def count(size: Size, default: float | int, of: int, *, key: str) -> int:
    """A size given as a count or as a share of `of` images, as a count.

    Raises:
        InputError: neither a count from 1 nor a share between 0 and 1, or more than there are.
    """
    wanted = default if size is None else size
    is_share = isinstance(wanted, float) and 0 < wanted < 1
    is_count = isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 1
    if not (is_share or is_count):
        raise InputError(f"cannot read {wanted!r}. Write a count (2000) or a share (0.2).", key=key)
    images = round(wanted * of) if is_share else int(wanted)
    if images < 1:
        raise InputError(f"{wanted} of {of} images leave none. Ask for more.", key=key)
    if images > of:
        raise InputError(f"{images} images are asked for; there are {of}.", key=key)
    return images


def stratified_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The indices of all images, shuffled so that every run of them is stratified.

    `labels` (N,). A class with n of the N images has n * m / N of any m neighbours in the order,
    give or take less than two. So splits are slices of the order, the first images of a split
    are a fair smaller split, and a longer slice contains the shorter one.
    """
    position = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        offset = rng.random()
        position[rng.permutation(members)] = (np.arange(len(members)) + offset) / len(members)
    return np.argsort(position, kind="stable")


def split_indices(
    labels: np.ndarray, sizes: Mapping[str, int | None], *, seed: int
) -> dict[str, np.ndarray]:
    """Indices of the splits in the order of `sizes`; None takes all that are left.

    Raises:
        InputError: the sizes add up to more images than there are, or leave none.
    """
    order = stratified_order(labels, np.random.default_rng(seed))
    parts: dict[str, np.ndarray] = {}
    used = 0
    for name, size in sizes.items():
        left = len(order) - used
        if left < (1 if size is None else size):
            taken = ", ".join(f"{len(part)} {other}" for other, part in parts.items())
            raise InputError(
                f"{size or 'some'} images are asked for, {left} of {len(order)} are left "
                f"beside {taken}.",
                key=f"data.{name}",
            )
        parts[name] = order[used:] if size is None else order[used : used + size]
        used += len(parts[name])
    return parts
