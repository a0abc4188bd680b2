"""Between the coordinator and Ray Tune: tasks go out, trials come back, lost ones go out again."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attnas.core import Proposal, TrainingResult

from ..coordinator import Coordinator, Task
from ..evaluation import Screened, is_to_be_trained

RETRIES = 2
SCREENING_AT_A_TIME_S = 0.5
"""So long the results of trainings may wait while proposals are screened and rejected."""


@dataclass
class Attempt:
    """A task that passed its screening and is being trained, or lost its worker so often."""

    task: Task
    screened: Screened
    deaths: int = 0
    began: float = 0.0


class Feed:
    """The tasks in training, by a key of Ray Tune's choice.

    A task whose worker died is trained again, at most `RETRIES` times, then it is a failed
    trial. One that died after `limit_s` of training hung, and would hang again.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        screen: Callable[[Proposal], Screened],
        *,
        workers: int,
        limit_s: float | None,
    ) -> None:
        self.coordinator, self.screen = coordinator, screen
        self.workers, self.limit_s = workers, limit_s
        self._training: dict[str, Attempt] = {}
        self._ready: deque[Attempt] = deque()

    def over(self) -> bool:
        """Whether the search has ended; nothing is in training then."""
        return bool(self.coordinator.ending)

    def look_ahead(self) -> bool:
        """Screens the next task to be trained; False if the search has ended before it."""
        attempt = self._screened()
        if attempt is not None:
            self._ready.append(attempt)
        return attempt is not None

    def take(self, key: str) -> Task | None:
        """The next task to be trained, from now on under that key; None if there is none now."""
        if not self._ready and len(self._training) < self.workers:
            self.look_ahead()
        if not self._ready:
            return None
        attempt = self._training[key] = self._ready.popleft()
        return attempt.task

    def waiting(self) -> None:
        """Nothing has happened for a moment."""
        self.coordinator.observer.waiting()

    def began(self, key: str) -> None:
        """A worker begins to train the task."""
        self._training[key].began = time.monotonic()

    def epoch(self, key: str, epoch: int) -> None:
        """The worker has finished an epoch of the task."""
        task = self._training[key].task
        self.coordinator.observer.epoch(task.number, epoch, task.proposal.epochs)

    def done(self, key: str, trained: TrainingResult) -> None:
        """The task is trained: it becomes a trial."""
        attempt = self._training.pop(key)
        self.coordinator.record(attempt.task, attempt.screened, trained)

    def lost(self, key: str, error: BaseException | None) -> None:
        """The task's worker died."""
        attempt = self._training.pop(key)
        attempt.deaths += 1
        seconds = time.monotonic() - attempt.began if attempt.began else 0.0
        if self.limit_s is not None and seconds > self.limit_s:
            reason = f"time limit: it hung, and was ended after {seconds:.0f} s"
        elif attempt.deaths > RETRIES:
            reason = f"{death(error)} in each of {attempt.deaths} attempts"
        else:
            attempt.began = 0.0
            self._ready.append(attempt)
            number = attempt.task.number
            self.coordinator.observer.note(f"Trial {number}: {death(error)}; it is trained again.")
            return
        failed = TrainingResult(seconds=seconds, failure=reason)
        self.coordinator.record(attempt.task, attempt.screened, failed)

    def _screened(self) -> Attempt | None:
        """The next task that passes; None while there is none, or to let results come in."""
        until = time.monotonic() + SCREENING_AT_A_TIME_S
        while not self._training or time.monotonic() < until:
            task = self.coordinator.next()
            if task is None:
                return None
            screened = task.screened or self.screen(task.proposal)
            if is_to_be_trained(screened, always=task.reference):
                return Attempt(task, screened)
            self.coordinator.record(task, screened, None)
        return None


def death(error: BaseException | None) -> str:
    """What Ray says of a worker's end, as a failure's kind and its reason."""
    said: Any = "" if error is None else str(error)
    if "running low on memory" in said or "OutOfMemory" in type(error).__name__:
        return "out of memory: the system ended its worker"
    if "node" in said and ("node died" in said or "died because its node" in said):
        return "worker died: its machine was lost"
    if "in its creation task" in said:  # it could not load what it was to train
        return f"raised: {said.strip().splitlines()[-1].strip()}"
    cause = getattr(error, "cause", None)
    if cause is not None:
        return f"raised: {type(cause).__name__}: {cause}"
    return "worker died: its process ended"
