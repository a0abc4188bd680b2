"""Decoded images kept on disk, since decoding takes far longer than reading them."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from attnas.search_space import InputError

from .pool import Pool, Pools

_FORMAT = 1  # raised when decoding changes, so that older entries are passed over
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """$ATTNAS_CACHE, else `attnas` in $XDG_CACHE_HOME, else `~/.cache/attnas`."""
    own = os.environ.get("ATTNAS_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "attnas"


def decoded_once(
    files: Iterable[Path], settings: Mapping[str, Any], decode: Callable[[], Pools]
) -> Pools:
    """What `decode` returns, from the cache if the files and settings are the same.

    Files are known by path, size and time of change. A cache that cannot be read or written
    costs time, not the result.

    Raises:
        InputError: a file is not there.
    """
    identity = [_identity(file) for file in files]
    text = json.dumps([_FORMAT, identity, dict(settings)], sort_keys=True)
    entry = cache_folder() / "data" / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"
    try:
        return _read(entry)
    except FileNotFoundError:
        pass
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        _log.warning("decoding again: cannot read %s (%s)", entry, error)
    pools = decode()
    try:
        _write(entry, pools)
    except (OSError, SafetensorError) as error:
        _log.warning("decoded images are not kept: cannot write %s (%s)", entry, error)
    return pools


def _identity(file: Path) -> list[str | int]:
    try:
        found = file.stat()
    except OSError as error:  # a link to nowhere
        raise InputError(
            f"cannot read {file}: {error.strerror}. Replace or remove it.", key="data.path"
        ) from error
    return [str(file.resolve()), found.st_size, found.st_mtime_ns]


def _read(entry: Path) -> Pools:
    with safe_open(entry, framework="pt") as file:
        metadata = file.metadata()
        pools = {
            name: Pool(file.get_tensor(f"{name}.images"), file.get_tensor(f"{name}.labels"))
            for name in json.loads(metadata["parts"])
        }
        return Pools(**pools, classes=tuple(json.loads(metadata["classes"])))


def _write(entry: Path, pools: Pools) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, pool in pools.parts().items():
        tensors[f"{name}.images"], tensors[f"{name}.labels"] = pool.images, pool.labels
    metadata = {"parts": json.dumps(list(pools.parts())), "classes": json.dumps(pools.classes)}
    handle, unfinished = tempfile.mkstemp(dir=entry.parent, suffix=".unfinished")
    os.close(handle)
    try:  # several processes may write the same entry: each its own file, the last one stays
        save_file(tensors, unfinished, metadata=metadata)
        os.replace(unfinished, entry)
    finally:
        Path(unfinished).unlink(missing_ok=True)
