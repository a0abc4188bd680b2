"""What the dashboard shows of a run: made once for all who look, sent where it is new."""

import gzip
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attnas.core import AttnasError
from attnas.results import (
    CONFIRMATION_FILE,
    FRONT_LATENCY_FILE,
    ReportContent,
    Run,
    page_of,
    read_confirmation,
    report_content,
)

LOOK_SECONDS = 1.0  # at most so often it is seen whether the run has grown
SHARE_OF_TIME = 0.2  # at most so much of the time content is made, of a run that grows fast
ANSWERS_KEPT = 8  # for clients that have seen different versions


class Published:
    """The content of a run's report, in versions; any number of threads may ask.

    A version is a number that grows with each change; a part that a client has of the last
    version is not sent to it again.
    """

    def __init__(self, folder: Path, *, trust: bool = False) -> None:
        self.folder, self.trust = folder, trust
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._token = os.urandom(4).hex()  # versions of another process are others
        self._version = 0
        self._stamp: object = None
        self._seen: object = None
        self._looked, self._made_in = -LOOK_SECONDS, 0.0
        self._content: ReportContent | None = None
        self._since: dict[tuple[str, str], tuple[int, Any]] = {}  # version of each part
        self._answers: OrderedDict[int, bytes | None] = OrderedDict()
        self._page = b""

    def page(self) -> bytes:
        """The page as it is now, which fetches its content: HTML, compressed.

        Raises:
            AttnasError: the run cannot be read.
        """
        with self._lock:
            self._look()
            return self._page

    def content(self, since: str = "") -> bytes | None:
        """What changed since that version, or all; None if nothing did: JSON, compressed.

        Raises:
            AttnasError: the run cannot be read.
        """
        with self._lock:
            self._look()
            token, _, number = since.partition("-")
            ours = token == self._token and re.fullmatch(r"[0-9]{1,9}", number)
            known = int(number) if ours else 0
            if known >= self._version:
                return None
            if known not in self._answers:
                self._answers[known] = _compressed(json.dumps(self._newer(known), allow_nan=False))
                while len(self._answers) > ANSWERS_KEPT:
                    self._answers.popitem(last=False)
            return self._answers[known]

    def close(self) -> None:
        """Closes the run."""
        with self._lock:
            if self._run is not None:
                self._run.close()
                self._run = None

    def _newer(self, known: int) -> dict[str, Any]:
        newer: dict[str, Any] = {"parts": {}, "rows": {}, "texts": {}, "figures": {}}
        for (kind, name), (version, value) in self._since.items():
            if version > known:
                newer[kind][name] = value
        return {"version": f"{self._token}-{self._version}", **newer}

    def _look(self) -> None:
        """Takes in what is new, unless that was seen to a moment ago."""
        now = time.monotonic()
        pause = max(LOOK_SECONDS, self._made_in / SHARE_OF_TIME)
        if self._content is not None and now - self._looked < pause:
            return
        stamp = self._stamp_of_files()
        if self._content is None or stamp != self._stamp or stamp is None:
            self._take_in()
        self._stamp, self._looked = stamp, time.monotonic()
        self._made_in = self._looked - now

    def _stamp_of_files(self) -> object:
        """Differs when the run may have changed; None where its database is not a file."""
        if self._run is None or self._run.database is None:
            return None
        names = (CONFIRMATION_FILE, FRONT_LATENCY_FILE, "run.json")
        file = self._run.database
        paths = [*(self.folder / n for n in names), file, file.with_name(f"{file.name}-wal")]
        return tuple(_stamp(path) for path in paths)

    def _take_in(self) -> None:
        try:
            if self._run is None:
                self._run = Run.open(self.folder, trust=self.trust)
            else:
                self._run.refresh()
            confirmation = read_confirmation(self.folder / CONFIRMATION_FILE)
        except AttnasError:
            self._content = None  # and looked at again at the next question
            raise
        run = self._run
        seen = run.trials, run.remeasured, run.changes, confirmation
        if self._content is not None and seen == self._seen:
            return
        self._seen = seen
        content = report_content(run, confirmation)
        changed = False
        for key, value in _parts(content):
            if key not in self._since or self._since[key][1] != value:
                self._since[key] = self._version + 1, value
                changed = True
        if changed:
            self._version += 1
            self._answers.clear()
            self._page = _compressed(page_of(run.name, content, {}, source="/"))
        self._content = content


def _parts(content: ReportContent) -> Iterator[tuple[tuple[str, str], Any]]:
    """All of the content, by kind and name of its parts."""
    told = {**content.to_dict(), "parts": content.parts}
    for kind, entries in told.items():
        for name, value in entries.items():
            yield (kind, str(name)), value


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _compressed(text: str) -> bytes:
    return gzip.compress(text.encode(), 6, mtime=0)
