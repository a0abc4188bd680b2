"""What all tests need: one thread, latencies in one process, timm, and a PostgreSQL server."""

import getpass
import importlib
import itertools
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Several tests run at once: a second thread in each would wait at barriers for the others' cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["ATTNAS_STATE"] = tempfile.mkdtemp(prefix="attnas-state-")  # a user's own is not touched
os.environ["ATTNAS_FRESH_PROCESSES"] = "0"  # they take seconds to load; their own tests say more

ROOT = str(Path(__file__).parents[1])
PASSWORD = "p@ss word"  # has characters that a URL must quote


class PostgreSQL:
    """A cluster made by `initdb` on a socket in a temporary folder, with one user."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        # initdb and postgres refuse to be run by root
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self.numbers = itertools.count()
        if os.geteuid() == 0:
            shutil.chown(folder, self.user)
        folder.chmod(0o755)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-N", "-U", "attnas", "-A", "scram-sha-256", f"--pwfile={password}")

    def _run(self, program: str, *arguments: str) -> None:
        with open(self.folder / "said", "w+") as said:  # the server would keep a pipe open
            done = subprocess.run(
                [str(self.programs / program), "-D", str(self.folder / "data"), *arguments],
                cwd=self.folder,
                user=self.user if os.geteuid() == 0 else None,
                stdout=said,
                stderr=said,
            )
            said.seek(0)
            if done.returncode:
                raise RuntimeError(f"{program}: {said.read()}")

    def start(self) -> None:
        options = f"-c fsync=off -c listen_addresses='' -c unix_socket_directories={self.folder}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-t", "60", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def url(self, database: str, *, user: str = "attnas", password: str = "p%40ss%20word") -> str:
        return f"postgresql://{user}:{password}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres"):
        import psycopg

        return psycopg.connect(
            host=str(self.folder), user="attnas", password=PASSWORD, dbname=database,
            autocommit=True,
        )  # fmt: skip

    def database(self) -> str:
        """A new, empty database; its URL."""
        name = f"trials{next(self.numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = [Path(which).resolve().parent] if (which := shutil.which("initdb")) else []
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "pg_ctl").exists()), None)


def _install() -> str:
    """Installs Debian's package; says why not if it cannot."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "PostgreSQL is not installed, and only root can install Debian's package"
    for command in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
        done = subprocess.run(
            ["apt-get", "-q", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            return f"Debian's package postgresql cannot be installed: {done.stderr.strip()[-300:]}"
    return ""


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    pytest.importorskip("psycopg", reason="the driver psycopg is not installed")
    if _programs() is None and (problem := _install()):
        pytest.skip(problem)
    programs = _programs()
    if programs is None:
        pytest.skip("Debian's package postgresql brought no pg_ctl")
    if os.geteuid() == 0 and "postgres" not in {entry.pw_name for entry in pwd.getpwall()}:
        pytest.skip("there is no user 'postgres', and PostgreSQL does not run as root")
    folder = Path(tempfile.mkdtemp(prefix="attnas-postgresql-", dir="/tmp"))  # a socket's is short
    try:
        server = PostgreSQL(programs, folder)
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql(postgresql_server: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server; started again if a test left it stopped."""
    yield postgresql_server
    try:
        postgresql_server.connect().close()
    except Exception:
        postgresql_server.start()


@pytest.fixture(scope="session")
def libraries():
    """Imports a library of networks, such as "timm"; skips where it cannot be."""
    if ROOT not in sys.path:
        sys.path.append(ROOT)

    def need(name: str):
        try:
            importlib.import_module("benchmarks.timm_blocks").declare_operators()
            return importlib.import_module(name)
        except ModuleNotFoundError as missing:
            pytest.skip(f"{name} needs {missing.name}, which is not installed")

    return need


@pytest.fixture(scope="session")
def timm_class():
    """Finds a class of timm, such as ("layers.eca", "EcaModule"); skips where there is no timm."""
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    try:
        found = importlib.import_module("benchmarks.timm_blocks").timm_class
        found("layers.eca", "EcaModule")
    except ModuleNotFoundError as missing:
        pytest.skip(f"timm needs {missing.name}, which is not installed")

    def find(module: str, name: str) -> type:
        try:
            return found(module, name)
        except ModuleNotFoundError as missing:
            pytest.skip(f"timm.{module} needs {missing.name}, which is not installed")

    return find
