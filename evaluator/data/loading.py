"""From a source's pools to the three splits of a search."""

import hashlib
import os
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnas.core import InputError

from .pool import Data, Pool, Pools, check
from .registry import call
from .splits import Size, count, split_indices

DEFAULT_SHARE = 0.2  # of the items that a source has for training, for validation and for test


class Targets(Protocol):
    """What a task says of targets, for loading them (`attnas.evaluator.tasks.Task`)."""

    def check(self, pools: Pools) -> Pools: ...

    def strata(self, targets: Tensor) -> NDArray[np.int64]: ...

    def data_facts(self, data: Data) -> dict[str, Any]: ...


def load_data(
    source: str,
    task: Targets,
    *,
    path: str | os.PathLike[str] | None = None,
    train: Size = None,
    validation: Size = None,
    test: Size = None,
    split_seed: int = 0,
    **options: Any,
) -> Data:
    """Reads a source and splits it, stratified as the task says.

    Args:
        source: a registered name, or `package.module:function` returning `Pools`.
        path: file or folder, for sources that read one.
        train: items to train on: a count, a share of what the source has, None for all left.
        validation: likewise; None for all of the source's own validation part, else a fifth.
        test: likewise; None for all of the source's own test part, else a fifth, taken first.
        split_seed: draws the splits; apart from a run's seed, so that runs share them.
        options: further arguments of the source.

    Raises:
        InputError: the source cannot be read, has too few items, or its targets are not what
            the task takes; the key says which entry.
    """
    pools = call(source, path, options)
    if not isinstance(pools, Pools):
        raise InputError(
            f"'{source}' returned {type(pools).__name__}; attnas.evaluator.Pools is needed.",
            key="data.source",
        )
    facts = {
        "source": source,
        "path": None if path is None else os.fspath(path),
        "options": {name: value for name, value in options.items() if name != "cache_gb"},
    }
    sizes = {"test": test, "validation": validation, "train": train}
    return split_pools(pools, task, sizes, split_seed=split_seed, facts=facts)


def split_pools(
    pools: Pools, task: Targets, wanted: dict[str, Size], *, split_seed: int, facts: dict[str, Any]
) -> Data:
    """The splits of pools, which are checked; `facts` say where they are from.

    Raises:
        InputError: as `load_data`.
    """
    pools = task.check(check(pools))
    chosen, indices = _split(pools, task, wanted, split_seed)
    data = Data(**chosen, classes=pools.classes, facts={})
    facts = {
        **facts,
        "split_seed": split_seed,
        "image": list(data.input_shape),
        "classes": list(pools.classes),
        "sizes": {name: len(chosen[name]) for name in ("train", "validation", "test")},
        **task.data_facts(data),
        "data_sha256": pools.digest(),
        "splits_sha256": _splits_digest(indices),
        "validation_sha256": _splits_digest({"validation": indices["validation"]}),
    }
    if pools.skipped:
        facts["skipped"] = pools.skipped
    return Data(**chosen, classes=pools.classes, facts=facts)


def _split(
    pools: Pools, task: Targets, wanted: dict[str, Size], seed: int
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
    strata = task.strata(pools.train.targets)
    indices = split_indices(strata, {**sizes, "train": left}, seed=seed)
    for name, pool in apart.items():
        size = count(wanted[name], len(pool), len(pool), key=f"data.{name}")
        indices |= split_indices(task.strata(pool.targets), {name: size}, seed=seed)
    chosen = {
        name: apart.get(name, pools.train).take(torch.from_numpy(part))
        for name, part in indices.items()
    }
    return chosen, indices


def _splits_digest(indices: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in (part for part in ("train", "validation", "test") if part in indices):
        digest.update(f"{name} {len(indices[name])}".encode())
        digest.update(indices[name].astype("<i8").tobytes())
    return digest.hexdigest()
