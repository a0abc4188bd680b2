"""The front's latencies, measured again side by side, in fresh processes, at a search's end."""

import time
from collections.abc import Mapping, Sequence

from attnas.core import Constraint, Screening, Trial, excesses, violations_text
from attnas.evaluator import Evaluator, Latency, LatencyMeter
from attnas.results import Remeasured, Run
from attnas.search_space import Architecture

from .observer import Observer

SECONDS_A_TRIAL = 1.2  # in all processes together
MOST_SECONDS = 60.0

_METRIC = "latency_ms"


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
    timings stand beside. A trial breaks a bound by them only if its whole interval lies beyond;
    one that cannot be told from the bound stays, and is named.

    A front that has changed by it is measured again, in the same bound of time. Nothing is done
    where latency is neither objective nor bounded, where all of the front has been measured so
    already, and where recorded results are replayed.
    """
    metrics = {*(o.metric for o in run.objectives), *run.facts["constraints"]}
    meter = evaluator.latency
    if meter is None or _METRIC not in metrics:
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
        found = _measure(run, evaluator, meter, constraints, front, seconds)
        _say_how_sure(front, found, constraints, evaluator.plain, observer)
        _say_what_changed(run, before, observer)
        front = _measurable(run)


def _measurable(run: Run) -> list[Trial]:
    """The front but for the plain backbone, which is what the others are relative to."""
    return [trial for trial in run.front() if not trial.architecture.is_plain]


def _measure(
    run: Run,
    evaluator: Evaluator,
    meter: LatencyMeter,
    constraints: Sequence[Constraint],
    trials: Sequence[Trial],
    seconds: float,
) -> dict[Architecture, Latency]:
    plain = meter.plain_latency(max_seconds=seconds)
    architectures = list(dict.fromkeys(trial.architecture for trial in trials))
    measured = meter.latencies(architectures, max_seconds=seconds)
    found = dict(zip(architectures, measured, strict=True))
    again = {}
    # a fidelity strategy may have trained one architecture in several trials
    for trial in run.recorded:
        if (latency := found.get(trial.architecture)) is None or _METRIC not in trial.metrics:
            continue
        broken = _surely_broken(constraints, latency, evaluator.plain)
        again[trial.number] = Remeasured(latency.ms, latency.low, latency.high, broken)
    run.remeasure(again, {"ms": plain.ms, "low": plain.low, "high": plain.high})
    return found


def _surely_broken(
    constraints: Sequence[Constraint], latency: Latency, plain: Screening
) -> dict[str, float]:
    """The bounds that the figure and both ends of its interval break, with the figure's excess."""
    figure, *ends = (
        excesses(constraints, {_METRIC: ms}, plain.metrics)
        for ms in (latency.ms, latency.low, latency.high)
    )
    return {name: excess for name, excess in figure.items() if all(name in end for end in ends)}


def _say_how_sure(
    trials: Sequence[Trial],
    found: Mapping[Architecture, Latency],
    constraints: Sequence[Constraint],
    plain: Screening,
    observer: Observer,
) -> None:
    """Names what is on a bound, and says what was measured less well than it should have been."""
    if reason := next(iter(found.values())).in_one_process:
        observer.note(f"They were measured in one process, not in fresh ones: {reason}.")
    wide = []
    for trial in trials:
        latency = found[trial.architecture]
        within = f"{latency.low:.4g} to {latency.high:.4g} ms"
        bounds = [c.resolve(plain.metrics) for c in constraints if c.metric == _METRIC]
        if any(latency.low <= c.bound <= latency.high for c in bounds):
            observer.note(f"Trial {trial.number} is too near its latency bound to tell: {within}.")
        elif not latency.settled:
            wide.append(f"{trial.number} ({within})")
    if wide:
        observer.note(
            f"Latencies that are not known as well as they should be, perhaps since the machine "
            f"was busy: trial {', '.join(wide)}."
        )


def _say_what_changed(run: Run, before: Sequence[Trial], observer: Observer) -> None:
    after = {trial.number for trial in run.front()}
    for trial in (run.trials[t.number] for t in before if t.number not in after):
        why = violations_text(trial.violations) or "another trial is as good in all objectives"
        observer.note(
            f"Trial {trial.number} is no longer on the front: measured again, its latency is "
            f"{trial.metrics[_METRIC]:.4g} ms ({why})."
        )
