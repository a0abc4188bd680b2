"""What a recorded benchmark says of where its figures come from, and how it is written."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from attnas.core import InputError

RESULTS = Path(__file__).parent / "results"


def provenance(arguments: Sequence[str] | None, module: str) -> dict[str, Any]:
    """Command, versions, processor and threads."""
    given = sys.argv[1:] if arguments is None else arguments
    return {
        "command": shlex.join(["python", "-m", module, *given]),
        "python": platform.python_version(),
        "attnas": version("attnas"),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """What an earlier call has written; None if there was none.

    Raises:
        InputError: the file is no JSON object.
    """
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"is no JSON: {error}. Remove it.", file=str(path)) from error


def earlier_trainings(path: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trainings that an earlier call has done with these settings.

    Raises:
        InputError: they were done with others; the message names which.
    """
    known = read_json(path)
    if known is None:
        return []
    differing = [name for name, value in settings.items() if known["settings"].get(name) != value]
    if differing:
        raise InputError(
            f"was made with other {' and '.join(differing)}. Move it away or give --out.",
            file=str(path),
        )
    return list(known["trainings"])


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns as wide as their longest entry; numbers as they are given."""
    lines = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        )
        if number == 0:
            print("  ".join("-" * width for width in widths))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
