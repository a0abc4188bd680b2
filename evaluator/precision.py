"""Whether 16-bit training pays on a device: asked of the hardware, then measured once."""

import json
import logging
import os
import platform
import statistics
import time
from functools import cache
from pathlib import Path

import torch
from torch import nn

from .data.cache import cache_folder
from .recipe import Precision

_WORTH_IT = 1.25  # times faster; a narrow margin would come out differently from day to day
_log = logging.getLogger(__name__)


def resolved_precision(precision: Precision, device: str) -> str:
    """What a recipe's `precision` means on a device: 'auto' becomes one of the others.

    To be asked before a training begins, as the first answer may be measured.
    """
    if precision == "auto":
        return "bfloat16" if bfloat16_pays(device) else "float32"
    return precision


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """What a forward pass runs in under a resolved precision; weights stay float32.

    Each pass has one of its own: it keeps copies of the weights, which the next step changes.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


@cache
def bfloat16_pays(device: str) -> bool:
    """Whether a training step in bfloat16 autocast is at least 1.25 times as fast as in float32.

    The answer is kept in the user's cache, since a timing that came out otherwise another day
    would change results. Without hardware support nothing is timed: there bfloat16 is emulated,
    and ten times slower.
    """
    kind = torch.device(device).type
    if not _supported(kind):
        return False
    entry = cache_folder() / "precision.json"
    hardware = torch.cuda.get_device_name(device) if kind == "cuda" else _processor()
    key = f"{hardware}, torch {torch.__version__}"
    known = _read(entry)
    if key not in known:
        with torch.random.fork_rng():  # the probe's weights must not shift anyone's draws
            known[key] = _speedup(device) >= _WORTH_IT
        _write(entry, known)
    return bool(known[key])


def _supported(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        flags = _cpu_flags()
        return "avx512_bf16" in flags or "amx_bf16" in flags
    return False


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}


def _processor() -> str:
    return f"{platform.machine()} {' '.join(sorted(f for f in _cpu_flags() if 'bf16' in f))}"


def _speedup(device: str, steps: int = 7) -> float:
    """Median seconds of a small network's training step in float32 over bfloat16."""
    network = nn.Sequential(
        nn.Conv2d(16, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1),
    ).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.ones(64, 16, 16, 16, device=device).to(memory_format=torch.channels_last)

    def seconds(half: bool) -> float:
        begin = time.perf_counter()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            loss = network(images).square().mean()
        loss.backward()
        loss.item()  # waits for the device
        return time.perf_counter() - begin

    for half in (False, True):
        seconds(half)
    pairs = [(seconds(False), seconds(True)) for _ in range(steps)]
    return statistics.median(full for full, _ in pairs) / statistics.median(s for _, s in pairs)


def _read(entry: Path) -> dict[str, bool]:
    try:
        return dict(json.loads(entry.read_text()))
    except (OSError, ValueError):
        return {}


def _write(entry: Path, known: dict[str, bool]) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        unfinished = entry.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(known, indent=1))
        os.replace(unfinished, entry)
    except OSError as error:
        _log.warning("the precision probe is not kept: cannot write %s (%s)", entry, error)
