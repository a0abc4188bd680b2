"""The files of a new run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnas.core import (
    MARK,
    InputError,
    Objective,
    locked,
    mark_of,
    to_json,
    write_checked,
    writing,
)

from . import record as on_disk
from .database import check_storage
from .database_url import without_literals
from .record import CHECKPOINTS, CONFIG_FILE, ENVIRONMENT_FILE, RUN_FILE, TRIALS_FILE
from .storage import TrialStore


def write_new(
    folder: Path,
    config: Mapping[str, Any],
    facts: Mapping[str, Any],
    environment: Mapping[str, Any],
    storage: str | None,
) -> None:
    """Makes the folder of a new run, as `Run.create` says.

    `run.json` comes last: only with it is the folder a run. What a killed call left is overwritten.
    """
    _refuse_a_run(folder)
    config = json.loads(to_json(config))  # tuples are lists from now on
    if storage is not None:
        check_storage(storage)
        storage = without_literals(storage)
        if "storage" in config:
            config = {**config, "storage": storage}
    record = on_disk.new_record(folder, facts, storage)
    if (mark := mark_of(record["facts"], config)) is not None:
        record[MARK] = mark
    with writing(folder):
        (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _refuse_a_run(folder)  # made since the look above, by another process
        write_checked(folder / CONFIG_FILE, config)
        write_checked(folder / ENVIRONMENT_FILE, environment)
        if storage is None:
            with writing(folder):
                for left in folder.glob(f"{TRIALS_FILE}*"):  # no run.json: nothing in it
                    left.unlink()
        objectives = [Objective(m, d) for m, d in facts["objectives"].items()]
        place = on_disk.place_of_trials(folder, storage, create=True)
        TrialStore.create(place, record["study"], objectives, record["mark"]).close()
        write_checked(folder / RUN_FILE, record)


def _refuse_a_run(folder: Path) -> None:
    if on_disk.exists(folder):
        raise InputError("there is a run in this folder already.", file=str(folder))
