"""What a worker does: it trains the proposals that it is given, in a process of its own."""

import faulthandler
import os
import queue
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from attnas.core import ItemScores, Proposal, Screening, TrainingResult
from attnas.evaluator import TimeSlices, take_turns

from ..config import parse_config
from ..coordinator import Task
from ..evaluation import train
from ..objects import Parcel
from ..problem import make_problem
from ..setup import make_evaluator

HEARTBEAT_S = 5.0
LEAST_GRACE_S = 2.0

Record = dict[str, Any]


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker must be told to train as the search's own process would.

    `config` is the search's as JSON, `plain` the plain backbone's cheap metrics, `turns` the
    folder of the machine's time slices, `directory` the search's working directory, `objects`
    what was handed over to the search.
    """

    config: Mapping[str, Any]
    plain: Screening
    checkpoints: Path
    turns: Path
    directory: Path
    threads: int
    objects: Parcel


class Worker:
    """Trains one proposal after the other; what happens comes out of `next_event`."""

    def __init__(self, settings: WorkerSettings) -> None:
        if settings.directory.is_dir():  # another machine may lack it
            os.chdir(settings.directory)
        take_turns(TimeSlices(settings.turns))
        settings.objects.unpack()
        config = parse_config(settings.config)
        self._problem = make_problem(config)
        self._evaluator = make_evaluator(
            config, self._problem, settings.plain, settings.checkpoints
        )
        self._limit_s, self._threads = config.training.time_limit_s, settings.threads
        self._events: queue.Queue[Record] = queue.Queue()

    def begin(self, record: Record) -> None:
        """Begins to train the task that `task_record` described."""
        architecture = self._problem.space.read(record["options"])
        proposal = Proposal(
            architecture, record["epochs"], record["schedule_epochs"], record["seed"]
        )
        self._events = queue.Queue()
        thread = threading.Thread(target=self._train, args=(proposal, self._events), daemon=True)
        thread.start()

    def next_event(self) -> Record:
        """`{"epoch": n}`, at last `{"trained": record, "done": True}`; `{}` if nothing is new."""
        try:
            return self._events.get(timeout=HEARTBEAT_S)
        except queue.Empty:
            return {}

    def _train(self, proposal: Proposal, events: "queue.Queue[Record]") -> None:
        torch.set_num_threads(self._threads)
        if self._limit_s is not None:
            # A training looks at its clock between batches. This ends the process of one that
            # hangs within a batch, even if it does not let go of the interpreter.
            faulthandler.dump_traceback_later(
                hanging_after_s(self._limit_s), exit=True, file=sys.__stderr__ or sys.stderr
            )
        try:
            done = train(proposal, self._evaluator, lambda epoch, _: events.put({"epoch": epoch}))
        except BaseException as error:  # such as SystemExit, which would end this thread unheard
            done = TrainingResult(failure=f"raised: {type(error).__name__}: {error}")
        finally:
            faulthandler.cancel_dump_traceback_later()
        events.put({"trained": trained_record(done), "done": True})


def hanging_after_s(limit_s: float) -> float:
    """When a training is taken for hanging: its last batch may have begun within the limit."""
    return limit_s + max(LEAST_GRACE_S, limit_s / 4)


def task_record(task: Task) -> Record:
    """A task as plain data."""
    proposal = task.proposal
    return {
        "number": task.number,
        "options": list(proposal.architecture.options),
        "epochs": proposal.epochs,
        "schedule_epochs": proposal.schedule_epochs,
        "seed": proposal.seed,
    }


def trained_record(trained: TrainingResult) -> Record:
    """What a training gave as plain data."""
    scores = None if trained.scores is None else trained.scores.to_dict()
    return {**asdict(trained), "scores": scores}


def trained_from(record: Mapping[str, Any]) -> TrainingResult:
    """What `trained_record` made plain."""
    scores = None if record["scores"] is None else ItemScores.from_dict(record["scores"])
    return TrainingResult(**{**record, "scores": scores})
