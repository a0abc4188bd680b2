"""The files of a run: written whole or not at all, locked by one process, read with care."""

import fcntl
import json
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import yaml

from .checksums import CHECKSUM, checked, checksum_of
from .errors import AttnasError
from .plain_text import parse_json, parse_yaml

LOCK_FILE = "lock"

_LOCKED_HERE: set[Path] = set()  # POSIX locks do not keep a process from itself


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock file; the system frees it however the process ends.

    Raises:
        AttnasError: another process holds it, which the message names, or it cannot be
            written.
    """
    path = (folder / LOCK_FILE).resolve()
    if path in _LOCKED_HERE:  # before opening: closing the file again would free the lock
        raise in_use(folder, os.getpid(), socket.gethostname())
    with writing(folder):
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (open as long as the lock)
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise in_use(folder, *_holder(file)) from None
        _LOCKED_HERE.add(path)
        try:
            with writing(folder):
                file.truncate(0)
                file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
                file.flush()
            yield
        finally:
            _LOCKED_HERE.discard(path)


def _holder(file: TextIO) -> tuple[int | str, str]:
    file.seek(0)
    try:
        holder = json.loads(file.read())
        return holder["pid"], holder["host"]
    except (ValueError, KeyError, TypeError):  # it has just taken the lock and not yet written
        return "unknown", socket.gethostname()


def in_use(folder: Path | str, process: int | str, host: str) -> AttnasError:
    """The error for a folder or database that another search holds."""
    return AttnasError(
        f"{folder}: another search works on this run (process {process} on {host}). "
        "Wait for it or stop it, or give the run another name."
    )


@contextmanager
def writing(folder: Path, *, named: bool = True) -> Iterator[None]:
    """Turns a full disk, a read-only folder and the like into an AttnasError.

    With `named` the message has the file that the system names, else `folder`.
    """
    try:
        yield
    except OSError as error:
        place = error.filename if named and error.filename else folder
        raise AttnasError(
            f"{place}: cannot be written: {error.strerror or error}. "
            "Correct that or choose another folder; what was finished is kept."
        ) from error


def write(path: Path, text: str) -> None:
    """Writes a file that has the old or the new content, whenever the process dies.

    Raises:
        AttnasError: it cannot be written.
    """
    with writing(path, named=False):  # it would be the temporary file
        replace_file(path, text.encode())


def replace_file(path: Path, content: bytes) -> None:
    """Puts a file into its place, on the disk, whole: a reader sees the old one or this one.

    Raises:
        OSError: it cannot be written; the old one is still there.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o644)  # mkstemp's files are the owner's alone
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name, too, is on the disk now
    finally:
        os.close(folder)


def to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def to_yaml(content: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)


def write_checked(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON or YAML file, by its suffix, with the checksum that `read` looks at.

    Raises:
        AttnasError: it cannot be written.
    """
    if path.suffix == ".json":
        plain = json.loads(to_json(content))  # as it is read again
        write(path, to_json({**plain, CHECKSUM: checksum_of(plain)}))
    else:
        text = to_yaml(content)
        write(path, f"{text}# {CHECKSUM}: {checksum_of(parse_yaml(text))}\n")


def read(path: Path, remedy: str = "Restore a copy.") -> dict[str, Any]:
    """The mapping in a JSON or YAML file of a run, by its suffix, without its checksum.

    Raises:
        ChangedError: it is not what its checksum says; with the `remedy`.
        AttnasError: the file is missing, cannot be read or is damaged.
    """
    content, kept = read_unchecked(path)
    return checked(path, content, kept, remedy)


def read_unchecked(path: Path) -> tuple[dict[str, Any], str | None]:
    """The mapping in a file, and the checksum that it has; as `read`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AttnasError(f"{path}: this file of the run is missing. Restore a copy.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AttnasError(f"{path}: cannot be read: {error}.") from error
    try:
        content = parse_json(text) if path.suffix == ".json" else parse_yaml(text)
    except (ValueError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())
        raise AttnasError(f"{path}: the file is damaged: {said}. Restore a copy.") from error
    if not isinstance(content, dict):
        raise AttnasError(f"{path}: the file is damaged: it is no mapping. Restore a copy.")
    if path.suffix == ".json":
        return content, content.get(CHECKSUM)
    found = re.search(rf"^# {CHECKSUM}: (\w+)\s*\Z", text, re.MULTILINE)
    return content, None if found is None else found[1]
