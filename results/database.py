"""The database of a store: opened, waited for, held by one searcher, its errors in words."""

import hashlib
import os
import re
import socket
import sqlite3
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from attnas.core import AttnasError, InputError, in_use, without_passwords

from .database_url import from_environment, shown

if TYPE_CHECKING:  # both take long to load, and who only looks at a SQLite file needs neither
    import optuna
    import sqlalchemy

Say = Callable[[str], None]
Result = TypeVar("Result")

TRY_SECONDS = 1.0  # SQLite tries so long to write before a user hears that it is locked
BUSY_SECONDS = 5.0  # in all, until it is given up
SERVER_SECONDS = 60.0  # for a server to come back: a restart takes less
PAUSE_SECONDS = 2.0  # at most, between two tries

_SERVER_CONNECTION = {  # libpq's own waits have no end
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


def connect(place: Path | str, *, create: bool) -> "optuna.storages.RDBStorage":
    """Optuna's storage on a database, which must have its tables unless `create`.

    Raises:
        InputError: the URL cannot be read.
    """
    import optuna
    import sqlalchemy

    if isinstance(place, Path):
        return optuna.storages.RDBStorage(
            "sqlite:///",  # only the kind: the file is opened by `creator`, whatever its name
            engine_kwargs={
                "creator": partial(open_sqlite, place, create=create),
                "poolclass": sqlalchemy.pool.QueuePool,
            },
            skip_table_creation=not create,
        )
    with _readable():
        url = _url(place)
        server = url.get_backend_name() == "postgresql"
        return optuna.storages.RDBStorage(
            url.render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True} if server else {},
            skip_table_creation=not create,
        )


def check_storage(url: str) -> None:
    """Sees whether a database URL can be used; a server is asked, no file is made.

    Raises:
        InputError: it cannot be read, a variable in it is not set, another database than
            PostgreSQL or SQLite is meant, the driver is missing, or the server refuses.
        AttnasError: the server cannot be reached.
    """
    import sqlalchemy

    place = from_environment(url)
    with explained(place), _readable():
        engine = sqlalchemy.create_engine(_url(place))
        if engine.dialect.name == "postgresql":
            engine.connect().close()
        engine.dispose()


def _url(place: str) -> "sqlalchemy.URL":
    """The URL as SQLAlchemy has it, with the driver and its patience where it is a server's."""
    import sqlalchemy

    url = sqlalchemy.make_url(place)
    if "@" in f"{url.host}{url.database}":
        raise InputError(
            "an '@' in the user or the password is written %40 in a database URL.", key="storage"
        )
    kind = url.get_backend_name()
    if kind not in ("postgresql", "sqlite"):
        raise InputError(
            f"the database '{kind}' is not supported, only PostgreSQL is. Write 'postgresql://"
            "user:password@host/name', or leave it out: then a SQLite file in the run's folder "
            "keeps the trials.",
            key="storage",
        )
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if kind == "postgresql":
        url = url.set(query={**_SERVER_CONNECTION, **url.query})
    return url


@contextmanager
def _readable() -> Iterator[None]:
    import sqlalchemy

    try:
        yield
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError, ValueError):
        raise InputError(
            "cannot read the database URL. Write 'postgresql://user:password@host/name'.",
            key="storage",
        ) from None


def open_sqlite(file: Path, *, create: bool) -> sqlite3.Connection:
    """Opens the file in WAL mode, where readers do not block; for reading alone if it must."""
    path = quote(str(file.resolve()))
    if create or os.access(file.parent, os.W_OK):
        uri = f"file:{path}?mode={'rwc' if create else 'rw'}"
    else:
        # SQLite must write beside a file in WAL mode unless told that nobody changes it; with
        # a log left by a killed search that would hide the last trials.
        immutable = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
        uri = f"file:{path}?mode=ro{immutable}"
    connection = sqlite3.connect(uri, uri=True, timeout=TRY_SECONDS, check_same_thread=False)
    if "mode=ro" not in uri:
        # A commit in WAL mode survives the death of the process; NORMAL leaves out the fsync
        # that would make it survive a power cut too, and never corrupts.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def hold(connection: "sqlalchemy.Connection", study: str, place: Path | str) -> None:
    """Takes the study for this connection, on a server that can tell (PostgreSQL).

    An advisory lock keeps out searchers on other machines, which do not see the folder's lock
    file. The server frees it with the connection: at once when the process dies, after about
    a minute when its machine is gone.

    Raises:
        AttnasError: another searcher holds it; the message names its process.
    """
    if connection.dialect.name != "postgresql":
        return
    key = int.from_bytes(hashlib.sha256(f"attnas:{study}".encode()).digest()[:8], signed=True)
    run = connection.exec_driver_sql
    host = socket.gethostname()[:40]
    run(f"SET application_name = 'attnas {os.getpid()} {_plain(host)}'")
    for setting, value in (("idle", 30), ("interval", 10), ("count", 3)):
        run(f"SET tcp_keepalives_{setting} = {value}")
    held = run(f"SELECT pg_try_advisory_lock({key})").scalar_one()
    holder = None if held else run(_HOLDER.format(key=key % 2**64)).scalar()
    connection.commit()
    if not held:
        words = (holder or "").split()
        process, host = words[1:] if len(words) == 3 else ("unknown", "another machine")
        raise in_use(shown(place), process, host)


_HOLDER = """
    SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND datname = current_database()
    AND (classid::bigint::numeric * 4294967296 + objid::bigint) = {key}
"""


def _plain(host: str) -> str:
    return re.sub(r"[^\w.-]", "_", host)


def patiently(write: Callable[[], Result], place: Path | str, note: Say) -> Result:
    """What `write` returns, tried again while the database is locked or cannot be reached.

    `note` hears of the wait. The last error is raised when `BUSY_SECONDS` or
    `SERVER_SECONDS` are over, any other error at once.
    """
    import sqlalchemy

    began, tries = time.monotonic(), 0
    while True:
        try:
            result = write()
        except sqlalchemy.exc.DBAPIError as error:
            patience, state = _patience(error)
            if time.monotonic() - began >= patience:
                raise
            if tries == 0:
                note(f"{shown(place)} {state}. Trying again for {patience:g} seconds.")
        else:
            if tries:
                note(f"{shown(place)} is there again; nothing was lost.")
            return result
        time.sleep(min(0.1 * 2**tries, PAUSE_SECONDS))
        tries += 1


def _patience(error: "sqlalchemy.exc.DBAPIError") -> tuple[float, str]:
    """How many seconds it is worth trying again after an error, and what is the matter."""
    from sqlalchemy.exc import OperationalError

    if isinstance(error.orig, sqlite3.Error):
        locked = "locked" in str(error.orig)
        return (BUSY_SECONDS if locked else 0.0), "is locked by another program"
    state = getattr(error.orig, "sqlstate", None) or ""
    # 08: connection; 57P: shutting down or starting; none: the connection broke, or none came
    away = error.connection_invalidated or state[:2] == "08" or state[:3] == "57P"
    away = away or (not state and isinstance(error, OperationalError))
    return (SERVER_SECONDS if away else 0.0), "cannot be reached"


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Without Optuna's notes on what is experimental and on the study made."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Turns what the database says into one sentence with a remedy."""
    try:
        yield
    except AttnasError:
        raise
    except UnicodeDecodeError as error:  # of SQLite's own message, which quotes what is damaged
        raise AttnasError(f"{shown(place)}: {_SENTENCES['malformed']}") from error
    except ImportError as error:
        said = str(error.__cause__ or error).rstrip(".")
        raise InputError(
            f"the driver of this database is not installed: {said}. "
            "`pip install 'attnas[postgresql]'` brings that of PostgreSQL.",
            key="storage",
        ) from error
    except Exception as error:
        if not isinstance(error, _errors()):
            raise
        said = _without_password(_innermost(error), place)
        for clue, sentence in _WRONG_URL.items():
            if clue in said.lower():
                raise InputError(f"{shown(place)}: {sentence}", key="storage") from error
        raise AttnasError(f"{shown(place)}: {_sentence(said)}") from error


def _errors() -> tuple[type[Exception], ...]:
    """What a database may raise; that of a library which is not loaded did not come."""
    known: list[type[Exception]] = [sqlite3.Error, OSError]
    known.append(RuntimeError)  # Optuna's for a database of another version
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import SQLAlchemyError

        known.append(SQLAlchemyError)
    if "optuna" in sys.modules:
        from optuna.exceptions import OptunaError

        known.append(OptunaError)
    return tuple(known)


_WRONG_URL = {
    "authentication failed": "the server refuses the user or the password. Correct the URL.",
    "no password supplied": "the server wants a password. Write 'postgresql://user:$NAME@host/"
    "name' with the password in the environment variable NAME.",
    "role": "the server does not know the user. Correct the URL.",
    'database "': "there is no such database on the server. Make it with `createdb`, or "
    "correct the URL.",
}

_AWAY = (
    "the database server cannot be reached. Check the host in the URL and that the server runs, "
    "and run the command again; all finished trials are kept."
)
_SENTENCES = {
    "locked": "the database is locked by another program. Close that and run the command again; "
    "all finished trials are kept.",
    "full": "no space is left on the disk. Free some and run the command again; "
    "all finished trials are kept.",
    "no space left": "no space is left on the server's disk. Free some and run the command "
    "again; all finished trials are kept.",
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
    "permission denied for": "the user may not write there. Grant it the tables, or take another "
    "user; all finished trials are kept.",
    **dict.fromkeys(
        (
            "connection failed",
            "connection is bad",
            "connection refused",
            "connection timeout",
            "connection is lost",
            "server closed the connection",
            "terminating connection",
            "the database system is",
            "could not receive data",
            "failed to resolve host",
            "consuming input failed",
            "sending query failed",
        ),
        _AWAY,
    ),
}


def _innermost(error: BaseException) -> str:
    """The text of the error that began it, on one line."""
    while (cause := getattr(error, "orig", None) or error.__cause__) is not None:
        error = cause
    return " ".join(str(error).split())


def _without_password(said: str, place: Path | str) -> str:
    """What a driver says, without the parts of the URL that it may repeat."""
    said = without_passwords(said)
    if isinstance(place, Path):
        return said
    import sqlalchemy

    url = sqlalchemy.make_url(place)
    secrets = [url.password, *(v for k, v in url.query.items() if "pass" in k)]
    for secret in secrets:
        said = said.replace(str(secret), "***") if secret else said
    return said


def _sentence(said: str) -> str:
    return next((s for clue, s in _SENTENCES.items() if clue in said.lower()), f"{said}.")
