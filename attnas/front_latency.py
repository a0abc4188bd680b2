"""The front's latencies, measured again side by side at the end of a search."""

import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from attnas.evaluator import Constraint, Evaluator, Screening
from attnas.evaluator.evaluator import excesses
from attnas.evaluator.latency import Latency
from attnas.results import Remeasured, Run, Trial, violations_text
from attnas.search_space import Architecture

from .observer import Observer

SECONDS_A_TRIAL = 2.0
MOST_SECONDS = 60.0

_METRIC = "latency_ms"


@runtime_checkable
class Measuring(Protocol):
    """An evaluator that measures latencies, such as `TrainingEvaluator`."""

    plain: Screening

    def latencies(
        self, architectures: Sequence[Architecture], *, max_seconds: float
    ) -> list[Latency]: ...

    def plain_latency(self, *, max_seconds: float) -> Latency: ...


def remeasure_front(
    run: Run,
    evaluator: Evaluator,
    constraints: Sequence[Constraint],
    observer: Observer,
    *,
    most_seconds: float = MOST_SECONDS,
) -> None:
    """Measures all of the front in one interleaved session, and keeps that beside the trials.

    Each trial was measured at another time, and the front prefers those that were measured
    too fast. The figures stay relative to the run's plain backbone, which the session's
    timings stand beside. A front that has changed by it is measured again, in the same
    bound of time. Nothing is done where latency is neither objective nor bounded, where all
    of the front has been measured so already, and where recorded results are replayed.
    """
    metrics = {*(o.metric for o in run.objectives), *run.facts["constraints"]}
    if not isinstance(evaluator, Measuring) or _METRIC not in metrics:
        return
    ends = time.monotonic() + most_seconds
    front = _measurable(run)
    while front and any(trial.number not in run.remeasured for trial in front):
        seconds = min(SECONDS_A_TRIAL, (ends - time.monotonic()) / (len(front) + 1))
        if seconds <= 0:
            break
        before = run.front()
        many = "the trial" if len(front) == 1 else f"the {len(front)} trials"
        observer.note(f"Measuring {many} of the front again, side by side.")
        _measure(run, evaluator, constraints, front, seconds)
        _say_what_changed(run, before, observer)
        front = _measurable(run)


def _measurable(run: Run) -> list[Trial]:
    """The front but for the plain backbone, which is what the others are relative to."""
    return [trial for trial in run.front() if not trial.architecture.is_plain]


def _measure(
    run: Run,
    evaluator: Measuring,
    constraints: Sequence[Constraint],
    trials: Sequence[Trial],
    seconds: float,
) -> None:
    plain = evaluator.plain_latency(max_seconds=seconds)
    architectures = list(dict.fromkeys(trial.architecture for trial in trials))
    measured = evaluator.latencies(architectures, max_seconds=seconds)
    found = dict(zip(architectures, measured, strict=True))
    again = {}
    # a fidelity strategy may have trained one architecture in several trials
    for trial in run.recorded:
        if (latency := found.get(trial.architecture)) is None or _METRIC not in trial.metrics:
            continue
        broken = excesses(constraints, {_METRIC: latency.ms}, evaluator.plain.metrics)
        again[trial.number] = Remeasured(latency.ms, latency.low, latency.high, broken)
    run.remeasure(again, {"ms": plain.ms, "low": plain.low, "high": plain.high})


def _say_what_changed(run: Run, before: Sequence[Trial], observer: Observer) -> None:
    after = {trial.number for trial in run.front()}
    for trial in (run.trials[t.number] for t in before if t.number not in after):
        why = violations_text(trial.violations) or "another trial is as good in all objectives"
        observer.note(
            f"Trial {trial.number} is no longer on the front: measured again, its latency is "
            f"{trial.metrics[_METRIC]:.4g} ms ({why})."
        )
