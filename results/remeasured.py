"""Latencies of the front measured again at the end of a search, beside the recorded ones.

The trials keep what was known when they ran, since the proposals after them came from that.
Readers see the figures of the last measurement, in which the whole front stood side by side.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, Trial, read, violations_text, write_checked

FRONT_LATENCY_FILE = "front_latency.json"
REMEDY = "Restore a copy, or remove it: the search measures the front again when it is run again."

_METRIC = "latency_ms"


@dataclass(frozen=True)
class Remeasured:
    """A trial's latency with its 95 % interval, and the constraints on it that it breaks.

    `violations` is as in `Trial`, of the constraints on `latency_ms` alone.
    """

    ms: float
    low: float
    high: float
    violations: Mapping[str, float]


def overlaid(trials: Sequence[Trial], again: Mapping[int, Remeasured]) -> tuple[Trial, ...]:
    """The trials with the latencies measured again, by trial number, in place of the recorded.

    Only of complete trials: what another one failed by, or was ruled out by, stays.
    """
    return tuple(
        _with(trial, again[trial.number])
        if trial.number in again and trial.state == "complete"
        else trial
        for trial in trials
    )


def read_remeasured(folder: Path) -> dict[int, Remeasured]:
    """What `write_remeasured` wrote into a run's folder; nothing if nothing was measured again.

    Raises:
        AttnasError: the file cannot be read or is damaged.
    """
    file = folder / FRONT_LATENCY_FILE
    if not file.exists():
        return {}
    try:
        return {
            int(number): Remeasured(
                _finite(found["ms"]),
                _finite(found["low"]),
                _finite(found["high"]),
                {name: float(excess) for name, excess in found["violations"].items()},
            )
            for number, found in read(file, REMEDY)["trials"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise AttnasError(f"{file}: the file is damaged: {error!r}. {REMEDY}") from error


def write_remeasured(
    folder: Path, again: Mapping[int, Remeasured], plain: Mapping[str, float]
) -> None:
    """Keeps the figures; `plain` has the plain backbone's `ms`, `low` and `high` of that time.

    Raises:
        AttnasError: the file cannot be written.
    """
    trials = {str(number): asdict(found) for number, found in sorted(again.items())}
    write_checked(folder / FRONT_LATENCY_FILE, {"plain": dict(plain), "trials": trials})


def _with(trial: Trial, found: Remeasured) -> Trial:
    others = {
        name: excess
        for name, excess in trial.violations.items()
        if not name.startswith(f"{_METRIC} ")
    }
    violations = {**others, **found.violations}
    return replace(
        trial,
        metrics={**trial.metrics, _METRIC: found.ms},
        intervals={**trial.intervals, _METRIC: (found.low, found.high)},
        violations=violations,
        reason=violations_text(violations),
    )


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is no latency")
    return number
