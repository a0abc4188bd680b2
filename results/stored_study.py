"""The study of a run read from Optuna's tables in plain SQL.

A SQLite file takes no library for it; of a large run only what is asked for is read.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .database import explained, open_sqlite

if TYPE_CHECKING:
    import sqlalchemy

TRIAL, SCORES, DETAILS, CHECKSUM = "trial", "scores", "details", "checksum"
"""Attributes of an Optuna trial: ours, the items' scores, what its decisions tell, and the
checksum of the first, which has those of the others."""

Query = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]

MOST = 2**31 - 1  # trials of a study, as databases number them
AHEAD = 256  # trials of which the scores are read at once

_STUDY = "SELECT study_id FROM studies WHERE study_name = :name"
_STUDY_ATTRIBUTES = "SELECT key, value_json FROM study_user_attributes WHERE study_id = :study"
_TRIALS = """
    SELECT number, mine.value_json, checksum.value_json FROM trials
    LEFT JOIN trial_user_attributes AS mine ON mine.trial_id = trials.trial_id AND mine.key = :key
    LEFT JOIN trial_user_attributes AS checksum
        ON checksum.trial_id = trials.trial_id AND checksum.key = :checksum
    WHERE study_id = :study AND number >= :first AND number < :end ORDER BY number
"""
_ATTRIBUTE = """
    SELECT number, value_json FROM trials JOIN trial_user_attributes AS mine
        ON mine.trial_id = trials.trial_id AND mine.key = :key
    WHERE study_id = :study AND number >= :first AND number < :end
"""
_WRITTEN = "SELECT count(*) FROM trial_user_attributes WHERE key = :key"
_COUNT = "SELECT count(*) FROM trials WHERE study_id = :study"


class StoredTrial(NamedTuple):
    """A trial as JSON text, None where another program wrote it, with its checksum."""

    number: int
    text: str | None
    checksum: str | None


class StoredStudy:
    """Reads one study; `engine` gives what connects to a database that is no SQLite file.

    Every method raises AttnasError with a remedy where the database cannot be read.
    """

    def __init__(
        self, place: Path | str, name: str, engine: Callable[[], "sqlalchemy.Engine"]
    ) -> None:
        self.place, self.name, self._engine = place, name, engine
        self.lost = 0  # trials of which a damaged file has parts alone
        self._ahead: tuple[int, dict[int, str]] = -1, {}
        with self._query() as run:
            found = run(_STUDY, {"name": name})
            self.number: int | None = int(found[0][0]) if found else None
            rows = run(_STUDY_ATTRIBUTES, {"study": self.number}) if found else ()
            self.attributes = {key: _parsed(value) for key, value in rows}

    def trials(self, first: int = 0, end: int = MOST) -> list[StoredTrial]:
        """Those of the numbers from `first` to before `end`, in order of number."""
        asked: dict[str, Any] = {"study": self.number, "first": first, "end": end}
        asked |= {"key": TRIAL, "checksum": CHECKSUM}
        with self._query() as run:
            rows = run(_TRIALS, asked)
            if isinstance(self.place, Path) and end == MOST:  # a file has one study
                known = run(_WRITTEN, asked)[0][0]
                self.lost = max(0, known - first - len(rows))
        return [StoredTrial(n, text, _parsed(of) if of else None) for n, text, of in rows]

    def count(self) -> int:
        """The number of trials."""
        with self._query() as run:
            return int(run(_COUNT, {"study": self.number})[0][0])

    def damage(self) -> list[str]:
        """What SQLite says of a damaged file."""
        if not isinstance(self.place, Path):
            return []
        with self._query() as run:
            rows = run("PRAGMA quick_check(5)", {})
        return [" ".join(str(text).split()) for (text,) in rows if text != "ok"]

    def scores(self, number: int) -> str | None:
        """The text of a trial's scores; those of its neighbours are read with it."""
        first = number - number % AHEAD
        if self._ahead[0] != first or number not in self._ahead[1]:
            self._ahead = first, self.attributes_of(SCORES, first)
        return self._ahead[1].get(number)

    def attribute(self, key: str, number: int) -> str | None:
        """The text of an attribute of one trial."""
        return self.attributes_of(key, number, 1).get(number)

    def attributes_of(self, key: str, first: int, count: int = AHEAD) -> dict[int, str]:
        """The texts of an attribute of so many trials, by number."""
        asked = {"study": self.number, "key": key, "first": first, "end": first + count}
        with self._query() as run:
            return {int(number): text for number, text in run(_ATTRIBUTE, asked)}

    @contextmanager
    def _query(self) -> Iterator[Query]:
        with explained(self.place):
            if isinstance(self.place, Path):
                with closing(open_sqlite(self.place, create=False)) as file:
                    file.execute("BEGIN")  # all that is read together is of one moment
                    yield _of_sqlite(file)
                return
            import sqlalchemy

            with self._engine().connect() as server:
                yield lambda sql, asked: server.execute(sqlalchemy.text(sql), asked).all()


def _of_sqlite(connection: sqlite3.Connection) -> Query:
    connection.text_factory = lambda text: text.decode(errors="replace")  # damage has a checksum
    return lambda sql, asked: connection.execute(sql, asked).fetchall()


def _parsed(text: str) -> Any:
    """The value; the text itself where it is damaged."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text
