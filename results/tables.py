"""Tables for the terminal; what they say comes from the dicts of `rows`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnas.core import LATENCY, Trial, described, epochs_text

from .cells import (
    NOISE,
    by_decision,
    difference_text,
    faint,
    noise_note,
    plain_table,
    with_interval,
)
from .compare import Comparison, Side
from .confirmation import Confirmation
from .rows import show_rows

if TYPE_CHECKING:
    from .run import Run


def show_table(run: "Run", trial: Trial) -> RenderableType:
    """One architecture: what is decided, and its metrics beside the plain backbone's."""
    rows = show_rows(run, trial)
    state = "feasible" if rows["feasible"] else rows["state"]
    if rows["state"] == "complete" and rows["violations"]:
        state = "complete, but breaks a constraint"
    head = Text(f"Trial {trial.number} of {run.name}", style="bold")
    trained = "not trained" if trial.state == "infeasible" else _epochs(trial)
    head.append(f"  {state}, {trained}, {rows['seconds'] or 0:.0f} s", style="")
    for line in filter(None, (rows["reason"], _uncounted(rows["uncounted"]))):
        head.append(f"\n{line}", style="yellow")
    if len(rows["trainings"]) > 1:
        head.append(f"\n{_trainings(rows['trainings'], run.main_objective.metric)}", style="dim")
    paired = any(row["standard_error"] is not None for row in rows["metrics"])
    notes = [noise_note(run)] if paired else []
    return Group(
        head,
        "",
        _decision_table(rows["decisions"]),
        "",
        _metric_table(rows["metrics"]),
        Text("\n".join(notes), style="dim"),
    )


def confirmation_table(confirmation: Confirmation) -> RenderableType:
    """The plain backbone and the front over the new seeds, with 95 % intervals."""
    seeds = len(confirmation.seeds)
    table = plain_table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    metric = confirmation.metric
    points = ", points" if metric.format == "percent" else ""
    table.add_column(f"test {metric.heading}\n(mean of {seeds})", justify="right", no_wrap=True)
    table.add_column(f"vs plain{points}\n(95 % interval)", justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold")
    plain = confirmation.plain
    baselines = set(confirmation.baselines.values())
    number = "-" if plain.trial is None else str(plain.trial)
    table.add_row(number, "plain", metric.text(plain.value), "", "")
    pairs = list(zip(confirmation.front, confirmation.differences, strict=True))
    sign = -1 if metric.better == "max" else 1
    for entry, difference in sorted(pairs, key=lambda pair: sign * pair[0].value):
        low, high = (metric.difference(end) for end in difference.interval)
        noise = difference.within_noise
        figures = f"{metric.difference(difference.difference)} ({low}..{high})"
        winner = entry.trial == confirmation.winner
        table.add_row(
            str(entry.trial),
            ", ".join(["best"] * winner + ["baseline"] * (entry.trial in baselines)),
            metric.text(entry.value),
            Text(f"{figures} {NOISE if noise else ' '}", style="dim" if noise else ""),
            by_decision(entry.options, plain.options),
            style="bold" if winner else "",
        )
    notes = Text(
        f"{confirmation.items:,} test items, {epochs_text(confirmation.epochs)}, seeds "
        f"{', '.join(map(str, confirmation.seeds))}; best: recommended by the search before; "
        f"{NOISE} within noise.",
        style="dim",
    )
    return Group(table, notes)


def compare_table(comparison: Comparison) -> RenderableType:
    """The runs side by side; a row says what share of the other fronts its front covers."""
    table = plain_table()
    table.add_column("run", overflow="fold")
    table.add_column("trials", justify="right", no_wrap=True)
    table.add_column("front", justify="right", no_wrap=True)
    table.add_column("hypervolume", justify="right", no_wrap=True)
    for number, _ in enumerate(comparison.sides, 1):
        table.add_column(f"covers {number}", justify="right")
    table.add_column("best")
    for number, side in enumerate(comparison.sides, 1):
        covers = ["-" if share is None else f"{share:.0%}" for share in side.covers]
        covers[number - 1] = ""
        table.add_row(
            f"{number}: {side.name}",
            str(side.trials),
            str(len(side.front)),
            f"{side.hypervolume:.4f}",
            *covers,
            _best(side, [o.metric for o in comparison.objectives]),
        )
    notes = Text(
        "hypervolume: share of the box around all these fronts together; covers: share of the "
        "other front that is nowhere better than some trial of this one; latencies as multiples of "
        "each run's own plain backbone (x).",
        style="dim",
    )
    return Group(table, notes)


def listing_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of equal keys as a table; the last column takes what room is left."""
    table = plain_table()
    names = list(rows[0]) if rows else []
    for name in names:
        numeric = all(isinstance(r[name], int | float) and r[name] is not True for r in rows)
        table.add_column(
            Text(name.replace("_", " ")),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=name == names[0],
        )
    for row in rows:
        table.add_row(*(Text(_listed(row[name])) for name in names))
    return table


def _epochs(trial: Trial) -> str:
    """How long a trial was trained, and what it was scored on if not on whole images."""
    of = f" of {trial.schedule_epochs}" if trial.schedule_epochs is not None else ""
    plural = "s" if trial.epochs != 1 or of else ""
    return f"{trial.epochs}{of} epoch{plural}" + (
        ", scored at half size" if trial.half_size else ""
    )


def _decision_table(decisions: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table()
    table.add_column("decision", no_wrap=True)
    table.add_column("option", no_wrap=True)
    table.add_column("widths")
    table.add_column("params", justify="right")
    table.add_column("sites", overflow="fold")
    for row in decisions:
        sites = row.get("sites", row.get("skipped", ()))
        table.add_row(
            Text(row["decision"]),
            Text(row["option"], style=faint(row["plain"])),
            ", ".join("x".join(map(str, widths)) for widths in row.get("widths", ())),
            f"{row['params']:+,}" if row.get("sites") else "",
            Text(", ".join(sites) + (" skipped" if row.get("skipped") else "")),
        )
    return table


def _metric_table(metrics: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table()
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("plain", justify="right", no_wrap=True)
    table.add_column("vs plain", justify="right", no_wrap=True)
    for row in metrics:
        name = row["metric"]
        ends = {f"{name}_low": row["low"], f"{name}_high": row["high"], name: row["value"]}
        if row["standard_error"] is not None:
            difference = difference_text(
                name, row["difference"], row["standard_error"], row["within_noise"]
            )
        elif described(name).format == "percent" or (row["plain"] or 0) < 0:
            difference = Text(f"{described(name).difference(row['difference'])}  ")
        else:
            ratio = row["ratio"]
            difference = Text("-  " if ratio is None else f"{ratio:.3f}x  ")
        table.add_row(
            described(name).heading,
            with_interval(name, ends, "  "),
            described(name).text(row["plain"]),
            difference,
        )
    return table


def _trainings(trainings: Sequence[Mapping[str, Any]], metric: str) -> str:
    """What each seed gave."""
    name = described(metric)
    each = (f"trial {t['trial']} {name.text(t['value'])} (seed {t['seed']})" for t in trainings)
    return f"Mean of {len(trainings)} seeds: {name.heading} of {', '.join(each)}."


def _uncounted(operators: Sequence[str]) -> str:
    return f"Not in the flops: {', '.join(operators)}." if operators else ""


def _best(side: Side, metrics: Sequence[str]) -> str:
    trial = side.best
    if trial is None:
        return "-"
    parts = []
    for metric in map(described, metrics):
        value = trial.metrics.get(metric.name)
        text = f"{metric.heading} {metric.text(value)}"
        if metric.name == LATENCY.name and value is not None and side.plain_latency is not None:
            text += f" ({value / side.plain_latency:.2f}x)"
        parts.append(text)
    return f"trial {trial.number}: {', '.join(parts)}"


def _listed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
