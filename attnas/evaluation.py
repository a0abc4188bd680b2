"""One proposal becomes a trial: it is screened, and trained if no constraint is broken."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from attnas.evaluator import Evaluation, Evaluator, Screening, TrainingFailed, missing_metrics
from attnas.results import Objective, State, Trial, violations_text
from attnas.search_space import AttnasError
from attnas.strategies import Proposal

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


@dataclass(frozen=True)
class Trained:
    """What training gave; with a `reason` it failed."""

    evaluation: Evaluation | None
    reason: str
    seconds: float


def screen(proposal: Proposal, evaluator: Evaluator) -> Screened:
    """The cheap metrics of a proposal; whatever the evaluator raises becomes the reason.

    Raises:
        EvaluatorLost: the evaluator is gone.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    began = time.monotonic()
    screening, reason = Screening({}), ""
    try:
        screening = evaluator.screen(proposal.architecture)
    except EvaluatorLost:
        raise
    except Exception as error:  # a candidate may fail in any way: the search goes on
        reason = _reason(error)
    return Screened(screening, reason, time.monotonic() - began, started)


def train(proposal: Proposal, evaluator: Evaluator, on_epoch: OnEpoch) -> Trained:
    """The training of a proposal; whatever the evaluator raises becomes the reason."""
    began = time.monotonic()
    evaluation, reason = None, ""
    # an evaluator that knows no schedules may be asked for whole trainings alone
    schedule = {} if proposal.of is None else {"of": proposal.of}
    try:
        evaluation = evaluator.train(
            proposal.architecture,
            proposal.epochs,
            lambda epoch, _: on_epoch(epoch, proposal.epochs),
            **schedule,
        )
    except Exception as error:
        reason = _reason(error)
    return Trained(evaluation, reason, time.monotonic() - began)


def is_to_be_trained(screened: Screened, *, always: bool = False) -> bool:
    """Whether a proposal passed; `always` is for the plain backbone, the reference of every
    difference, even where it breaks a constraint."""
    return not screened.reason and (always or not screened.screening.violations)


def make_trial(
    proposal: Proposal,
    number: int,
    screened: Screened,
    trained: Trained | None,
    objectives: Sequence[Objective],
    *,
    seed: int,
) -> Trial:
    """The trial of a proposal; `trained` is None if it was not. A failure has its reason."""
    screening = screened.screening
    evaluation = trained.evaluation if trained is not None else None
    reason = screened.reason or (trained.reason if trained is not None else "")
    metrics = {**screening.metrics, **(evaluation.metrics if evaluation else {})}
    if evaluation is not None and (absent := missing_metrics(objectives, metrics)):
        reason = f"no value: {', '.join(absent)}"
    state: State = "failed" if reason else "complete" if evaluation else "infeasible"
    broken = {**screening.violations, **(evaluation.violations if evaluation else {})}
    elapsed = screened.seconds + (trained.seconds if trained is not None else 0.0)
    return Trial(
        number=number,
        architecture=proposal.architecture,
        epochs=proposal.epochs,
        state=state,
        metrics=metrics,
        intervals={**screening.intervals, **(evaluation.intervals if evaluation else {})},
        violations=broken,
        reason=reason or violations_text(broken, predicted=screening.predicted),
        # a replayed trial keeps the time that was recorded
        seconds=max(elapsed, evaluation.seconds) if evaluation is not None else elapsed,
        seed=seed,
        started=screened.started,
        correct=evaluation.correct if evaluation else b"",
        validation_images=evaluation.images if evaluation else 0,
        uncounted=screening.uncounted,
        of=proposal.of,
        half_size=evaluation.half_size if evaluation else False,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TrainingFailed):
        return f"{error.kind}: {error.reason}"
    return f"raised: {type(error).__name__}: {error}"
