"""Recorded results in place of training and measuring."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from attnas.core import METRICS, AttnasError, InputError, in_order
from attnas.search_space import Architecture, SearchSpace

KEY = "evaluator.table"


class NotRecorded(AttnasError, LookupError):
    """The table has no row for an architecture after so many epochs, or of a seed."""


@dataclass(frozen=True)
class TableRow:
    """What was recorded of one architecture after some epochs of training."""

    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Table:
    """Recorded results of architectures of one search space.

    `outside` rows of the file are of architectures that the space does not have, `incomplete`
    ones of trials that did not end well; they are left out. `repeats` are the trainings with
    other seeds than that of an architecture's first row, which `rows` has.
    """

    path: str
    rows: Mapping[tuple[Architecture, int], TableRow]
    outside: int = 0
    incomplete: int = 0
    repeats: Mapping[tuple[Architecture, int, int], TableRow] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path, space: SearchSpace, *, metrics: Iterable[str] = ()) -> "Table":
        """Reads a Parquet or CSV file with one row an architecture and fidelity.

        Columns: one per decision with the option's text in any spelling, `epochs`, `seconds`, and
        one per metric by its name. Where there is a column `state`, only rows with `complete`
        count; where there is one `seed`, an architecture may have a row for each. Other columns
        are ignored, and metrics without a value left out of their row.
        The plain backbone is kept also where the space does not have it.

        Args:
            metrics: those that a row must have to be of use.

        Raises:
            InputError: the file cannot be read, lacks a column, has a cell that is no number, or
                two rows of one network and fidelity that disagree, or no row of use.
        """
        frame = _read(Path(path))
        required = tuple(dict.fromkeys(metrics))
        recorded = _recorded_metrics(path, frame, space, required)
        reader = _Reader(str(path), space, recorded, required)
        for number, record in enumerate(frame.to_dict("records"), start=1):
            reader.take(number, record)
        if not reader.rows:
            raise _error(path, f"has no row of use: {reader.why_not(len(frame))}")
        return cls(str(path), reader.rows, reader.outside, reader.incomplete, reader.repeats)

    @property
    def epochs(self) -> tuple[int, ...]:
        """The fidelities that occur, ascending."""
        return tuple(sorted({epochs for _, epochs in self.rows}))

    def lookup(self, architecture: Architecture, epochs: int, seed: int | None = None) -> TableRow:
        """What was recorded of the architecture after so many epochs, first or with that seed.

        Raises:
            NotRecorded: nothing was; the message says after which epochs there is something.
        """
        found = self.rows.get((architecture, epochs))
        if found is not None and seed is not None:
            found = self.repeats.get((architecture, epochs, seed))
            if found is None:
                raise NotRecorded(f"{self.path} has no row for {architecture} with seed {seed}.")
        if found is not None:
            return found
        there = sorted(other for known, other in self.rows if known == architecture)
        if not there:
            raise NotRecorded(f"{self.path} has no row for {architecture}.")
        raise NotRecorded(
            f"{self.path} has {architecture} after {', '.join(map(str, there))} epochs, "
            f"not after {epochs}."
        )


class _Reader:
    """Collects the rows of use from the records of a file."""

    def __init__(
        self, path: str, space: SearchSpace, recorded: tuple[str, ...], required: tuple[str, ...]
    ) -> None:
        self.path, self.space, self.recorded, self.required = path, space, recorded, required
        self.rows: dict[tuple[Architecture, int], TableRow] = {}
        self.repeats: dict[tuple[Architecture, int, int], TableRow] = {}
        self.outside = self.incomplete = 0
        self.first_outside = ""
        self._first: dict[tuple[Architecture, int], tuple[int, int]] = {}  # row number, seed

    def take(self, number: int, record: Mapping[Any, Any]) -> None:
        """Takes one record, the `number`-th of the file, from 1."""
        if record.get("state", "complete") != "complete":
            self.incomplete += 1
            return
        architecture = self._architecture(record)
        if architecture is None:
            self.outside += 1
            return
        values = {name: self._value(number, record, name) for name in self.recorded}
        metrics = {name: value for name, value in values.items() if np.isfinite(value)}
        seconds = self._value(number, record, "seconds")
        if not np.isfinite(seconds) or any(name not in metrics for name in self.required):
            self.incomplete += 1
            return
        key = (architecture, self._whole(number, record, "epochs", 1))
        seed = self._whole(number, record, "seed", 0) if "seed" in record else 0
        row = TableRow(metrics, seconds)
        first_number, first_seed = self._first.setdefault(key, (number, seed))
        if seed == first_seed:
            first = self.rows.setdefault(key, row)
        else:
            first = self.repeats.setdefault((*key, seed), row)
        if first.metrics != row.metrics:
            raise _error(
                self.path,
                f"rows {first_number} and {number} disagree about one network: "
                f"{architecture} after {key[1]} epochs. Keep one of them.",
            )

    def why_not(self, rows: int) -> str:
        """Why none of the rows of the file was taken."""
        if rows == 0:
            return "it is empty."
        reasons = []
        if self.outside:
            reasons.append(
                f"{self.outside} not in the search space (the first: {self.first_outside})"
            )
        if self.incomplete:
            needed = f" with {', '.join(self.required)}" if self.required else ""
            reasons.append(f"{self.incomplete} not complete{needed}")
        return f"of {rows}, {' and '.join(reasons)}."

    def _architecture(self, record: Mapping[Any, Any]) -> Architecture | None:
        texts = {name: str(record[name]) for name in self.space.names}
        try:
            return self.space.architecture(texts)
        except InputError as error:
            if [text.strip() for text in texts.values()] == list(self.space.plain.options):
                return self.space.plain
            self.first_outside = self.first_outside or str(error).rstrip(".")
            return None

    def _value(self, number: int, record: Mapping[Any, Any], name: str) -> float:
        try:
            return float("nan") if record[name] is None else float(record[name])
        except (TypeError, ValueError):
            raise _error(
                self.path, f"row {number} has {name} {record[name]!r}, which is no number."
            ) from None

    def _whole(self, number: int, record: Mapping[Any, Any], name: str, least: int) -> int:
        value = self._value(number, record, name)
        if not value.is_integer() or value < least:
            raise _error(
                self.path,
                f"row {number} has {name} {record[name]!r}, not a whole number of at least "
                f"{least}.",
            )
        return int(value)


def _recorded_metrics(
    path: str | Path, frame: pd.DataFrame, space: SearchSpace, required: tuple[str, ...]
) -> tuple[str, ...]:
    """The metrics of which the file has a column; its other columns are checked."""
    known = [str(name) for name in frame.columns if str(name) in METRICS or name in required]
    recorded = tuple(in_order(known))
    needed = (*space.names, "epochs", "seconds", *required)
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise _error(
            path,
            f"lacks {_columns(missing)}. A table has a column for each decision "
            f"({', '.join(space.names)}), for epochs, seconds and each metric; this one has "
            f"{', '.join(map(str, frame.columns)) or 'none'}.",
        )
    if not recorded:
        raise _error(path, f"has no column of a metric. Metrics: {', '.join(METRICS)}.")
    return recorded


def _columns(names: list[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"the column {quoted}" if len(names) == 1 else f"the columns {quoted}"


def _read(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise _error(path, "is neither a .parquet nor a .csv file.")
    if not path.is_file():
        raise _error(path, "is no file." if path.exists() else "does not exist.")
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        # only an empty cell is missing: pandas would also take texts such as NA for it
        return pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = str(error).strip().splitlines()
        raise _error(path, f"cannot be read: {reason[0] if reason else error!r}") from error


def _error(path: str | Path, problem: str) -> InputError:
    return InputError(f"{path} {problem}", key=KEY)
