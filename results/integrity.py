"""Whether a run is still what attnas wrote: by the checksums of its files and its trials."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attnas.core import AttnasError, ChangedError, InputError, read, read_unchecked

from .database import shown
from .record import CONFIG_FILE, ENVIRONMENT_FILE, RUN_FILE, check_format, place_of_trials
from .remeasured import FRONT_LATENCY_FILE
from .storage import TrialStore

_LOG = logging.getLogger("attnas")
MOST_NAMED = 10  # trials in one message
RESTORE = "Restore a copy."
_MISSING = "is missing: latencies are those of the time of each trial."
_MEASURE = "Restore a copy, or run the search again, which measures the front again."


class Changes:
    """What of a run is not as it was written, as it is found; each is told once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self._serious: list[str] = []

    def read(self, name: str) -> dict[str, Any]:
        """A file that says nothing of the trials: it is used also where it was changed."""
        try:
            return read(self.folder / name)
        except ChangedError as error:
            self._tell(str(error))
            return error.content

    def see(self, store: TrialStore, *, measured: bool) -> None:
        """Looks at what is known of the trials, and whether the front was `measured` again."""
        if store.changed:
            self._tell(
                f"{shown(store.place)}: {_numbers(sorted(store.changed))} changed since written, "
                f"and left out as failed. {RESTORE} `attnas check {self.folder}` tells more."
            )
        if lost := store.stored.lost:
            self._tell(f"{shown(store.place)}: {_lost(lost)} {RESTORE}")
        if store.was_remeasured and not measured:
            self._tell(f"{self.folder / FRONT_LATENCY_FILE}: {_MISSING} {_MEASURE}", serious=False)

    def refuse(self) -> None:
        """Lets no search go on with trials that are not those that it made.

        Raises:
            AttnasError: something was changed.
        """
        if self._serious:
            more = f" ({len(self._serious) - 1} more)" if len(self._serious) > 1 else ""
            raise AttnasError(f"{self._serious[0]}{more}")

    def _tell(self, text: str, *, serious: bool = True) -> None:
        if text in self.told:
            return
        self.told.append(text)
        if serious:
            self._serious.append(text)
        _LOG.warning("%s", text)


def _lost(trials: int) -> str:
    return f"{trials} trial{' is' if trials == 1 else 's are'} lost from it."


def _numbers(trials: list[int]) -> str:
    """'trial 3 was', 'trials 3, 4 and 17 more were'."""
    if len(trials) == 1:
        return f"trial {trials[0]} was"
    named, rest = trials[:MOST_NAMED], len(trials) - MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"trials {', '.join(map(str, named))}{more} were"


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was written: where, what, and what to do about it."""

    file: str
    trial: int | None
    what: str
    remedy: str = RESTORE

    def __str__(self) -> str:
        trial = "" if self.trial is None else f"trial {self.trial}: "
        return f"{self.file}: {trial}{self.what} {self.remedy}"


@dataclass(frozen=True)
class Checked:
    """How many files and trials were looked at, how many had no checksum, and what differs."""

    files: int
    trials: int
    without_checksum: int
    differences: tuple[Difference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON."""
        return asdict(self)


def check(folder: Path) -> Checked:
    """Looks at every file and every trial of the run in that folder; no code of it is imported.

    Raises:
        InputError: the run has a format that this version does not read, or its database
            cannot be known.
    """
    named = [folder / name for name in (RUN_FILE, CONFIG_FILE, ENVIRONMENT_FILE)]
    paths = [*named, *sorted(path for path in folder.rglob("*.json") if path not in named)]
    bare, found = 0, []
    for path in paths:
        try:
            bare += read_unchecked(path)[1] is None
            read(path)
        except AttnasError as error:
            found.append(_difference(path, error))
    trials = 0
    try:
        for number, what, checked in _examined(folder):
            trials, bare = trials + (number is not None), bare + (not checked)
            found += [what] if what else []
    except InputError:
        raise
    except (KeyError, TypeError, AttributeError) as error:
        found.append(Difference(str(named[0]), None, f"is no record of a run ({error!r})."))
    except AttnasError as error:
        found.append(_difference(folder, error))
    return Checked(len(paths), trials, bare, tuple(dict.fromkeys(found)))


def _examined(folder: Path) -> Iterator[tuple[int | None, Difference | None, bool]]:
    """The store, with None as its number, and each trial: its number, what of it differs, and
    whether it has a checksum."""
    record, _ = read_unchecked(folder / RUN_FILE)
    check_format(record, folder)
    place = place_of_trials(folder, record["storage"])
    with closing(TrialStore(place, record["study"], record.get("mark"))) as store:
        if store.was_remeasured and not (folder / FRONT_LATENCY_FILE).exists():
            missing = str(folder / FRONT_LATENCY_FILE)
            yield None, Difference(missing, None, _MISSING, _MEASURE), True
        for said in store.stored.damage():
            yield None, Difference(shown(place), None, f"the database is damaged: {said}."), True
        store.stored.trials()
        if lost := store.stored.lost:
            yield None, Difference(shown(place), None, _lost(lost)), True
        for number, what, checked in store.examined():
            yield number, Difference(shown(place), number, what) if what else None, checked


def _difference(path: Path, error: AttnasError) -> Difference:
    """The sentences of an error apart: the file, what is the matter, and what to do."""
    said = str(error)
    file, found, text = said.partition(": ")
    if not found:
        file, text = str(path), said
    what, _, remedy = text.partition(". ")
    return Difference(file, None, f"{what.rstrip('.')}.", remedy or RESTORE)
