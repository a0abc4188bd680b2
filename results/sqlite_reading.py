"""The trials of a run read from Optuna's SQLite file in plain SQL, which takes no library."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from .database import open_sqlite

ATTRIBUTE = "trial"  # of an Optuna trial: all of ours


class StoredStudy(NamedTuple):
    """A study by its number in the database: its attributes, and (number, record) of its trials.

    The record is None where another program than attnas wrote the trial.
    """

    number: int
    attributes: dict[str, Any]
    trials: Sequence[tuple[int, Any]]


def read_study(file: Path, name: str, *, with_trials: bool) -> StoredStudy | None:
    """The study of that name, its trials in order of number; None if there is none.

    Raises:
        sqlite3.Error: the file is no database, locked or damaged.
    """
    with closing(open_sqlite(file, create=False)) as connection:
        run = connection.execute
        found = run("SELECT study_id FROM studies WHERE study_name = ?", (name,)).fetchone()
        if found is None:
            return None
        attributes = run(
            "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", found
        )
        stored = {key: _parsed(value) for key, value in attributes}
        return StoredStudy(found[0], stored, _trials(connection, found[0]) if with_trials else ())


def _trials(connection: sqlite3.Connection, study: int) -> list[tuple[int, Any]]:
    rows = connection.execute(
        "SELECT number, value_json FROM trials LEFT JOIN trial_user_attributes AS mine "
        "ON mine.trial_id = trials.trial_id AND mine.key = ? WHERE study_id = ? ORDER BY number",
        (ATTRIBUTE, study),
    )
    return [(number, None if text is None else _parsed(text)) for number, text in rows]


def _parsed(text: str) -> Any:
    """The record; the text itself, which is no record, where it is damaged."""
    try:
        return json.loads(text)
    except ValueError:
        return text
