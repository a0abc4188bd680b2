"""Checksums of what a run keeps: whether it is still what attnas wrote.

They tell of disks, copies and editors; somebody who means harm can make new ones.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import AttnasError

CHECKSUM = "checksum"
"""The key of a JSON file, and the comment at the end of a YAML file, that has it."""


class ChangedError(AttnasError):
    """A file is not what was written; `content` is what it has now."""

    def __init__(self, path: Path, content: Mapping[str, Any], remedy: str) -> None:
        self.content = dict(content)
        super().__init__(f"{path}: was changed since it was written. {remedy}")


def checksum(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def checksum_of(content: Mapping[str, Any]) -> str:
    """Of plain values, however they are laid out in a file; not of their own checksum."""
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    return checksum(json.dumps(rest, sort_keys=True, separators=(",", ":"), default=str))


def checked(
    path: Path, content: Mapping[str, Any], kept: str | None, remedy: str = "Restore a copy."
) -> dict[str, Any]:
    """The content without its checksum; what is `kept` as such must be right, where there is one.

    Raises:
        ChangedError: it is another.
    """
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    if kept is not None and kept != checksum_of(rest):
        raise ChangedError(path, rest, remedy)
    return rest
