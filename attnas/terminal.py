"""What the commands read from and write to a terminal."""

import json
import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from attnas.core import Trial
    from attnas.results import Run


def open_run(run: str, runs: Path, trust: bool = False) -> "Run":
    """The run of that name or folder; `trust` lets it import the code that it names."""
    from attnas.results import Run

    return Run.open(run, runs=runs, trust=trust)


def trial_of(run: "Run", number: int, key: str = "TRIAL") -> "Trial":
    """The trial of that number, which must be in the run; `key` is where it was asked for."""
    from attnas.core import InputError

    if not 0 <= number < len(run.trials):
        held = f"0 to {len(run.trials) - 1}" if run.trials else "none yet"
        raise InputError(f"the run {run.name} has no trial {number}; it has {held}.", key=key)
    return run.candidate(number)


def read_bounds(run: "Run", texts: list[str] | None, key: str) -> dict[str, float] | None:
    """`metric=value` pairs as a mapping; metrics that the run has, or registered ones."""
    from attnas.core import METRICS, InputError, unknown

    known = {*METRICS, *(name for trial in run.trials for name in trial.metrics)}
    bounds = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        if name not in known:
            raise unknown("metric", name, known).inside(key=key)
        try:
            bounds[name] = float(value)
            if math.isnan(bounds[name]):
                raise ValueError
        except ValueError:
            raise InputError(f"cannot read '{text}'. Write latency_ms=5.", key=key) from None
    return bounds or None


def write_text(path: Path, text: str) -> None:
    """Writes a file, or says why it cannot be written."""
    from attnas.core import AttnasError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror}.") from error


def check_writable(path: Path) -> None:
    """Sees whether a file can be written there, before what takes longer."""
    from attnas.core import AttnasError, InputError

    if path.is_dir():
        raise InputError("is a folder: name a file in it.", file=str(path))
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror}.") from error


def print_front(run: "Run", *, verdicts: bool = True) -> None:
    """The front as a table; `verdicts` as in `attnas.results.pareto_table`."""
    from attnas.results import pareto_table

    stdout().print(pareto_table(run, verdicts=verdicts))


def print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows of plain values as a table, or as JSON."""
    from attnas.results import listing_table

    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        stdout().print(listing_table(rows))


def stdout() -> "Console":
    """Where tables go."""
    from rich.console import Console

    return Console()


def stderr() -> "Console":
    """Where progress goes."""
    from rich.console import Console

    return Console(stderr=True)


def say(text: str) -> None:
    """A message for people, to standard error, as it is."""
    print(text, file=sys.stderr)
