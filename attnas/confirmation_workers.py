"""Trainings of a confirmation in processes of their own."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from attnas.core import AttnasError
from attnas.evaluator import cores

Member = tuple[int | None, int]
"""A trial's number, None for a plain backbone that is no trial, and a seed."""


@dataclass(frozen=True)
class Share:
    """What a process needs to know to train its share."""

    folder: Path
    epochs: int
    data_path: str | None
    keep_weights: bool
    threads: int


_train: Callable[[int | None, int], None]


def train_ahead(
    share: Share, members: Sequence[Member], workers: int, say: Callable[[str], None]
) -> None:
    """Trains the members, if any, as many at once as there are workers, into the run's folder.

    What fails is left to the caller, who trains it again and hears why. If the processes cannot
    begin, or the system ends one, `say` tells so and nothing is lost.
    """
    if not members:
        return
    pool = ProcessPoolExecutor(
        min(workers, len(members)),
        mp_context=get_context("spawn"),
        initializer=_begin,
        initargs=(share,),
    )
    try:
        done = [pool.submit(_member, member) for member in members]
        for number, _ in enumerate(as_completed(done), 1):
            say(f"{number} of {len(members)} trainings")
        for future in done:
            future.result()
    except BrokenProcessPool:
        say("A worker could not begin, or was ended by the system: going on in one process.")
    finally:
        pool.shutdown(cancel_futures=True)


def threads_each(workers: int) -> int:
    """Threads of each of so many processes, so that they do not wait for each other."""
    return max(1, cores() // workers)


def _begin(share: Share) -> None:
    import torch

    from attnas.results import Run

    from .confirmation import open_session

    global _train
    torch.set_num_threads(share.threads)
    run = Run.open(share.folder, trust=True)  # as who confirms it has opened it already
    session = open_session(
        run, epochs=share.epochs, data_path=share.data_path, keep_weights=share.keep_weights
    )

    def train(number: int | None, seed: int) -> None:
        architecture = session.plain if number is None else run.candidate(number).architecture
        session.score(architecture, number, seed)

    _train = train


def _member(member: Member) -> None:
    try:
        _train(*member)
    except AttnasError:
        return  # it is said by who asks for its scores
