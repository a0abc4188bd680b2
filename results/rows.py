"""What tables, figures and the report say of a run, as plain values with stable keys."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attnas.core import AttnasError, Trial, described, excess_text, in_order, violations_text

from .columns import columns, number_columns, row
from .statistics import plain_beside

if TYPE_CHECKING:
    from attnas.search_space import Architecture

    from .run import Run

ALIKE_ON_FRONT = ["state", "violations", "feasible", "on_front", "reason"]
"""Columns of `Run.frame` that the trials of a front do not differ in."""


def pareto_rows(run: "Run") -> list[dict[str, Any]]:
    """The front, best in the first objective first: one flat dict a trial, for JSON and CSV.

    Keys: `trial`; one per decision, the option as text; `epochs`; one per metric, with
    `<metric>_low` and `<metric>_high` (95 % interval) where measured; `<metric>_difference` of
    the metric that the items' scores average to (`accuracy_difference`), to the plain backbone,
    with its paired standard error `<metric>_difference_se` and `within_noise`; `best` (what
    `run.best()` recommends) and `knee`; `baseline` (its name, of one); `seconds`, `seed`, `seeds`
    (how many it was trained with: the figures are their means), `started`. What is not known is
    null.
    """
    return trial_rows(run, run.front())


def trial_rows(run: "Run", trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The rows of `pareto_rows` for these feasible trials, best in the first objective first."""
    if not trials:
        return []
    names = [name for name in columns(run) if name not in ALIKE_ON_FRONT]
    numbers = {*number_columns(run), "seconds"}
    first, knee, best = run.objectives[0], run.knee(), recommended(run)
    baselines = {trial.number: name for name, trial in run.baselines.items()}
    rows: list[dict[str, Any]] = []
    for trial in sorted(trials, key=lambda t: (first.loss(t.metrics), t.number)):
        difference = run.differences.get(trial.number)
        known = row(run, trial, (), trial)
        known |= {name: float(known[name]) for name in numbers & known.keys()}
        shown = {
            **{name: known.get(name) for name in names},
            "within_noise": None if difference is None else difference.within_noise,
            "best": best is not None and best.number == trial.number,
            "knee": knee is not None and knee.number == trial.number,
            "baseline": baselines.get(trial.number),
        }
        rows.append({key: _count(key, plain_value(value)) for key, value in shown.items()})
    return rows


def show_rows(run: "Run", trial: Trial) -> dict[str, Any]:
    """One architecture in plain types, of several seeds its mean (`Run.candidates`).

    Keys: `trial`, `state`, `reason`, `epochs`, `seconds`, `feasible`, `violations`
    (constraint -> relative excess), `uncounted`; `trainings`, a list of `trial`, `seed` and
    `value` (of the run's main objective), one for each seed; `decisions`, a list of `decision`,
    `kind`, `option`, `plain` (whether it changes nothing) and what the kind tells of it (of
    attention `block`, `ratio`, `placement`, `widths`, `sites`, `params`); `metrics`, a list of
    `metric`,
    `value`, `low`, `high`, `plain`, `difference`, `ratio` (to the plain backbone),
    `standard_error` (of a paired difference of scores), `within_noise`. What is not known is
    null.
    """
    main = run.main_objective.metric
    return {
        "trial": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "epochs": trial.epochs,
        "seconds": plain_value(trial.seconds),
        "feasible": trial.feasible,
        "violations": {name: plain_value(excess) for name, excess in trial.violations.items()},
        "uncounted": list(trial.uncounted),
        "trainings": [
            {"trial": t.number, "seed": t.seed, "value": plain_value(t.metrics.get(main))}
            for t in trial.replicates or (trial,)
        ],
        "decisions": decision_rows(trial.architecture, run.details(trial)),
        "metrics": metric_rows(run, trial),
    }


def decision_rows(
    architecture: "Architecture", details: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """What each decision got, with its details by name; keys as in `show_rows`."""
    rows = []
    for decision, option in zip(architecture.decisions, architecture.options, strict=True):
        told = {
            "decision": decision.name,
            "kind": decision.kind,
            "option": option,
            "plain": option == decision.plain(architecture.backbone),
        }
        rows.append({**told, **details.get(decision.name, {})})
    return rows


def metric_rows(run: "Run", trial: Trial) -> list[dict[str, Any]]:
    """The trial's metrics against the plain backbone's; keys as in `show_rows`."""
    plain = plain_metrics(run, trial)
    itself = trial.architecture.is_plain
    paired = None if itself else run.differences.get(trial.number)
    rows = []
    for name in in_order(trial.metrics):
        value, reference = plain_value(trial.metrics[name]), plain_value(plain.get(name))
        low, high = trial.intervals.get(name, (None, None))
        both = value is not None and reference is not None
        of_scores = paired if name == run.scored else None
        rows.append(
            {
                "metric": name,
                "value": value,
                "low": plain_value(low),
                "high": plain_value(high),
                "plain": reference,
                "difference": value - reference if both and not itself else None,
                "ratio": value / reference if both and reference else None,
                "standard_error": None if of_scores is None else of_scores.standard_error,
                "within_noise": None if of_scores is None else of_scores.within_noise,
            }
        )
    return rows


def plain_metrics(run: "Run", trial: Trial | None = None) -> dict[str, float]:
    """The plain backbone's metrics; what training gave only after the trial's own epochs."""
    known: Mapping[str, float] = run.facts["plain"]["metrics"]
    beside = run.plain if trial is None else plain_beside(trial, run.candidates)
    return {**known, **(beside.metrics if beside is not None else {})}


def beaten_baselines(run: "Run") -> list[Trial]:
    """The feasible baselines that are not on the front."""
    on_front = {trial.number for trial in run.front()}
    return [t for t in run.baselines.values() if t.feasible and t.number not in on_front]


def baselines_text(run: "Run") -> str:
    """What became of each baseline, in a line for people; empty if the run has none."""
    on_front = {trial.number for trial in run.front()}
    parts = []
    for name, trial in run.baselines.items():
        if trial.number in on_front:
            became = "on the front"
        elif trial.feasible:
            became = "beaten by the front"
        else:
            became = violations_text(trial.violations) or trial.reason
        parts.append(f"{name} is trial {trial.number} ({became})")
    return f"Baselines: {', '.join(parts)}." if parts else ""


def recommended(run: "Run") -> Trial | None:
    """What `run.best()` gives, None while no trial is feasible."""
    try:
        return run.best()
    except AttnasError:
        return None


def flatten(content: Any, key: str = "") -> dict[str, Any]:
    """Values by dotted key; a list is one value."""
    if not isinstance(content, Mapping):
        return {key: content}
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= flatten(value, f"{key}.{name}" if key else str(name))
    return flat


def plain_value(value: Any) -> Any:
    """The value as JSON can hold it: numpy's as Python's, NaN and infinity as None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _count(name: str, value: Any) -> Any:
    """A count as a whole number, all other figures being floats."""
    is_count = name in ("epochs", "seeds") or described(name).is_count
    return int(value) if is_count and value is not None else value


def nothing_feasible(run: "Run") -> str:
    """One sentence on a run without a front: what stands in the way, and what is nearest."""
    if not run.trials:
        return "No trial has finished yet."
    broken = [trial for trial in run.trials if trial.violations]
    if not broken:
        failed = [trial for trial in run.trials if trial.state == "failed"]
        last = f" The last reason: {failed[-1].reason}." if failed else ""
        return f"No trial has succeeded: {len(failed)} of {len(run.trials)} failed.{last}"
    [(constraint, count)] = Counter(c for t in broken for c in t.violations).most_common(1)
    nearest = min(broken, key=lambda trial: trial.violation)
    misses = ", ".join(
        f"{text} by {excess_text(excess)}" for text, excess in nearest.violations.items()
    )
    return (
        f"Nothing is feasible: '{constraint}' rejected {count} of {len(run.trials)} trials. "
        f"The nearest, trial {nearest.number} ({nearest.architecture}), misses {misses}."
    )
