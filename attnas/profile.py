"""`attnas profile`: the device's latency table, made ahead of a search."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from attnas.core import InputError, PredictedCost
from attnas.evaluator import (
    SECONDS,
    TRUSTED_MAPE,
    Evaluator,
    Progress,
    error_text,
    make_latency_table,
    read_table,
    table_file,
    table_to_json,
    wanted_networks,
    write_table,
)

from .config import Config
from .observer import Observer
from .problem import Problem, make_problem
from .setup import make_device

SECONDS_A_LINE = 10.0
"""How often `profile` says how far it is."""

DISTRUST = (
    f"With a mean error above {TRUSTED_MAPE:.0%} a table rejects nothing: every latency is "
    "measured. `attnas profile CONFIG --force` makes it again; on a quiet "
    "machine, or with more --seconds, it will be better."
)

Note = Callable[[str], None]


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
    if problem.table is not None:
        raise InputError(
            "no latency is measured where recorded results are replayed: there can be no latency "
            "table. Leave that out of the config.",
            key="evaluator",
        )
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
        note(DISTRUST)
    return {
        "file": str(file),
        "made_now": made_now,
        "trusted": table.trusted,
        "device": device.describe(),
        **table_to_json(table),
    }


def screen_by_table(
    config: Config, problem: Problem, evaluator: Evaluator, observer: Observer
) -> PredictedCost | None:
    """Lets the evaluator reject by the table where the config asks for it and it is trusted.

    Returns that table; None if there is none.
    """
    meter = evaluator.latency
    if config.screening != "table" or meter is None:
        return None
    if not any(c.metric == "latency_ms" for c in problem.constraints):
        observer.note("'screening: table' changes nothing: there is no bound on latency_ms.")
        return None
    table = meter.table(observer.note, partial(observer.preparing, "networks measured"))
    if not table.trusted:
        observer.note(DISTRUST)
        return None
    meter.screen_by(table)
    return table


def _now_and_then(note: Note) -> Progress:
    """Tells every some seconds how many networks are measured."""
    told = time.monotonic()

    def progress(done: int, of: int) -> None:
        nonlocal told
        if time.monotonic() - told > SECONDS_A_LINE:
            told = time.monotonic()
            note(f"{done} of {of} networks measured.")

    return progress
