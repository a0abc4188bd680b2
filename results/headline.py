"""What a run found, in sentences with their uncertainty."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnas.core import Trial, described

from .any_difference import nothing_differs
from .confirmation import CONFIRMATION_FILE, read_confirmation
from .rows import metric_rows, nothing_feasible, recommended
from .statistics import PairedDifference
from .trial_differences import trial_difference

if TYPE_CHECKING:
    from .run import Run


def summary(run: "Run") -> str:
    """The verdict: what was found, and what a confirmation says of it if there was one.

    Raises:
        InputError: the run's confirmation cannot be read.
    """
    confirmation = read_confirmation(run.folder / CONFIRMATION_FILE)
    if confirmation is not None and confirmation.winner is not None:
        return f"{headline(run)} {confirmation.verdict()}"
    best = recommended(run)
    if best is None or best.architecture.is_plain or not run.scored:
        return headline(run)
    return f"{headline(run)} Not confirmed with new seeds yet."


def headline(run: "Run") -> str:
    """What was found, in one sentence with its uncertainty."""
    best = recommended(run)
    if best is None:
        return nothing_feasible(run)
    if untrained := at_chance(run):
        return untrained
    return " ".join(filter(None, (nothing_differs(run), _finding(run, best))))


def _finding(run: "Run", best: Trial) -> str:
    constraints = ", ".join(f"{name} {bound}" for name, bound in run.facts["constraints"].items())
    within = f" within {constraints}" if constraints else ""
    known = {row["metric"]: row for row in metric_rows(run, best)}
    first = run.main_objective.metric
    value = described(first).named(best.metrics[first])
    others = [
        o.described.named(best.metrics[o.metric]) + _times_plain(known[o.metric])
        for o in run.objectives
        if o.metric != first
    ]
    at = f" at {', '.join(others)}" if others else ""
    if best.architecture.is_plain:
        return f"Nothing found so far beats the plain backbone{within}: {value}{at}."
    gain = _gain(run, best, first)
    comma = "," if gain and at else ""
    said = f"Best{within}: trial {best.number} ({best.architecture}) with {value}{gain}{comma}{at}."
    return f"{said}{_against_baselines(run, best)}"


def at_chance(run: "Run") -> str:
    """What to say of a run whose best trial may be guessing; empty if it is not."""
    best, objective = recommended(run), run.main_objective
    guess = run.facts.get("box", {}).get(objective.metric, (None,))[0]
    if best is None or guess is None or objective.metric not in best.metrics:
        return ""
    metric = objective.described
    ends = best.intervals.get(objective.metric, (best.metrics[objective.metric],) * 2)
    losses = [objective.loss({objective.metric: end}) for end in ends]
    if max(losses) < objective.loss({objective.metric: guess}):
        return ""
    return (
        f"Nothing was learned: the best of {len(run.trials)} trials has "
        f"{metric.named(best.metrics[objective.metric])}, and guessing {metric.text(guess)}. "
        "Train for more epochs, or see whether data and labels fit."
    )


def _against_baselines(run: "Run", best: Trial) -> str:
    """A sentence on the best of the feasible baselines; empty if there is none."""
    feasible = {name: trial for name, trial in run.baselines.items() if trial.feasible}
    if not feasible:
        return ""
    objective = run.main_objective
    name, other = min(feasible.items(), key=lambda item: objective.loss(item[1].metrics))
    own = next((n for n, trial in feasible.items() if trial.number == best.number), None)
    if own is not None:
        return f" It is the baseline {own}."
    parts = []
    difference = trial_difference(best, other) if best.epochs == other.epochs else None
    if difference is not None:
        parts.append(_difference_text(run, difference))
    parts += [
        f"{mine / theirs:.2f} times its {described(metric).heading.partition(' (')[0]}"
        for metric in (o.metric for o in run.objectives if o.described.cheap)
        if (mine := best.metrics[metric]) > 0 and (theirs := other.metrics[metric]) > 0
    ]
    return f" Against {name}, the best baseline: {', '.join(parts)}." if parts else ""


def _times_plain(row: Mapping[str, Any]) -> str:
    """The ratio to the plain backbone, of figures above 0."""
    known = row["ratio"] is not None and row["plain"] > 0
    return f" ({row['ratio']:.2f} times plain)" if known else ""


def _gain(run: "Run", best: Trial, shown: str) -> str:
    """The difference to the plain backbone; its metric is named unless it was `shown` before."""
    difference = run.differences.get(best.number)
    if difference is None:
        return ""
    name = run.scored
    of = "" if name == shown else f" of {name.replace('_', ' ')}"
    text = _difference_text(run, difference, f"{of} to the plain backbone")
    return f", {text}"


def _difference_text(run: "Run", difference: PairedDifference, to: str = "") -> str:
    metric = described(run.scored)
    figures = metric.difference(difference.difference, difference.standard_error)
    points = " points" if metric.format == "percent" else ""
    noise = ", within noise" if difference.within_noise else ""
    seeds = f", {difference.seeds} seeds" if difference.seeds > 1 else ""
    return f"{figures}{points}{to} on {difference.items:,} items{seeds}{noise}"
