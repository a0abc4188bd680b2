"""Sizes that no honest config has, refused before they fill memory or take hours."""

import os
from collections.abc import Mapping, Sequence
from math import isfinite, prod
from pathlib import Path
from typing import Any

from attnas.core import InputError, brief, shortened

LARGEST = {"depth": 2_000, "width": 2_048}
"""Of arguments of our backbones; the deepest ResNet of the literature has 1,202 layers."""

LARGEST_OTHER = 1_000_000
_FLOAT_BYTES = 4


def check_finite(content: Any, key: str = "") -> None:
    """Sees whether all numbers of a config are finite: JSON, which a run is kept in, has no others.

    Raises:
        InputError: one is not; with its key.
    """
    if isinstance(content, Mapping):
        for name, value in content.items():
            check_finite(value, f"{key}.{name}" if key else str(name))
    elif isinstance(content, list | tuple):
        for place, value in enumerate(content):
            check_finite(value, f"{key}[{place}]")
    elif isinstance(content, float) and not isfinite(content):
        raise InputError(f"must be a finite number, not {content}.", key=key)


def check_arguments(arguments: Mapping[str, Any], key: str) -> None:
    """Sees whether the numbers given to one of our backbones are of a possible size.

    Raises:
        InputError: one is larger than any network.
    """
    for name, value in arguments.items():
        most = LARGEST.get(name, LARGEST_OTHER)
        if isinstance(value, int | float) and value > most:
            raise InputError(f"must be at most {most:,}, not {brief(value)}.", key=f"{key}.{name}")


def check_batch(batch_size: int, input_shape: Sequence[int]) -> None:
    """Sees whether the batch whose latency is measured fits this machine's memory at all.

    Raises:
        InputError: its inputs alone are more than that.
    """
    needed = batch_size * prod(input_shape) * _FLOAT_BYTES
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise InputError(
            f"{brief(batch_size)} inputs of {' x '.join(map(str, input_shape))} fill more than "
            f"the {memory / 2**30:.0f} GiB of this machine. Write a smaller number.",
            key="device.batch_size",
        )


def check_runs(runs: Path) -> None:
    """Sees whether the folder of the runs is one, or can be made.

    Raises:
        InputError: it, or what it would lie in, is a file.
    """
    for place in (runs, *runs.parents):
        try:
            if place.is_dir():
                return
            if place.exists():
                raise InputError("is a file; runs need a folder.", file=str(place))
        except OSError as error:  # a name that is too long
            raise InputError(f"{error.strerror}.", file=shortened(str(place))) from error
