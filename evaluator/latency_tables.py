"""Latency tables kept on disk: one for each device, space and what else decides a latency."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from attnas.core import AdditiveCost, AttnasError, to_json, write, writing
from attnas.search_space import SearchSpace

from .additive import additive_costs
from .data.cache import cache_folder
from .devices import Device
from .latency_table import SECONDS, LatencyTable, Progress, TableError, make_latency_table

FORMAT = 2

Note = Callable[[str], None]


def kept_table(
    space: SearchSpace,
    device: Device,
    *,
    seed: int,
    plain_ms: float,
    note: Note,
    progress: Progress | None = None,
) -> LatencyTable:
    """The latency table of the device: read, or else measured and kept.

    Its figures are relative to the plain backbone at `plain_ms`, so they compare with what is
    measured beside that. `progress` hears how many networks are measured.
    """
    table = read_table(space, device, note)
    if table is None:
        note(f"Measuring the latency table of {device.name}, for at most {SECONDS:.0f} seconds.")
        table = make_latency_table(space, device, seed=seed, plain_ms=plain_ms, progress=progress)
        write_table(table, device, note)
    note(error_text(table))
    return table.relative_to(plain_ms)


def error_text(table: LatencyTable) -> str:
    """How good the table is, in a sentence."""
    error = table.error
    if math.isnan(error.mape):
        return "The latency table has too few networks to know its error."
    return (
        f"Latency table: mean error {error.mape:.1%}, 95 % within {error.margin:.1%}, Kendall's "
        f"tau {error.tau:.2f}, R2 {error.r2:.3f} on {error.networks} networks held out."
    )


def table_file(space: SearchSpace, device: Device) -> Path:
    """Where the table is kept: the user's cache folder, by the hash of its key."""
    text = json.dumps(_key(space, device), sort_keys=True)
    return cache_folder() / "latency" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def read_table(space: SearchSpace, device: Device, note: Note) -> LatencyTable | None:
    """The table of exactly this space on this device; None if there is none to be read."""
    file = table_file(space, device)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["key"] != _key(space, device):
            raise ValueError("it is of something else")
        return _from_json(content, space)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        note(f"Measuring the latency table again: cannot read {file} ({error}).")
        return None


def write_table(table: LatencyTable, device: Device, note: Note) -> None:
    """Keeps the table; one that cannot be written is only noted."""
    file = table_file(table.space, device)
    try:
        with writing(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
        write(file, to_json({"key": _key(table.space, device), **table_to_json(table)}))
    except AttnasError as error:
        note(f"The latency table is not kept: {error}")


def entry_rows(table: LatencyTable) -> list[dict[str, Any]]:
    """An entry a row: `decision`, `option`, `ms` over the plain backbone, `standard_error`."""
    space, cost = table.space, table.cost
    return [
        {
            "decision": name,
            "option": option,
            "ms": cost.costs[i][j],
            "standard_error": table.standard_errors[i][j],
        }
        for i, name in enumerate(space.names)
        for j, option in enumerate(space.options[i])
    ]


def _key(space: SearchSpace, device: Device) -> dict[str, Any]:
    """All that decides a latency; a user's own block or backbone that was changed, as far as
    it shows in the counts."""
    counts = additive_costs(space).values() if space.is_shared else ()
    key = {
        "format": FORMAT,
        "attnas": version("attnas"),
        "device": device.describe(),
        "threads": device.threads,
        "batch_size": device.batch_size,
        "backbone": space.backbone.to_dict(),
        "identity_start": space.identity_start,
        "decisions": [decision.to_dict() for decision in space.decisions],
        "options": dict(zip(space.names, space.options, strict=True)),
        "counts": {cost.metric: [cost.base, *cost.costs] for cost in counts},
    }
    return json.loads(json.dumps(key))  # as it is read again: tuples are lists


def table_to_json(table: LatencyTable) -> dict[str, Any]:
    return {
        "base_ms": table.cost.base,
        "plain_ms": table.plain_ms,
        "seconds": table.seconds,
        "error": {
            name: value if math.isfinite(value) else None
            for name, value in asdict(table.error).items()
        },
        "entries": entry_rows(table),
    }


def _from_json(content: Mapping[str, Any], space: SearchSpace) -> LatencyTable:
    """What `table_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    rows = {(row["decision"], row["option"]): row for row in content["entries"]}
    entries = {
        part: tuple(
            tuple(_finite(rows[name, option][part]) for option in options)
            for name, options in zip(space.names, space.options, strict=True)
        )
        for part in ("ms", "standard_error")
    }
    error = content["error"]
    return LatencyTable(
        space=space,
        cost=AdditiveCost("latency_ms", _finite(content["base_ms"]), entries["ms"]),
        error=TableError(
            mape=_or(error["mape"], math.nan),
            tau=_or(error["tau"], math.nan),
            r2=_or(error["r2"], math.nan),
            margin=_or(error["margin"], math.inf),
            networks=int(error["networks"]),
        ),
        standard_errors=entries["standard_error"],
        plain_ms=_finite(content["plain_ms"]),
        seconds=_finite(content["seconds"]),
    )


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is no figure")
    return number


def _or(value: float | None, absent: float) -> float:
    return absent if value is None else _finite(value)
