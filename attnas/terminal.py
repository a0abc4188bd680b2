"""What the commands read from and write to a terminal."""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from attnas.results import Run, Trial


def open_run(run: str, runs: Path) -> "Run":
    """The run of that name or folder."""
    from attnas.results import Run

    return Run.open(run, runs=runs)


def trial_of(run: "Run", number: int) -> "Trial":
    """The trial of that number, which must be in the run."""
    from attnas.search_space import InputError

    if not 0 <= number < len(run.trials):
        raise InputError(
            f"the run {run.name} has no trial {number}; it has 0 to {len(run.trials) - 1}.",
            key="TRIAL",
        )
    return run.trials[number]


def read_bounds(texts: list[str] | None, key: str) -> dict[str, float] | None:
    """`metric=value` pairs as a mapping."""
    from attnas.results import metric
    from attnas.search_space import InputError

    bounds = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            bounds[metric(name).name] = float(value)
            if math.isnan(bounds[name]):
                raise ValueError
        except ValueError:
            raise InputError(f"cannot read '{text}'. Write latency_ms=5.", key=key) from None
        except InputError as error:
            raise error.inside(key=key) from error
    return bounds or None


def write_text(path: Path, text: str) -> None:
    """Writes a file, or says why it cannot be written."""
    from attnas.search_space import AttnasError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AttnasError(f"{path}: cannot be written: {error.strerror}.") from error


def print_front(run: "Run") -> None:
    """The front as a table."""
    from attnas.results import pareto_table

    stdout().print(pareto_table(run))


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
