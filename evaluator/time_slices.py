"""Turns on one machine: trainings share it batch by batch, a measurement has it alone.

A readers-writer lock of two lock files: whoever wants in passes the entrance, one at a time;
trainings then share the room, a measurement holds both. While it waits for the room to empty
nobody else passes the entrance, so it waits for one batch at most, however many train. The
kernel frees a lock when its process dies, however it dies.
Source: Courtois, Heymans and Parnas 1971, "Concurrent control with 'readers' and 'writers'",
CACM 14(10), with an entrance that both sides pass, so that neither starves.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path


class TimeSlices:
    """The turns of all processes that name the same folder, which must be on a local disk."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """For a batch of training: together with other trainings, never with a measurement."""
        with (
            self._held("entrance", fcntl.LOCK_EX) as entrance,
            self._held("room", fcntl.LOCK_SH),
        ):
            fcntl.flock(entrance, fcntl.LOCK_UN)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For a measurement: alone. Not from inside a `shared` of the same thread."""
        with self._held("entrance", fcntl.LOCK_EX), self._held("room", fcntl.LOCK_EX):
            yield

    @contextmanager
    def _held(self, name: str, kind: int) -> Iterator[int]:
        # a file opened anew has a lock of its own, also within one process
        file = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, kind)
            yield file
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # a forked child may hold the file open
            os.close(file)


_taken: TimeSlices | None = None


def take_turns(slices: TimeSlices | None) -> None:
    """From now on the trainings of this process take their turns there; None: they need not."""
    global _taken
    _taken = slices


def training_turn() -> AbstractContextManager[None]:
    """What a training holds while it computes a batch."""
    return nullcontext() if _taken is None else _taken.shared()
