"""Trials in an Optuna study: one transaction each, in a SQLite file or any database.

Optuna's columns (params, values, state, constraints) are there for its dashboard and plots.
What attnas reads back is one user attribute with all of a trial, so nothing is rounded,
and a choice outside the space (the plain backbone) needs no column of its own.
"""

import base64
import math
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import optuna
import sqlalchemy
from optuna.distributions import CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from attnas.search_space import Architecture, AttnasError, Backbone, Choice, InputError

from .metrics import Objective
from .trial import Trial

BUSY_SECONDS = 3.0  # a try to write waits so long for a locked database; Optuna tries 5 times
ATTRIBUTE = "trial"

_STATES = {
    "complete": TrialState.COMPLETE,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


class TrialStore:
    """The trials of one run, in the study of that name: in a SQLite file or at a database URL.

    Every method raises AttnasError with a remedy when the database is locked, full,
    read-only, damaged or cannot be reached; what was stored before stays as it was.
    """

    def __init__(self, place: Path | str, study: str) -> None:
        self.place, self.study = place, study
        with _explained(place):
            self._storage = _connect(place, create=False)
            try:
                self._study_id = self._storage.get_study_id_from_name(study)
            except KeyError:
                raise AttnasError(
                    f"{shown(place)}: the trials of this run (study '{study}') are not in it."
                ) from None

    @classmethod
    def create(cls, place: Path | str, study: str, objectives: Sequence[Objective]) -> "TrialStore":
        """Makes the study; one of that name without trials is taken over.

        Raises:
            InputError: there is a study of that name with trials.
        """
        directions = [
            StudyDirection.MAXIMIZE if o.direction == "max" else StudyDirection.MINIMIZE
            for o in objectives
        ]
        with _explained(place), _quiet_optuna():
            storage = _connect(place, create=True)
            made = optuna.create_study(
                storage=storage, study_name=study, directions=directions, load_if_exists=True
            )
            holds_trials = bool(made.get_trials(deepcopy=False))
            if not holds_trials:
                made.set_metric_names([o.metric for o in objectives])
            storage.engine.dispose()
        if holds_trials:
            raise InputError(
                f"{shown(place)} already has a study '{study}' with trials. "
                "Give the run another name.",
                key="storage",
            )
        return cls(place, study)

    def load(self, backbone: Backbone) -> list[Trial]:
        """All trials in order of number."""
        with _explained(self.place):
            frozen = self._storage.get_all_trials(self._study_id, deepcopy=False)
        frozen.sort(key=lambda f: f.number)
        for number, stored in enumerate(frozen):
            if stored.number != number or ATTRIBUTE not in stored.user_attrs:
                raise AttnasError(
                    f"{shown(self.place)}: trial {stored.number} of the study '{self.study}' "
                    "was not written by attnas. Remove it with Optuna, or restore a copy."
                )
        return [self._decoded(stored, backbone) for stored in frozen]

    def _decoded(self, stored: FrozenTrial, backbone: Backbone) -> Trial:
        try:
            return decode(stored.number, stored.user_attrs[ATTRIBUTE], backbone)
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise AttnasError(
                f"{shown(self.place)}: trial {stored.number} is damaged ({error}). Restore a copy."
            ) from error

    def count(self) -> int:
        """The number of stored trials, without reading them."""
        query = sqlalchemy.text("SELECT COUNT(*) FROM trials WHERE study_id = :study")
        with _explained(self.place), self._storage.engine.connect() as connection:
            return int(connection.execute(query, {"study": self._study_id}).scalar_one())

    def append(
        self,
        trial: Trial,
        options: Mapping[str, Sequence[str]],
        objectives: Sequence[Objective],
        constraints: Sequence[str],
    ) -> None:
        """Adds a trial, which gets the next number, in one transaction.

        `options` has the choices allowed per stage as text; `constraints` are the run's, as
        in `Trial.violations`.
        """
        frozen = _frozen(trial, options, objectives, constraints)
        with _explained(self.place):
            self._storage.create_new_trial(self._study_id, template_trial=frozen)

    def close(self) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()


def encode(trial: Trial) -> dict[str, Any]:
    """A trial but for its number as JSON can hold it: no NaN, infinity, tuple or bytes."""
    return {
        "choices": {stage: str(choice) for stage, choice in trial.architecture.by_stage.items()},
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
        "correct": base64.b64encode(trial.correct).decode("ascii"),
        "validation_images": int(trial.validation_images),
        "uncounted": list(trial.uncounted),
    }


def decode(number: int, record: Mapping[str, Any], backbone: Backbone) -> Trial:
    """What `encode` wrote, as a trial on that backbone."""
    choices = tuple(Choice.parse(record["choices"][stage]) for stage in backbone.stage_names)
    return Trial(
        number=number,
        architecture=Architecture(backbone, choices, record["identity_start"]),
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
        correct=base64.b64decode(record["correct"]),
        validation_images=record["validation_images"],
        uncounted=tuple(record["uncounted"]),
    )


def shown(place: Path | str) -> str:
    """The database for messages: a file by its path, a URL without the password."""
    if isinstance(place, Path):
        return str(place)
    return sqlalchemy.make_url(place).render_as_string(hide_password=True)


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
) -> FrozenTrial:
    """The trial with Optuna's columns filled as far as Optuna allows."""
    texts = {stage: str(choice) for stage, choice in trial.architecture.by_stage.items()}
    params = {stage: text for stage, text in texts.items() if text in options.get(stage, ())}
    values = [float(trial.metrics.get(o.metric, math.nan)) for o in objectives]
    state = _STATES[trial.state]
    if state is TrialState.COMPLETE and any(map(math.isnan, values)):
        state = TrialState.PRUNED  # Optuna refuses a complete trial with a NaN
    named = [*constraints, *(name for name in trial.violations if name not in constraints)]
    excesses = [float(trial.violations.get(name, 0.0)) for name in named]
    frozen = create_trial(
        state=state,
        values=values if state is TrialState.COMPLETE else None,
        params=params,
        distributions={stage: CategoricalDistribution(options[stage]) for stage in params},
        user_attrs={ATTRIBUTE: encode(trial)},
        # Optuna's own key for what `constraints_func` gives; at most 0 is feasible
        system_attrs={"constraints": [min(excess, 1e300) for excess in excesses]},
    )
    if trial.started:
        started = datetime.fromisoformat(trial.started)
        frozen.datetime_start = started.astimezone().replace(tzinfo=None)  # Optuna's are local
    return frozen


def _connect(place: Path | str, *, create: bool) -> optuna.storages.RDBStorage:
    """Optuna's storage on a database, which must have its tables unless `create`."""
    if isinstance(place, Path):
        return optuna.storages.RDBStorage(
            "sqlite:///",  # only the kind: the file is opened by `creator`, whatever its name
            engine_kwargs={
                "creator": partial(_open_sqlite, place, create=create),
                "poolclass": sqlalchemy.pool.QueuePool,
            },
            skip_table_creation=not create,
        )
    try:
        return optuna.storages.RDBStorage(place, skip_table_creation=not create)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError):
        raise InputError(
            "cannot read the database URL. Write 'postgresql://user:password@host/name'.",
            key="storage",
        ) from None


def _open_sqlite(file: Path, *, create: bool) -> sqlite3.Connection:
    """Opens the file in WAL mode, where readers do not block; for reading alone if it must."""
    path = quote(str(file.resolve()))
    if create or os.access(file.parent, os.W_OK):
        uri = f"file:{path}?mode={'rwc' if create else 'rw'}"
    else:
        # SQLite must write beside a file in WAL mode unless told that nobody changes it; with
        # a log left by a killed search that would hide the last trials.
        immutable = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
        uri = f"file:{path}?mode=ro{immutable}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)
    if "mode=ro" not in uri:
        # A commit in WAL mode survives the death of the process; NORMAL leaves out the fsync
        # that would make it survive a power cut too, and never corrupts.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    return connection


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Without Optuna's notes on what is experimental and on the study made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def _explained(place: Path | str) -> Iterator[None]:
    """Turns what the database says into one sentence with a remedy."""
    try:
        yield
    except AttnasError:
        raise
    except ImportError as error:
        said = str(error.__cause__ or error).rstrip(".")
        raise InputError(
            f"the driver of this database is not installed: {said}.", key="storage"
        ) from error
    except (
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.OptunaError,
        sqlite3.Error,
        OSError,
        RuntimeError,  # Optuna's for a database of another version
    ) as error:
        raise AttnasError(f"{shown(place)}: {_sentence(error)}") from error


_SENTENCES = {
    "locked": "the database is locked by another program. Close that and run the command again; "
    "all finished trials are kept.",
    "full": "no space is left on the disk. Free some and run the command again; "
    "all finished trials are kept.",
    "disk i/o error": "the disk gave an error. Check that it is well and has space left, and run "
    "the command again; all finished trials are kept.",
    "readonly": "cannot be written: file or folder are read-only. "
    "Make them writable and run the command again; all finished trials are kept.",
    "unable to open": "cannot be opened. Check that the folder is there and can be written.",
    "malformed": "the database is damaged. Restore a copy of it, or start a run of another name.",
    "not a database": "is no database, or a damaged one. "
    "Restore a copy of it, or start a run of another name.",
    "no such table": "the database has lost its tables. "
    "Restore a copy of it, or start a run of another name.",
}


def _sentence(error: BaseException) -> str:
    innermost = error
    while (cause := getattr(innermost, "orig", None) or innermost.__cause__) is not None:
        innermost = cause
    said = " ".join(str(innermost).split())
    return next((s for clue, s in _SENTENCES.items() if clue in said.lower()), f"{said}.")
