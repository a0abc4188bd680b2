"""One proposal becomes a trial: it is screened, and trained if no constraint is broken."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from attnas.core import (
    AttnasError,
    Constraint,
    Objective,
    Proposal,
    Screening,
    State,
    TrainingResult,
    Trial,
    described,
    excesses,
    violations_text,
)
from attnas.evaluator import Evaluator, TrainingFailed

OnEpoch = Callable[[int, int], None]
"""Is told the epochs done and the epochs in all."""


class EvaluatorLost(AttnasError):
    """Nothing can be evaluated any more, which is no failure of a candidate: the search ends."""


@dataclass(frozen=True)
class Screened:
    """What screening gave; with a `reason` it failed."""

    screening: Screening
    reason: str
    seconds: float
    started: str  # ISO 8601, UTC


def screen(proposal: Proposal, evaluator: Evaluator) -> Screened:
    """The cheap metrics of a proposal; whatever the evaluator raises becomes the reason.

    Raises:
        EvaluatorLost: the evaluator is gone.
    """
    started = _now()
    began = time.monotonic()
    screening, reason = Screening({}), ""
    try:
        screening = evaluator.screen(proposal.architecture)
    except EvaluatorLost:
        raise
    except (Exception, SystemExit) as error:  # a candidate may fail in any way: the search goes on
        reason = _reason(error)
    # what is looked up takes no time: a replayed trial keeps the time that was recorded
    seconds = 0.0 if evaluator.latency is None else time.monotonic() - began
    return Screened(screening, reason, seconds, started)


def known_already(proposal: Proposal, trials: Iterable[Trial]) -> Screened | None:
    """The screening of a trained architecture that is proposed with another seed; else None.

    What is known without training does not depend on the seed: it is not measured again.
    """
    for trial in trials:
        same = trial.architecture == proposal.architecture and trial.epochs == proposal.epochs
        if not same or trial.state != "complete" or trial.seed == proposal.seed:
            continue
        cheap = {name: v for name, v in trial.metrics.items() if described(name).cheap}
        broken = {t: e for t, e in trial.violations.items() if described(t.split()[0]).cheap}
        intervals = {name: ends for name, ends in trial.intervals.items() if name in cheap}
        screening = Screening(cheap, broken, intervals, trial.uncounted)
        return Screened(screening, "", 0.0, _now())
    return None


def train(proposal: Proposal, evaluator: Evaluator, on_epoch: OnEpoch) -> TrainingResult:
    """The training of a proposal; whatever the evaluator raises becomes its failure."""
    began = time.monotonic()
    try:
        return evaluator.train(
            proposal.architecture,
            proposal.epochs,
            lambda epoch, _: on_epoch(epoch, proposal.epochs),
            schedule_epochs=proposal.schedule_epochs,
            seed=proposal.seed,
        )
    except (Exception, SystemExit) as error:
        return TrainingResult(seconds=time.monotonic() - began, failure=_reason(error))


def is_to_be_trained(screened: Screened, *, always: bool = False) -> bool:
    """Whether a proposal passed; `always` is for the plain backbone, the reference of every
    difference, even where it breaks a constraint."""
    return not screened.reason and (always or not screened.screening.violations)


def make_trial(
    proposal: Proposal,
    number: int,
    screened: Screened,
    trained: TrainingResult | None,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    *,
    seed: int,
) -> Trial:
    """The trial of a proposal; `trained` is None if it was not. A failure has its reason.

    `seed` is the run's, with which it was trained unless the proposal has one of its own.
    """
    screening, result = screened.screening, trained or TrainingResult()
    scored = trained is not None and not trained.failure
    reason = screened.reason or result.failure
    metrics = {**screening.metrics, **result.metrics}
    if scored and (absent := missing_metrics(objectives, metrics)):
        reason = f"no value: {', '.join(absent)}"
    state: State = "failed" if reason else "complete" if scored else "infeasible"
    trained_for = {m: v for m, v in result.metrics.items() if m not in screening.metrics}
    broken = {**screening.violations, **excesses(constraints, trained_for, {})}
    return Trial(
        number=number,
        architecture=proposal.architecture,
        epochs=proposal.epochs,
        state=state,
        metrics=metrics,
        intervals={**screening.intervals, **result.intervals},
        violations=broken,
        reason=reason or violations_text(broken, predicted=screening.predicted) + _near(screening),
        seconds=screened.seconds + result.seconds,
        seed=seed if proposal.seed is None else proposal.seed,
        started=screened.started,
        scores=result.scores,
        uncounted=screening.uncounted,
        schedule_epochs=proposal.schedule_epochs,
        half_size=result.half_size,
    )


def missing_metrics(objectives: Sequence[Objective], metrics: Mapping[str, float]) -> list[str]:
    """The objectives' metrics that an evaluation did not give or gave as NaN."""
    return [o.metric for o in objectives if not np.isfinite(metrics.get(o.metric, np.nan))]


def _near(screening: Screening) -> str:
    """Says so where the bound that a measured latency breaks lies within its interval."""
    low, high = screening.intervals.get("latency_ms", (np.inf, np.inf))
    for text, excess in screening.violations.items():
        if text.startswith("latency_ms <=") and not screening.predicted:
            bound = screening.metrics["latency_ms"] / (1 + excess)
            if low <= bound:
                return f", too near to tell: {low:.4g} to {high:.4g} ms"
    return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _reason(error: BaseException) -> str:
    if isinstance(error, TrainingFailed):
        return f"{error.kind}: {error.reason}"
    return f"raised: {type(error).__name__}: {error}"
