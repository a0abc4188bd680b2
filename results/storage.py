"""Trials in an Optuna study: one transaction each, in a SQLite file or any database.

Optuna's columns (params, values, state, constraints) are there for its dashboard and plots.
What attnas reads back is one user attribute with all of a trial, so nothing is rounded,
and an option outside the space (the plain backbone) needs no column of its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnas.core import AttnasError, InputError, Objective, Trial, checksum
from attnas.search_space import Backbone, Decision

from .database import Say, connect, explained, hold, patiently, quiet_optuna, shown
from .details import details_of
from .stored_study import AHEAD, DETAILS, SCORES, TRIAL, StoredStudy, StoredTrial
from .trial_record import attributes, checksum_of_row, damaged, decode, digests

if TYPE_CHECKING:
    import optuna
    import sqlalchemy

    from .optuna_tables import OptunaTables, OptunaTrial

MARK = "run"  # of an Optuna study: which run folder it belongs to
CHECKED = "checksums"  # of one of which every trial has a checksum
REMEASURED = "remeasured"  # of one whose front was measured again


class TrialStore:
    """The trials of one run, in the study of that name: in a SQLite file or at a database URL.

    Every method raises AttnasError with a remedy when the database is locked, full,
    read-only, damaged or cannot be reached; what was stored before stays as it was.
    """

    def __init__(self, place: Path | str, study: str, mark: str | None = None) -> None:
        """`mark` is what `create` was given; a study with another one is refused."""
        self.place, self.study = place, study
        self._note: Say = _ignore
        self.changed: set[int] = set()  # the trials that are not as they were written
        self._locked = False
        self._connection: sqlalchemy.Connection | None = None
        with explained(place):
            self.stored = StoredStudy(place, study, lambda: self._storage.engine)
        if self.stored.number is None:
            raise AttnasError(
                f"{shown(place)}: the trials of this run (study '{study}') are not in it."
            )
        self._study_id = self.stored.number
        if mark is not None and self.stored.attributes.get(MARK) != mark:
            raise AttnasError(
                f"{shown(place)}: the study '{study}' belongs to another run folder. "
                "Give this run another name."
            )

    @classmethod
    def create(
        cls,
        place: Path | str,
        study: str,
        objectives: Sequence[Objective],
        mark: str | None = None,
    ) -> "TrialStore":
        """Makes the study; one of that name without trials is taken over.

        Raises:
            InputError: there is a study of that name with trials.
        """
        import optuna
        from optuna.study import StudyDirection

        directions = [
            StudyDirection.MAXIMIZE if o.direction == "max" else StudyDirection.MINIMIZE
            for o in objectives
        ]
        with explained(place), quiet_optuna():
            storage = connect(place, create=True)
            made = optuna.create_study(
                storage=storage, study_name=study, directions=directions, load_if_exists=True
            )
            holds_trials = bool(made.get_trials(deepcopy=False))
            if not holds_trials:
                made.set_metric_names([o.metric for o in objectives])
                made.set_user_attr(MARK, mark)
                made.set_user_attr(CHECKED, True)
            storage.engine.dispose()
        if holds_trials:
            raise InputError(
                f"{shown(place)} already has a study '{study}' with trials. "
                "Give the run another name.",
                key="storage",
            )
        return cls(place, study, mark)

    @contextmanager
    def lock(self, note: Say | None = None) -> Iterator[None]:
        """Keeps searchers on other machines out, where the database can (PostgreSQL).

        `note` hears when a locked or absent database is waited for.

        Raises:
            AttnasError: another searcher holds the run; the message says which process.
        """
        self._locked, self._note = True, note or _ignore
        try:
            with explained(self.place):
                self._open_connection()
            yield
        finally:
            self._locked, self._note = False, _ignore
            self._drop_connection()

    def load(
        self, backbone: Backbone, decisions: tuple[Decision, ...], first: int = 0
    ) -> list[Trial]:
        """The trials from that number on, in order of number.

        One that is not as it was written is `changed`, and stands there as failed.
        """
        trials = []
        for place, stored in enumerate(self.stored.trials(first), first):
            if stored.number != place or stored.text is None:
                raise AttnasError(
                    f"{shown(self.place)}: trial {stored.number} of the study '{self.study}' "
                    "was not written by attnas. Remove it with Optuna, or restore a copy."
                )
            trials.append(self._decoded(stored, backbone, decisions))
        return trials

    def _decoded(
        self, stored: StoredTrial, backbone: Backbone, decisions: tuple[Decision, ...]
    ) -> Trial:
        record: Any = None
        try:
            record = json.loads(stored.text or "")
            if self._is_as_written(stored):
                return decode(stored.number, record, backbone, decisions, self.stored)
        except (AttributeError, KeyError, TypeError, ValueError, InputError):
            pass
        self.changed.add(stored.number)
        return damaged(stored.number, record, backbone, decisions)

    def _is_as_written(self, stored: StoredTrial) -> bool:
        """Whether its checksum is right; trials of before there were any may have none."""
        if stored.checksum is None:
            return not self.stored.attributes.get(CHECKED)
        return stored.checksum == checksum_of_row(stored.number, stored.text or "")

    def examined(self) -> Iterator[tuple[int, str, bool]]:
        """Each trial's number, what of it is not as it was written ("" if all is), and whether
        it has a checksum."""
        for first in range(0, self.count(), AHEAD):
            texts = {key: self.stored.attributes_of(key, first) for key in (SCORES, DETAILS)}
            for stored in self.stored.trials(first, first + AHEAD):
                kept = {key: texts[key].get(stored.number) for key in texts}
                yield stored.number, self._what_differs(stored, kept), stored.checksum is not None

    def _what_differs(self, stored: StoredTrial, kept: Mapping[str, str | None]) -> str:
        if stored.text is None:
            return "was not written by attnas."
        if not self._is_as_written(stored):
            return "is not as it was written."
        try:
            known = digests(json.loads(stored.text))
        except (AttributeError, TypeError, ValueError):
            return "cannot be read."
        for key, digest in known.items():
            if kept[key] is None or checksum(kept[key] or "") != digest:
                return f"its {key} are not as they were written."
        return ""

    @property
    def was_remeasured(self) -> bool:
        """Whether the latencies of the front were measured again."""
        return bool(self.stored.attributes.get(REMEASURED))

    def details(self, trial: Trial) -> Mapping[str, Mapping[str, Any]]:
        """What the decisions tell of a trial's options: as stored, if that is as written."""
        stored = self.stored.attribute(TRIAL, trial.number)
        try:
            record = json.loads(stored or "")
            if DETAILS in record:  # as earlier versions have them
                return dict(record[DETAILS])
            text = self.stored.attribute(DETAILS, trial.number)
            if text is not None and checksum(text) == digests(record)[DETAILS]:
                return dict(json.loads(text))
        except (KeyError, TypeError, ValueError):
            pass
        return details_of(trial.architecture)

    @cached_property
    def _storage(self) -> "optuna.storages.RDBStorage":
        return connect(self.place, create=False)

    @cached_property
    def _tables(self) -> "OptunaTables":
        from .optuna_tables import OptunaTables

        return OptunaTables(self._storage.engine)

    def count(self) -> int:
        """The number of stored trials, without reading them."""
        return self.stored.count()

    def note(self, key: str, value: object) -> None:
        """Keeps something of the whole run beside the trials."""
        with explained(self.place), self._storage.engine.begin() as connection:
            self._tables.note(connection, self._study_id, key, value)
        self.stored.attributes[key] = value

    def append(
        self,
        trial: Trial,
        options: Mapping[str, Sequence[str]],
        objectives: Sequence[Objective],
        constraints: Sequence[str],
    ) -> None:
        """Adds a trial, which has the next number, in one transaction, and only once.

        A locked database is waited for, and a server to come back. `options` has those
        allowed for each decision, as text; `constraints` are the run's, as in `Trial.violations`.

        Raises:
            AttnasError: another searcher has stored a trial of that number, too.
        """
        from .optuna_tables import OptunaTrial

        row = OptunaTrial.of(trial, options, objectives, constraints, attributes(trial))
        with explained(self.place):
            try:
                patiently(lambda: self._write(row), self.place, self._note)
            finally:
                if not self._locked:
                    self._drop_connection()

    def _write(self, row: "OptunaTrial") -> None:
        import sqlalchemy

        connection = self._open_connection()
        try:
            with connection.begin() as transaction:
                if self._tables.insert(connection, self._study_id, row):
                    return
                transaction.rollback()
            # The next number is another one: by an earlier try whose answer was lost?
            with connection.begin():
                stored = self._tables.attribute(connection, self._study_id, row.number, TRIAL)
        except sqlalchemy.exc.DBAPIError:
            self._drop_connection()  # with its lock: the next try takes both anew
            raise
        if stored != row.attributes[TRIAL]:
            raise AttnasError(
                f"{shown(self.place)}: the trials of the study '{self.study}' are no longer those "
                f"that this search knows: trial {row.number} cannot be the next. Another "
                "search works on it; run the command again when that has ended."
            )

    def _open_connection(self) -> "sqlalchemy.Connection":
        """The connection for writing; one that broke was dropped and is made anew."""
        if self._connection is None:
            connection = self._storage.engine.connect()
            try:
                if self._locked:
                    hold(connection, self.study, self.place)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            if connection.dialect.name == "postgresql":
                connection.invalidate()  # closed, not kept in the pool: that frees the lock
            connection.close()

    def close(self) -> None:
        """Closes the database."""
        self._drop_connection()
        if "_storage" in vars(self):
            self._storage.remove_session()
            self._storage.engine.dispose()


def _ignore(text: str) -> None:
    """Nobody listens."""
