"""Decoded images kept on disk, since decoding takes far longer than reading them."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from attnas.core import InputError, replace_file, to_json

from .decoded_parts import Bad, DecodedPart, EncodedPart, decode_part, layout_of
from .decoding import ImageSize, Layout, height_width
from .pool import Inputs, Pool, Pools
from .stored import StoredArray

CACHE_GB = 20.0
"""What all decoded data may take on disk, unless `data.cache_gb` says otherwise."""
IN_MEMORY = 2**29
"""Bytes of decoded inputs that are read into memory; more are read batch by batch."""
BadImages = Literal["error", "skip"]

_FORMAT = 2  # raised when decoding changes, so that older entries are passed over
_SHOWN = 20
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """$ATTNAS_CACHE, else `attnas` in $XDG_CACHE_HOME, else `~/.cache/attnas`."""
    own = os.environ.get("ATTNAS_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "attnas"


def decoded_once(
    parts: Mapping[str, EncodedPart],
    classes: tuple[str, ...],
    files: Iterable[Path],
    settings: Mapping[str, Any],
    *,
    image_size: ImageSize = None,
    bad_images: str = "error",
    cache_gb: float = CACHE_GB,
) -> Pools:
    """The images of all parts, decoded, from the cache if files and settings are the same.

    Files are known by path, size and time of change. Decoding goes on where it was stopped. Up
    to IN_MEMORY bytes of inputs are tensors, more are a `StoredArray`. A cache that cannot be
    written costs time, not the result.

    Args:
        classes: their names; if empty, as many numbers as the masks have.
        settings: whatever else decides what is decoded, as JSON values.
        bad_images: `error` if an image that cannot be read is one, `skip` to leave it out.
        cache_gb: what all decoded data may take on disk; the longest unused go first.

    Raises:
        InputError: a file is not there, images cannot be read or differ in size, or the
            decoded ones take more room than there is.
    """
    _check(bad_images, cache_gb)
    size = height_width(image_size)
    identity = [_identity(file) for file in files]
    text = json.dumps([_FORMAT, identity, size, dict(settings)], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    with _entry(key) as folder:
        entry = _Entry(folder, parts)
        if not entry.is_whole():
            entry.decode(size, cache_gb)
        return entry.pools(classes, bad_images)


class _Entry:
    """One folder of the cache: raw arrays of each part, and what is known of them."""

    def __init__(self, folder: Path, parts: Mapping[str, EncodedPart]) -> None:
        self.folder, self.parts = folder, parts
        self._manifest = folder / "manifest.json"

    def is_whole(self) -> bool:
        """Whether everything is decoded, and is still what it was when its digest was taken."""
        manifest = self._read()
        if manifest is None or "sha256" not in manifest:
            return False
        if manifest["files"] == self._files():
            os.utime(self._manifest)  # last used now
            return True
        if self._digest(manifest) == manifest["sha256"]:  # copied, say
            self._write({**manifest, "files": self._files()})
            return True
        _log.warning("decoding again: %s is not what it was", self.folder)
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        return False

    def decode(self, size: tuple[int, int] | None, cache_gb: float) -> None:
        """Decodes what is not yet decoded."""
        manifest = self._read() or {"layout": None, "parts": {}}
        if manifest["layout"] is None:
            layout = layout_of(self.parts, size)
            manifest["layout"] = [layout.height, layout.width, layout.grey]
        layout = Layout(*manifest["layout"])
        total = sum(len(part) for part in self.parts.values())
        make_room(self.folder, total, layout, cache_gb)
        self._write(manifest)
        for name, part in self.parts.items():
            begun = DecodedPart.from_dict(manifest["parts"].get(name, {}))
            for progress in decode_part(part, layout, self.folder / name, begun):
                manifest["parts"][name] = progress.to_dict()
                self._write(manifest)
        digest = self._digest(manifest)
        self._write({**manifest, "sha256": digest, "files": self._files()})

    def pools(self, classes: tuple[str, ...], bad_images: str) -> Pools:
        """What was decoded; images that could not be read are an error or are left out."""
        manifest = self._read()
        assert manifest is not None
        found = {name: DecodedPart.from_dict(part) for name, part in manifest["parts"].items()}
        bad = [item for part in found.values() for item in part.bad]
        total = sum(part.read for part in found.values())
        if bad and (bad_images == "error" or len(bad) == total):
            raise self._unreadable(bad, total)
        if bad:
            _log.warning(
                "%d of %d images cannot be read and are left out: %s",
                len(bad), total, self._listed(bad),
            )  # fmt: skip
        pools = self._pools(manifest, classes)
        sha256 = manifest.get("sha256", "")
        return Pools(**pools.parts(), classes=pools.classes, sha256=sha256, skipped=len(bad))  # type: ignore[arg-type]

    def _pools(self, manifest: Mapping[str, Any], classes: tuple[str, ...]) -> Pools:
        layout = Layout(*manifest["layout"])
        found = {name: DecodedPart.from_dict(part) for name, part in manifest["parts"].items()}
        size = int(np.prod(layout.shape))
        large = sum(part.kept for part in found.values()) * size > IN_MEMORY
        values = {value for part in found.values() for value in part.mask_values}
        pools = {}
        for name, part in found.items():
            shape = (part.kept, *layout.shape)
            inputs = _array(self.folder / f"{name}.inputs.bin", shape, large)
            targets = self.parts[name].targets
            if targets is None:
                file = self.folder / f"{name}.masks.bin"
                masks = torch.from_numpy(np.fromfile(file, np.uint8))
                targets = masks.reshape(-1, layout.height, layout.width)
                if values <= {0, 255}:  # drawn in black and white
                    targets = targets.clamp(max=1)
            elif part.bad:
                left = np.delete(np.arange(part.read), [item.index for item in part.bad])
                targets = targets[torch.from_numpy(left)]
            pools[name] = Pool(inputs, targets)
        return Pools(**pools, classes=classes or _numbers(values))  # type: ignore[arg-type]

    def _digest(self, manifest: Mapping[str, Any]) -> str:
        try:
            return self._pools(manifest, ("",)).digest()
        except (OSError, ValueError, RuntimeError, KeyError, TypeError):
            return "unreadable"

    def _unreadable(self, bad: list[Bad], total: int) -> InputError:
        if len(bad) == 1 and total > 1:
            what, them = f"cannot decode {bad[0].name}: {bad[0].problem}.", "it"
        else:
            what, them = (
                f"{len(bad)} of {total} images cannot be read: {self._listed(bad)}.",
                "them",
            )
        rest = f", or write 'bad_images: skip' to go on without {them}" if len(bad) < total else ""
        return InputError(f"{what} Replace or remove {them}{rest}.", key="data.path")

    def _listed(self, bad: list[Bad]) -> str:
        lines = [f"{item.name} ({item.problem})" for item in bad]
        if len(lines) <= _SHOWN:
            return "; ".join(lines)
        file = self.folder / "bad_images.txt"
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return "; ".join(lines[:_SHOWN]) + f"; ... all of them are listed in {file}"

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self._manifest.read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("decoding again: cannot read %s (%s)", self._manifest, error)
            return None

    def _write(self, manifest: Mapping[str, Any]) -> None:
        replace_file(self._manifest, to_json(manifest).encode())

    def _files(self) -> dict[str, list[int]]:
        found = {file.name: file.stat() for file in sorted(self.folder.glob("*.bin"))}
        return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in found.items()}


def make_room(folder: Path, items: int, layout: Layout, cache_gb: float) -> None:
    """Says what decoding takes, and removes the longest unused entries if it must.

    Raises:
        InputError: it takes more than `cache_gb`, or than the disk has.
    """
    needed = items * int(np.prod(layout.shape))
    text = (
        f"{items:,} images of {'x'.join(map(str, layout.shape))} take {gigabytes(needed)} decoded"
    )
    if needed > cache_gb * 1e9:
        raise InputError(
            f"{text}; {cache_gb:g} GB are allowed. Raise it, or make the images smaller with "
            "'image_size'.",
            key="data.cache_gb",
        )
    entries = sorted(_others(folder), key=lambda found: found[1])
    held = sum(size for _, _, size in entries)
    for entry, _, size in entries:
        if held + needed <= cache_gb * 1e9:
            break
        _log.info("Removing %s of decoded images from the cache: %s", gigabytes(size), entry)
        shutil.rmtree(entry, ignore_errors=True)
        held -= size
    written = sum(file.stat().st_size for file in folder.glob("*.bin"))
    free = shutil.disk_usage(folder).free
    if needed - written > free:
        raise InputError(
            f"{text}; {gigabytes(free)} are free in {folder.parent}. Free some, name another "
            "folder with the environment variable ATTNAS_CACHE, or make the images smaller with "
            "'image_size'.",
            key="data.path",
        )
    if needed > IN_MEMORY:
        _log.info("%s; they are kept in %s.", text, folder.parent)


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _others(folder: Path) -> Iterator[tuple[Path, float, int]]:
    """The other entries: folder, time of last use, bytes."""
    for entry in folder.parent.iterdir():
        if entry != folder and entry.is_dir():
            manifest = entry / "manifest.json"
            used = manifest.stat().st_mtime if manifest.exists() else 0.0
            yield entry, used, sum(file.stat().st_size for file in entry.glob("*.bin"))


@contextmanager
def _entry(key: str) -> Iterator[Path]:
    """The entry's folder, held by this process alone; a temporary one if there can be none."""
    parent = cache_folder() / "data"
    try:
        (parent / key).mkdir(parents=True, exist_ok=True)
        lock = open(parent / f"{key}.lock", "w")  # noqa: SIM115 (open as long as the lock)
    except OSError as error:
        _log.warning("decoded images are not kept: cannot write %s (%s)", parent, error)
        folder = tempfile.TemporaryDirectory(prefix="attnas-")
        _TEMPORARY.append(folder)  # removed when the process ends
        yield Path(folder.name)
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who waits here finds the images decoded
        yield parent / key


_TEMPORARY: list[tempfile.TemporaryDirectory[str]] = []


def _identity(file: Path) -> list[str | int]:
    try:
        found = file.stat()
    except OSError as error:  # a link to nowhere
        raise InputError(
            f"cannot read {file}: {error.strerror}. Replace or remove it.", key="data.path"
        ) from error
    return [str(file.resolve()), found.st_size, found.st_mtime_ns]


def _array(file: Path, shape: tuple[int, ...], large: bool) -> Inputs:
    if file.stat().st_size != int(np.prod(shape)):
        raise ValueError(f"{file} is cut")
    if large:
        return StoredArray(file, shape)
    values: Tensor = torch.from_numpy(np.fromfile(file, np.uint8))
    return values.reshape(shape)


def _numbers(values: set[int]) -> tuple[str, ...]:
    """'0', '1', ... for the classes in masks, where 255 is none."""
    highest = max(values - {255}, default=0)
    return tuple(str(value) for value in range(max(2, highest + 1)))


def _check(bad_images: str, cache_gb: float) -> None:
    if bad_images not in ("error", "skip"):
        raise InputError(f"cannot be {bad_images!r}. Write error or skip.", key="data.bad_images")
    number = isinstance(cache_gb, int | float) and not isinstance(cache_gb, bool)
    if not number or not cache_gb > 0:
        raise InputError(
            f"cannot be {cache_gb!r}. Write a number of gigabytes.", key="data.cache_gb"
        )
