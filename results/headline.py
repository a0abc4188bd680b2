"""What a run found, in sentences with their uncertainty."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnas.core import Trial, described

from .confirmation import CONFIRMATION_FILE, read_confirmation
from .rows import metric_rows, nothing_feasible, recommended
from .statistics import difference_to_plain

if TYPE_CHECKING:
    from .run import Run


def summary(run: "Run") -> str:
    """The verdict: what was found, and what a confirmation says of it if there was one.

    Raises:
        InputError: the run's confirmation cannot be read.
    """
    confirmation = read_confirmation(run.folder / CONFIRMATION_FILE)
    if confirmation is not None:
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
    return f"Best{within}: trial {best.number} ({best.architecture}) with {value}{gain}{comma}{at}."


def _times_plain(row: Mapping[str, Any]) -> str:
    """The ratio to the plain backbone, of figures above 0."""
    known = row["ratio"] is not None and row["plain"] > 0
    return f" ({row['ratio']:.2f} times plain)" if known else ""


def _gain(run: "Run", best: Trial, shown: str) -> str:
    """The difference to the plain backbone; its metric is named unless it was `shown` before."""
    difference = difference_to_plain(best, run.trials)
    if difference is None:
        return ""
    metric = described(run.scored)
    figures = metric.difference(difference.difference, difference.standard_error)
    points = " points" if metric.format == "percent" else ""
    of = "" if metric.name == shown else f" of {metric.name.replace('_', ' ')}"
    noise = ", within noise" if difference.within_noise else ""
    return f", {figures}{points}{of} to the plain backbone on {difference.items:,} items{noise}"
