"""From a source's pools to the three splits of a search."""

import hashlib
import os
from typing import Any

import numpy as np
import torch

from attnas.search_space import InputError

from .pool import Data, Pool, Pools, check
from .registry import call
from .splits import Size, count, split_indices

DEFAULT_SHARE = 0.2  # of the images that a source has for training, for validation and for test


def load_data(
    source: str,
    *,
    path: str | os.PathLike[str] | None = None,
    train: Size = None,
    validation: Size = None,
    test: Size = None,
    split_seed: int = 0,
    **options: Any,
) -> Data:
    """Reads a source and splits it, stratified by class.

    Args:
        source: a registered name, or `package.module:function` returning `Pools`.
        path: file or folder, for sources that read one.
        train: images to train on: a count, a share of what the source has, None for all left.
        validation: likewise; None for all of the source's own validation part, else a fifth.
        test: likewise; None for all of the source's own test part, else a fifth, taken first.
        split_seed: draws the splits; apart from a run's seed, so that runs share them.
        options: further arguments of the source.

    Raises:
        InputError: the source cannot be read or has too few images; the key says which entry.
    """
    pools = call(source, path, options)
    if not isinstance(pools, Pools):
        raise InputError(
            f"'{source}' returned {type(pools).__name__}; attnas.evaluator.data.Pools is needed.",
            key="data.source",
        )
    check(pools)
    chosen, indices = _split(
        pools, {"test": test, "validation": validation, "train": train}, split_seed
    )
    counts = {name: _class_counts(chosen[name], pools) for name in ("train", "validation", "test")}
    empty = next((c for c, n in zip(pools.classes, counts["train"], strict=True) if n == 0), None)
    if empty is not None:
        raise InputError(f"the class '{empty}' gets no training image.", key="data.train")
    facts = {
        "source": source,
        "path": None if path is None else os.fspath(path),
        "options": dict(options),
        "split_seed": split_seed,
        "image": list(pools.train.images.shape[1:]),
        "classes": list(pools.classes),
        "sizes": {name: len(chosen[name]) for name in counts},
        "class_counts": counts,
        "data_sha256": _data_digest(pools),
        "splits_sha256": _splits_digest(indices),
    }
    return Data(**chosen, classes=pools.classes, facts=facts)


def _split(
    pools: Pools, wanted: dict[str, Size], seed: int
) -> tuple[dict[str, Pool], dict[str, np.ndarray]]:
    """Splits and their indices, each into the pool that it comes from."""
    apart = {name: pool for name, pool in pools.parts().items() if name != "train"}
    total = len(pools.train)
    sizes = {
        name: count(size, DEFAULT_SHARE, total, key=f"data.{name}")
        for name, size in wanted.items()
        if name not in apart and name != "train"
    }
    share = wanted["train"]
    left = None if share is None else count(share, total, total, key="data.train")
    indices = split_indices(pools.train.labels.numpy(), {**sizes, "train": left}, seed=seed)
    for name, pool in apart.items():
        size = count(wanted[name], len(pool), len(pool), key=f"data.{name}")
        indices |= split_indices(pool.labels.numpy(), {name: size}, seed=seed)
    chosen = {
        name: apart.get(name, pools.train).take(torch.from_numpy(part))
        for name, part in indices.items()
    }
    return chosen, indices


def _class_counts(pool: Pool, pools: Pools) -> list[int]:
    return torch.bincount(pool.labels, minlength=len(pools.classes)).tolist()


def _data_digest(pools: Pools) -> str:
    digest = hashlib.sha256()
    for name, pool in pools.parts().items():
        digest.update(f"{name} {tuple(pool.images.shape)}".encode())
        digest.update(pool.images.contiguous().numpy().data)
        digest.update(pool.labels.contiguous().numpy().data)
    return digest.hexdigest()


def _splits_digest(indices: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in ("train", "validation", "test"):
        digest.update(f"{name} {len(indices[name])}".encode())
        digest.update(indices[name].astype("<i8").tobytes())
    return digest.hexdigest()
