"""What tables, figures and the report say of a run, as plain values with stable keys."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attnas.search_space import NONE, Architecture, AttnasError, block

from .metrics import METRICS
from .statistics import difference_to_plain, plain_beside
from .trial import Trial, excess_text

if TYPE_CHECKING:
    from .run import Run

COUNTS = ("params", "flops", "activations", "epochs")  # whole numbers

ALIKE_ON_FRONT = ["state", "violations", "feasible", "on_front", "reason"]
"""Columns of `Run.frame` that the trials of a front do not differ in."""


def pareto_rows(run: "Run") -> list[dict[str, Any]]:
    """The front, best in the first objective first: one flat dict a trial, for JSON and CSV.

    Keys: `trial`; one per stage, the choice as text; `epochs`; one per metric, with
    `<metric>_low` and `<metric>_high` (95 % interval) where measured; `accuracy_difference`
    to the plain backbone (from -1 to 1) with its paired standard error
    `accuracy_difference_se` and `within_noise`; `best` (what `run.best()` recommends) and
    `knee`; `seconds`, `seed`, `started`. What is not known is null.
    """
    front = run.front()
    if not front:
        return []
    table = run.frame().drop(columns=ALIKE_ON_FRONT).set_index("trial", drop=False)
    first, knee, best = run.objectives[0], run.knee(), recommended(run)
    rows: list[dict[str, Any]] = []
    for trial in sorted(front, key=lambda t: (first.loss(t.metrics), t.number)):
        difference = difference_to_plain(trial, run.trials)
        row = {
            **table.loc[trial.number].to_dict(),
            "within_noise": None if difference is None else difference.within_noise,
            "best": best is not None and best.number == trial.number,
            "knee": knee is not None and knee.number == trial.number,
        }
        rows.append({str(key): _count(str(key), _plain(value)) for key, value in row.items()})
    return rows


def show_rows(run: "Run", trial: Trial) -> dict[str, Any]:
    """One architecture in plain types.

    Keys: `trial`, `state`, `reason`, `epochs`, `seconds`, `feasible`, `violations`
    (constraint -> relative excess), `uncounted`; `stages`, a list of `stage`, `choice`,
    `block`, `ratio`, `placement`, `widths` (what the ratio realises), `sites` (module paths),
    `params` (that the blocks add); `metrics`, a list of `metric`, `value`, `low`, `high`,
    `plain`, `difference`, `ratio` (to the plain backbone), `standard_error` (of the
    accuracy's difference, paired), `within_noise`. What is not known is null.
    """
    return {
        "trial": trial.number,
        "state": trial.state,
        "reason": trial.reason,
        "epochs": trial.epochs,
        "seconds": _plain(trial.seconds),
        "feasible": trial.feasible,
        "violations": {name: _plain(excess) for name, excess in trial.violations.items()},
        "uncounted": list(trial.uncounted),
        "stages": stage_rows(trial.architecture),
        "metrics": metric_rows(run, trial),
    }


def stage_rows(architecture: Architecture) -> list[dict[str, Any]]:
    """What each stage got and where it stands; keys as in `show_rows`."""
    rows = []
    for stage, choice in architecture.by_stage.items():
        widths: list[list[int]] = []
        sites: list[str] = []
        params = 0
        if choice != NONE:
            chosen = block(choice.block)
            for unit in architecture.backbone.sites(stage):
                if (site := unit.get(str(choice.placement))) is None:
                    continue
                sites.append(site.path)
                params += chosen.params(
                    site.channels,
                    site.height,
                    site.width,
                    choice.ratio,
                    identity_start=architecture.identity_start,
                )
                realised = list(chosen.widths(site.channels, choice.ratio))
                if realised and realised not in widths:
                    widths.append(realised)
        rows.append(
            {
                "stage": stage,
                "choice": str(choice),
                "block": choice.block,
                "ratio": choice.ratio,
                "placement": choice.placement,
                "widths": widths,
                "sites": sites,
                "params": params,
            }
        )
    return rows


def metric_rows(run: "Run", trial: Trial) -> list[dict[str, Any]]:
    """The trial's metrics against the plain backbone's; keys as in `show_rows`."""
    plain = plain_metrics(run, trial)
    itself = trial.architecture.is_plain
    paired = None if itself else difference_to_plain(trial, run.trials)
    names = [name for name in METRICS if name in trial.metrics]
    names += sorted(trial.metrics.keys() - METRICS.keys())
    rows = []
    for name in names:
        value, reference = _plain(trial.metrics[name]), _plain(plain.get(name))
        low, high = trial.intervals.get(name, (None, None))
        both = value is not None and reference is not None
        of_accuracy = paired if name == "accuracy" else None
        rows.append(
            {
                "metric": name,
                "value": value,
                "low": _plain(low),
                "high": _plain(high),
                "plain": reference,
                "difference": value - reference if both and not itself else None,
                "ratio": value / reference if both and reference else None,
                "standard_error": None if of_accuracy is None else of_accuracy.standard_error,
                "within_noise": None if of_accuracy is None else of_accuracy.within_noise,
            }
        )
    return rows


def plain_metrics(run: "Run", trial: Trial | None = None) -> dict[str, float]:
    """The plain backbone's metrics; what training gave only after the trial's own epochs."""
    known: Mapping[str, float] = run.facts["plain"]["metrics"]
    beside = run.plain if trial is None else plain_beside(trial, run.trials)
    return {**known, **(beside.metrics if beside is not None else {})}


def recommended(run: "Run") -> Trial | None:
    """What `run.best()` gives, None while no trial is feasible."""
    try:
        return run.best()
    except AttnasError:
        return None


def shown(metric: str, value: Any, *, signed: bool = False) -> str:
    """A metric's value for people: accuracy in percent, thousands separated; '-' if unknown."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    sign = "+" if signed else ""
    if math.isinf(value):
        return format(value, f"{sign}g")
    if metric == "accuracy":
        return f"{100 * value:{sign}.2f} %"
    if metric in ("flops", "activations") and abs(value) >= 1e5:
        millions = abs(value) / 1e6
        digits = max(2, 3 - math.floor(math.log10(millions)))  # four significant ones
        return f"{value / 1e6:{sign},.{digits}f} M"
    if metric in COUNTS:
        return f"{round(value):{sign},}"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 3  # four significant ones
    return f"{value:{sign},.{max(0, digits)}f}" if digits <= 8 else f"{value:{sign}.4g}"


def heading(metric: str) -> str:
    """A metric's name over a column or beside an axis, with its unit."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    words = metric.removesuffix(f"_{unit.lower()}").replace("_", " ")
    return f"{words} ({unit})" if unit else words


def named(metric: str, value: float) -> str:
    """A metric's name, value and unit in running text: 'latency 2.074 ms'."""
    name, _, unit = heading(metric).partition(" (")
    return " ".join(filter(None, (name, shown(metric, value), unit.rstrip(")"))))


def points(difference: float | None, standard_error: float | None) -> str:
    """A difference of accuracies in percentage points: '+1.30 ± 0.45'; '-' if unknown."""
    if difference is None:
        return "-"
    if standard_error is None:
        return f"{100 * difference:+.2f}"
    return f"{100 * difference:+.2f} ± {100 * standard_error:.2f}"


def flatten(content: Any, key: str = "") -> dict[str, Any]:
    """Values by dotted key; a list is one value."""
    if not isinstance(content, Mapping):
        return {key: content}
    flat: dict[str, Any] = {}
    for name, value in content.items():
        flat |= flatten(value, f"{key}.{name}" if key else str(name))
    return flat


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: numpy's as Python's, NaN and infinity as None."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _count(metric: str, value: Any) -> Any:
    """A count as a whole number, which a frame's column of floats lost."""
    return int(value) if metric in COUNTS and value is not None else value


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
