"""Trials in an Optuna study: one transaction each, in a SQLite file or any database.

Optuna's columns (params, values, state, constraints) are there for its dashboard and plots.
What attnas reads back is one user attribute with all of a trial, so nothing is rounded,
and an option outside the space (the plain backbone) needs no column of its own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import AttnasError, InputError, ItemScores, Objective, Trial
from attnas.search_space import Architecture, Backbone, Decision

from .database import Say, connect, explained, hold, patiently, quiet_optuna, shown
from .details import details_of
from .sqlite_reading import ATTRIBUTE, StoredStudy, read_study

if TYPE_CHECKING:
    import optuna
    import sqlalchemy
    from optuna.trial import FrozenTrial

    from .optuna_tables import OptunaTables

DETAILS = "details"  # of a record: what its decisions tell of their options
MARK = "run"  # of an Optuna study: which run folder it belongs to

_STATES = {"complete": "COMPLETE", "infeasible": "PRUNED", "failed": "FAIL"}  # Optuna's names


class TrialStore:
    """The trials of one run, in the study of that name: in a SQLite file or at a database URL.

    Every method raises AttnasError with a remedy when the database is locked, full,
    read-only, damaged or cannot be reached; what was stored before stays as it was.
    """

    def __init__(self, place: Path | str, study: str, mark: str | None = None) -> None:
        """`mark` is what `create` was given; a study with another one is refused."""
        self.place, self.study = place, study
        self._note: Say = _ignore
        self.details: dict[int, Mapping[str, Mapping[str, Any]]] = {}  # by trial, where stored
        self._locked = False
        self._connection: sqlalchemy.Connection | None = None
        with explained(place):
            found = self._read(with_trials=False)
        if found is None:
            raise AttnasError(
                f"{shown(place)}: the trials of this run (study '{study}') are not in it."
            )
        self._study_id = found.number
        if mark is not None and found.attributes.get(MARK) != mark:
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

    def load(self, backbone: Backbone, decisions: tuple[Decision, ...]) -> list[Trial]:
        """All trials in order of number."""
        with explained(self.place):
            found = self._read(with_trials=True)
        stored = [] if found is None else found.trials
        for place, (number, record) in enumerate(stored):
            if number != place or record is None:
                raise AttnasError(
                    f"{shown(self.place)}: trial {number} of the study '{self.study}' "
                    "was not written by attnas. Remove it with Optuna, or restore a copy."
                )
        return [self._decoded(number, record, backbone, decisions) for number, record in stored]

    def _read(self, *, with_trials: bool) -> StoredStudy | None:
        """The study as it is stored: a SQLite file is read without Optuna."""
        if isinstance(self.place, Path):
            return read_study(self.place, self.study, with_trials=with_trials)
        try:
            study = self._storage.get_study_id_from_name(self.study)
        except KeyError:
            return None
        attributes = self._storage.get_study_user_attrs(study)
        frozen = self._storage.get_all_trials(study, deepcopy=False) if with_trials else []
        trials = sorted((f.number, f.user_attrs.get(ATTRIBUTE)) for f in frozen)
        return StoredStudy(study, attributes, trials)

    @cached_property
    def _storage(self) -> "optuna.storages.RDBStorage":
        return connect(self.place, create=False)

    @cached_property
    def _tables(self) -> "OptunaTables":
        from .optuna_tables import OptunaTables

        return OptunaTables(self._storage.engine)

    def _decoded(
        self, number: int, record: Any, backbone: Backbone, decisions: tuple[Decision, ...]
    ) -> Trial:
        try:
            if isinstance(record.get(DETAILS), dict):
                self.details[number] = record[DETAILS]
            return decode(number, record, backbone, decisions)
        except (AttributeError, KeyError, TypeError, ValueError, InputError) as error:
            raise AttnasError(
                f"{shown(self.place)}: trial {number} is damaged ({error}). Restore a copy."
            ) from error

    def count(self) -> int:
        """The number of stored trials, without reading them."""
        with explained(self.place), self._storage.engine.connect() as connection:
            return self._tables.count(connection, self._study_id)

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
        frozen = _frozen(trial, options, objectives, constraints)
        with explained(self.place):
            try:
                patiently(lambda: self._write(frozen), self.place, self._note)
            finally:
                if not self._locked:
                    self._drop_connection()

    def _write(self, frozen: "FrozenTrial") -> None:
        import sqlalchemy

        connection = self._open_connection()
        try:
            with connection.begin() as transaction:
                if self._tables.insert(connection, self._study_id, frozen):
                    return
                transaction.rollback()
            # The next number is another one: by an earlier try whose answer was lost?
            with connection.begin():
                stored = self._tables.attribute(
                    connection, self._study_id, frozen.number, ATTRIBUTE
                )
        except sqlalchemy.exc.DBAPIError:
            self._drop_connection()  # with its lock: the next try takes both anew
            raise
        if stored != frozen.user_attrs[ATTRIBUTE]:
            raise AttnasError(
                f"{shown(self.place)}: the trials of the study '{self.study}' are no longer those "
                f"that this search knows: trial {frozen.number} cannot be the next. Another "
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


def encode(trial: Trial) -> dict[str, Any]:
    """A trial but for its number as JSON can hold it: no NaN, infinity, tuple or bytes."""
    return {
        "architecture": trial.architecture.by_name,
        "identity_start": trial.architecture.identity_start,
        "epochs": int(trial.epochs),
        "state": trial.state,
        "metrics": {name: _number(value) for name, value in trial.metrics.items()},
        "intervals": {
            m: [_number(low), _number(high)] for m, (low, high) in trial.intervals.items()
        },
        "violations": {name: _number(value) for name, value in trial.violations.items()},
        "reason": trial.reason,
        "seconds": _number(trial.seconds),
        "seed": int(trial.seed),
        "started": trial.started,
        "scores": None if trial.scores is None else trial.scores.to_dict(),
        "uncounted": list(trial.uncounted),
        "schedule_epochs": trial.schedule_epochs,
        "half_size": bool(trial.half_size),
    }


def decode(
    number: int,
    record: Mapping[str, Any],
    backbone: Backbone,
    decisions: tuple[Decision, ...],
) -> Trial:
    """What `encode` wrote, also in format 1, as a trial on that backbone."""
    given = record["architecture"] if "architecture" in record else record["choices"]
    options = tuple(str(given[decision.name]) for decision in decisions)
    return Trial(
        number=number,
        architecture=Architecture(backbone, decisions, options, record["identity_start"]),
        epochs=record["epochs"],
        state=record["state"],
        metrics={name: _parsed(value) for name, value in record["metrics"].items()},
        intervals={
            m: (_parsed(low), _parsed(high)) for m, (low, high) in record["intervals"].items()
        },
        violations={name: _parsed(value) for name, value in record["violations"].items()},
        reason=record["reason"],
        seconds=_parsed(record["seconds"]),
        seed=record["seed"],
        started=record["started"],
        scores=_scores(record),
        uncounted=tuple(record["uncounted"]),
        schedule_epochs=record.get("schedule_epochs", record.get("of")),  # as format 1 has it
        half_size=record.get("half_size", False),
    )


def _scores(record: Mapping[str, Any]) -> ItemScores | None:
    """The items' scores; format 1 had the bits of right and wrong."""
    if "scores" in record:
        return None if record["scores"] is None else ItemScores.from_dict(record["scores"])
    if not record.get("correct"):
        return None
    bits = {"kind": "bits", "metric": "accuracy", "content": record["correct"]}
    return ItemScores.from_dict({**bits, "items": record["validation_images"]})


def _number(value: float) -> float | int | str:
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if math.isfinite(plain) else str(plain)


def _parsed(value: float | int | str) -> float:
    return float(value) if isinstance(value, str) else value


def _frozen(
    trial: Trial,
    options: Mapping[str, Sequence[str]],
    objectives: Sequence[Objective],
    constraints: Sequence[str],
) -> "FrozenTrial":
    """The trial with Optuna's columns filled as far as Optuna allows."""
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import TrialState, create_trial

    texts = trial.architecture.by_name
    params = {name: text for name, text in texts.items() if text in options.get(name, ())}
    values = [float(trial.metrics.get(o.metric, math.nan)) for o in objectives]
    state = TrialState[_STATES[trial.state]]
    if state is TrialState.COMPLETE and any(map(math.isnan, values)):
        state = TrialState.PRUNED  # Optuna refuses a complete trial with a NaN
    named = [*constraints, *(name for name in trial.violations if name not in constraints)]
    excesses = [float(trial.violations.get(name, 0.0)) for name in named]
    frozen = create_trial(
        state=state,
        values=values if state is TrialState.COMPLETE else None,
        params=params,
        distributions={name: CategoricalDistribution(options[name]) for name in params},
        user_attrs={ATTRIBUTE: {**encode(trial), **_told(trial.architecture)}},
        # Optuna's own key for what `constraints_func` gives; at most 0 is feasible
        system_attrs={"constraints": [min(excess, 1e300) for excess in excesses]},
    )
    frozen.number = trial.number
    if trial.started:
        started = datetime.fromisoformat(trial.started)
        frozen.datetime_start = started.astimezone().replace(tzinfo=None)  # Optuna's are local
    return frozen


def _told(architecture: Architecture) -> dict[str, Any]:
    """The details of a record; none of an architecture whose network cannot be built."""
    try:
        return {DETAILS: details_of(architecture)}
    except (Exception, SystemExit):  # of the user's own network: the trial has failed and says why
        return {}


def _ignore(text: str) -> None:
    """Nobody listens."""
