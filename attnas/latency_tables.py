"""Latency tables kept on disk: one for each device, space and what else decides a latency."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from attnas.evaluator import (
    AdditiveCost,
    Device,
    Evaluator,
    LatencyTable,
    TrainingEvaluator,
    additive_costs,
)
from attnas.evaluator.data.cache import cache_folder
from attnas.evaluator.latency_table import (
    SECONDS,
    TRUSTED_MAPE,
    Progress,
    TableError,
    make_latency_table,
    wanted_networks,
)
from attnas.results.folder import to_json, write, writing
from attnas.search_space import AttnasError, InputError, SearchSpace

from .config import Config
from .observer import Observer
from .setup import Problem, make_device, make_problem

FORMAT = 1
SECONDS_A_LINE = 10.0
"""How often `profile` says how far it is."""

_DISTRUST = (
    f"With a mean error above {TRUSTED_MAPE:.0%} a table rejects nothing: every latency is "
    "measured. `attnas profile CONFIG --force` makes it again; on a quiet "
    "machine, or with more --seconds, it will be better."
)

Note = Callable[[str], None]


@runtime_checkable
class MeasuresElsewhere(Protocol):
    """An evaluator whose device is another process's."""

    def latency_table(self) -> tuple[LatencyTable, list[str]]:
        """That device's table, relative to its plain backbone, and what there is to note."""
        ...

    def screen_by(self, table: LatencyTable) -> None:
        """As `TrainingEvaluator.screen_by`."""
        ...


def latency_table(
    config: Config,
    problem: Problem,
    evaluator: Evaluator,
    note: Note,
    *,
    make: bool = True,
    progress: Progress | None = None,
) -> LatencyTable:
    """The latency table of the evaluator's device: read, or else measured and kept.

    Its figures are relative to the plain backbone as the evaluator has measured it, so they
    compare with what it measures. `progress` hears how many networks are measured, unless
    another node measures.

    Raises:
        InputError: recorded results are replayed, so there is nothing to measure on.
        AttnasError: there is no table, and `make` is false.
    """
    if isinstance(evaluator, MeasuresElsewhere):
        note("The measuring node makes or reads its latency table.")
        made, notes = evaluator.latency_table()
        for text in notes:
            note(text)
        return made
    device = getattr(evaluator, "device", None)
    if device is None:
        raise _no_device()
    plain_ms = evaluator.plain.metrics["latency_ms"]  # type: ignore[attr-defined]
    table = read_table(problem.space, device, note)
    if table is None:
        if not make:
            raise AttnasError("there is no latency table yet. `attnas profile CONFIG` makes it.")
        note(f"Measuring the latency table of {device.name}, for at most {SECONDS:.0f} seconds.")
        table = make_latency_table(
            problem.space, device, seed=config.seed, plain_ms=plain_ms, progress=progress
        )
        write_table(table, device, note)
    note(error_text(table))
    return table.relative_to(plain_ms)


def profile(
    config: Config,
    *,
    note: Note,
    seconds: float | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """The device's latency table as plain data, measured unless one is kept.

    `force` measures again, for at most `seconds`. Keys: `file`, `made_now`, `trusted`, and
    what the file has (`device`, `plain_ms`, `error`, `entries` ...).

    Raises:
        InputError: recorded results are replayed, or something in the config is wrong.
    """
    problem = make_problem(config)
    if problem.data is None:
        raise _no_device()
    device, space = make_device(config), problem.space
    file = table_file(space, device)
    table = None if force else read_table(space, device, note)
    made_now = table is None
    if table is None:
        budget = SECONDS if seconds is None else seconds
        most = wanted_networks(space)
        note(f"Measuring at most {most} networks on {device.name}, for about {budget:.0f} s.")
        table = make_latency_table(
            space, device, seed=config.seed, seconds=budget, progress=_now_and_then(note)
        )
        note(f"It took {table.seconds:.0f} s for {table.error.networks} networks.")
        if not table.trusted and budget < SECONDS:  # searches would use it instead of a better one
            note(f"It is not kept: allow --seconds {SECONDS:.0f} for a table to be trusted.")
        else:
            write_table(table, device, note)
            note(f"It is kept in {file}.")
    else:
        note(f"There is a table already, {file}; --force measures again.")
    note(error_text(table))
    if not table.trusted:
        note(_DISTRUST)
    return {
        "file": str(file),
        "made_now": made_now,
        "trusted": table.trusted,
        "device": device.describe(),
        **_to_json(table),
    }


def _now_and_then(note: Note) -> Progress:
    """Tells every some seconds how many networks are measured."""
    told = time.monotonic()

    def progress(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > SECONDS_A_LINE:
            told = time.monotonic()
            note(f"{done} of {of} networks measured.")

    return progress


def screen_by_table(
    config: Config, problem: Problem, evaluator: Evaluator, observer: Observer
) -> None:
    """Lets the evaluator reject by the table where the config asks for it and it is trusted."""
    if config.screening != "table":
        return
    if not isinstance(evaluator, TrainingEvaluator | MeasuresElsewhere):
        return  # what is replayed costs nothing
    if not any(c.metric == "latency_ms" for c in problem.constraints):
        observer.note("'screening: table' changes nothing: there is no bound on latency_ms.")
        return
    heard = partial(observer.preparing, "networks measured")
    table = latency_table(config, problem, evaluator, observer.note, progress=heard)
    if table.trusted:
        evaluator.screen_by(table)
    else:
        observer.note(_DISTRUST)


def _no_device() -> InputError:
    return InputError(
        "no latency is measured where recorded results are replayed: there can be no latency "
        "table. Leave that out of the config.",
        key="evaluator",
    )


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
        write(file, to_json({"key": _key(table.space, device), **_to_json(table)}))
    except AttnasError as error:
        note(f"The latency table is not kept: {error}")


def entry_rows(table: LatencyTable) -> list[dict[str, Any]]:
    """An entry a row: `stage`, `choice`, `ms` over the plain backbone, `standard_error` of it."""
    space, cost = table.space, table.cost
    return [
        {
            "stage": stage,
            "choice": str(choice),
            "ms": cost.costs[i][j],
            "standard_error": table.standard_errors[i][j],
        }
        for i, stage in enumerate(space.stage_names)
        for j, choice in enumerate(space.allowed[i])
    ]


def _key(space: SearchSpace, device: Device) -> dict[str, Any]:
    """All that decides a latency; a user's own block or backbone that was changed, as far as
    it shows in the counts."""
    counts = additive_costs(space).values()
    key = {
        "format": FORMAT,
        "attnas": version("attnas"),
        "device": device.describe(),
        "threads": device.threads,
        "batch_size": device.batch_size,
        "backbone": space.backbone.to_dict(),
        "identity_start": space.identity_start,
        "options": {
            stage: [str(choice) for choice in space.options(stage)] for stage in space.stage_names
        },
        "counts": {cost.metric: [cost.base, *cost.costs] for cost in counts},
    }
    return json.loads(json.dumps(key))  # as it is read again: tuples are lists


def _to_json(table: LatencyTable) -> dict[str, Any]:
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
    """What `_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: it is damaged.
    """
    rows = {(row["stage"], row["choice"]): row for row in content["entries"]}
    by_stage = {
        part: tuple(
            tuple(_finite(rows[stage, str(choice)][part]) for choice in space.options(stage))
            for stage in space.stage_names
        )
        for part in ("ms", "standard_error")
    }
    error = content["error"]
    return LatencyTable(
        space=space,
        cost=AdditiveCost("latency_ms", _finite(content["base_ms"]), by_stage["ms"]),
        error=TableError(
            mape=_or(error["mape"], math.nan),
            tau=_or(error["tau"], math.nan),
            r2=_or(error["r2"], math.nan),
            margin=_or(error["margin"], math.inf),
            networks=int(error["networks"]),
        ),
        standard_errors=by_stage["standard_error"],
        plain_ms=_finite(content["plain_ms"]),
        seconds=_finite(content["seconds"]),
    )


def _finite(value: Any) -> float:
    if not math.isfinite(number := float(value)):
        raise ValueError(f"{value} is no figure")
    return number


def _or(value: float | None, absent: float) -> float:
    return absent if value is None else _finite(value)
