"""Tables for the terminal; what they say comes from the dicts of `rows`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .compare import Comparison
from .confirmation import Confirmation
from .doubt import doubt_of
from .rows import heading, nothing_feasible, pareto_rows, points, show_rows, shown
from .rungs import rungs_text
from .trial import Trial

if TYPE_CHECKING:
    from .run import Run

NOISE = "~"
NOISE_NOTE = (
    "vs plain: points of accuracy ± paired standard error by the images, after one training "
    f"each; {NOISE} within noise (less than 1.96 standard errors)."
)


@dataclass(frozen=True)
class _Fitting:
    """The first of the forms for which the terminal has room, else the last."""

    forms: tuple[RenderableType, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=10_000)
        for form in self.forms:
            if Measurement.get(console, unbounded, form).maximum <= options.max_width:
                yield form
                return
        yield self.forms[-1]


def pareto_table(run: "Run", *, verdicts: bool = True) -> RenderableType:
    """The front, best in the first objective first, with the knee and what is recommended.

    Below it what the run says of its rungs and of its supernet, if it has any, with `verdicts`.
    """
    rows = pareto_rows(run)
    if not rows:
        return Text(nothing_feasible(run))
    stages = run.backbone.stage_names
    metrics = [objective.metric for objective in run.objectives]
    more = ["params"] if "params" in rows[0] and "params" not in metrics else []
    bounds = ", ".join(f"{name} {bound}" for name, bound in run.facts["constraints"].items())
    notes = [f"Constraints: {bounds}."] if bounds else []
    notes += [NOISE_NOTE] if "accuracy" in metrics else []
    metrics = _with_epochs(rows, metrics)
    if verdicts:
        notes += [str(found) for found in (rungs_text(run.trials), doubt_of(run)) if found]
    forms = (
        _column_a_stage(rows, metrics + more, stages),
        _line_a_stage(rows, metrics, stages),
        _line_a_figure(rows, metrics, stages),
    )
    return Group(_Fitting(forms), Text("\n".join(notes), style="dim"))


def show_table(run: "Run", trial: Trial) -> RenderableType:
    """One architecture: what stands where, and its metrics beside the plain backbone's."""
    rows = show_rows(run, trial)
    state = "feasible" if rows["feasible"] else rows["state"]
    if rows["state"] == "complete" and rows["violations"]:
        state = "complete, but breaks a constraint"
    head = Text(f"Trial {trial.number} of {run.name}", style="bold")
    trained = "not trained" if trial.state == "infeasible" else _epochs(trial)
    head.append(f"  {state}, {trained}, {rows['seconds'] or 0:.0f} s", style="")
    for line in filter(None, (rows["reason"], _uncounted(rows["uncounted"]))):
        head.append(f"\n{line}", style="yellow")
    notes = (
        [NOISE_NOTE] if any(row["standard_error"] is not None for row in rows["metrics"]) else []
    )
    return Group(
        head,
        "",
        _stage_table(rows["stages"]),
        "",
        _metric_table(rows["metrics"]),
        Text("\n".join(notes), style="dim"),
    )


def confirmation_table(confirmation: Confirmation) -> RenderableType:
    """The plain backbone and the front over the new seeds, with 95 % intervals."""
    seeds = len(confirmation.seeds)
    table = _table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column(f"test accuracy\n(mean of {seeds})", justify="right", no_wrap=True)
    table.add_column("vs plain, points\n(95 % interval)", justify="right", no_wrap=True)
    table.add_column("choices", overflow="fold")
    plain = confirmation.plain
    number = "-" if plain.trial is None else str(plain.trial)
    table.add_row(number, "plain", shown("accuracy", plain.accuracy), "", "")
    pairs = list(zip(confirmation.front, confirmation.differences, strict=True))
    for entry, difference in sorted(pairs, key=lambda pair: -pair[0].accuracy):
        low, high = difference.interval
        noise = difference.within_noise
        figures = f"{100 * difference.difference:+.2f} ({100 * low:+.2f}..{100 * high:+.2f})"
        winner = entry.trial == confirmation.winner
        table.add_row(
            str(entry.trial),
            "best" if winner else "",
            shown("accuracy", entry.accuracy),
            Text(f"{figures} {NOISE if noise else ' '}", style="dim" if noise else ""),
            _by_stage(entry.choices),
            style="bold" if winner else "",
        )
    notes = Text(
        f"{confirmation.images:,} test images, {confirmation.epochs} epochs, seeds "
        f"{', '.join(map(str, confirmation.seeds))}; best: recommended by the search before; "
        f"{NOISE} within noise.",
        style="dim",
    )
    return Group(table, notes)


def compare_table(comparison: Comparison) -> RenderableType:
    """The runs side by side; a row says what share of the other fronts its front covers."""
    table = _table()
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
            _best(side.best, [o.metric for o in comparison.objectives]),
        )
    notes = Text(
        "hypervolume: share of the box around all these fronts together; covers: share of the "
        "other front that is nowhere better than some trial of this one.",
        style="dim",
    )
    return Group(table, notes)


def listing_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Rows of equal keys as a table; the last column takes what room is left."""
    table = _table()
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


def _with_epochs(rows: Sequence[Mapping[str, Any]], metrics: list[str]) -> list[str]:
    """The columns of figures: how long was trained is one where that differs."""
    return ["epochs", *metrics] if len({row["epochs"] for row in rows}) > 1 else metrics


def _epochs(trial: Trial) -> str:
    """How long a trial was trained, and what it was scored on if not on whole images."""
    of = f" of {trial.of}" if trial.of is not None else ""
    plural = "s" if trial.epochs != 1 or of else ""
    return f"{trial.epochs}{of} epoch{plural}" + (
        ", scored at half size" if trial.half_size else ""
    )


def _column_a_stage(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], stages: Sequence[str]
) -> Table:
    """The front on a wide terminal: one line a trial."""
    table = _table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    _add_metric_columns(table, metrics)
    for stage in stages:
        table.add_column(Text(stage), no_wrap=True)
    for row in rows:
        choices = [Text(str(row[stage]), style=_faint(row[stage])) for stage in stages]
        figures = _figures(row, metrics, stages, "  ")
        table.add_row(
            str(row["trial"]), ", ".join(_marks(row)), *figures, *choices, style=_weight(row)
        )
    return table


def _line_a_stage(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], stages: Sequence[str]
) -> Table:
    """The front in less room: choices below each other, intervals below their figure."""
    table = _table()
    table.add_column("trial", justify="right", no_wrap=True)
    _add_metric_columns(table, metrics)
    table.add_column("choices", overflow="fold")
    for row in rows:
        number = "\n".join([str(row["trial"]), *_marks(row)])
        choices = _by_stage({stage: row[stage] for stage in stages})
        figures = _figures(row, metrics, stages, "\n")
        table.add_row(number, *figures, choices, style=_weight(row), end_section=True)
    return table


def _line_a_figure(
    rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], stages: Sequence[str]
) -> Table:
    """The front where figures do not fit beside each other either."""
    names = [part for m in metrics for part in ((m, "vs plain") if m == "accuracy" else (m,))]
    table = _table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("figures", overflow="fold")
    table.add_column("choices", overflow="fold")
    for row in rows:
        lines = [
            Text(f"{heading(name)} ", style="dim").append_text(figure)
            for name, figure in zip(names, _figures(row, metrics, stages, "  "), strict=True)
        ]
        table.add_row(
            "\n".join([str(row["trial"]), *_marks(row)]),
            Text("\n").join(lines),
            _by_stage({stage: row[stage] for stage in stages}),
            end_section=True,
        )
    return table


def _add_metric_columns(table: Table, metrics: Sequence[str]) -> None:
    for name in metrics:
        table.add_column(heading(name), justify="right", no_wrap=True)
        if name == "accuracy":
            table.add_column("vs plain", justify="right", no_wrap=True)


def _figures(
    row: Mapping[str, Any], metrics: Sequence[str], stages: Sequence[str], separator: str
) -> list[Text]:
    """A cell for each of `_add_metric_columns`."""
    plain = all(row[stage] == "none" for stage in stages)
    cells = []
    for name in metrics:
        cells.append(_with_interval(name, row, separator))
        if name == "accuracy":
            cells.append(Text("plain  ") if plain else _difference(row))
    return cells


def _marks(row: Mapping[str, Any]) -> list[str]:
    return [mark for mark in ("best", "knee") if row[mark]]


def _weight(row: Mapping[str, Any]) -> str:
    return "bold" if row["best"] else ""


def _stage_table(stages: Sequence[Mapping[str, Any]]) -> Table:
    table = _table()
    table.add_column("stage", no_wrap=True)
    table.add_column("choice", no_wrap=True)
    table.add_column("widths")
    table.add_column("params", justify="right")
    table.add_column("sites", overflow="fold")
    for row in stages:
        table.add_row(
            Text(row["stage"]),
            Text(row["choice"], style=_faint(row["choice"])),
            ", ".join("x".join(map(str, widths)) for widths in row["widths"]),
            f"{row['params']:+,}" if row["sites"] else "",
            Text(", ".join(row["sites"])),
        )
    return table


def _metric_table(metrics: Sequence[Mapping[str, Any]]) -> Table:
    table = _table()
    table.add_column("metric", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("plain", justify="right", no_wrap=True)
    table.add_column("vs plain", justify="right", no_wrap=True)
    for row in metrics:
        name = row["metric"]
        ends = {f"{name}_low": row["low"], f"{name}_high": row["high"], name: row["value"]}
        if name == "accuracy":
            difference = _difference(
                {
                    "accuracy_difference": row["difference"],
                    "accuracy_difference_se": row["standard_error"],
                    "within_noise": row["within_noise"],
                }
            )
        else:
            ratio = row["ratio"]
            difference = Text("-  " if ratio is None else f"{ratio:.3f}x  ")
        table.add_row(
            heading(name), _with_interval(name, ends, "  "), shown(name, row["plain"]), difference
        )
    return table


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def _with_interval(name: str, row: Mapping[str, Any], separator: str) -> Text:
    """A metric with its interval behind or below it."""
    text = Text(shown(name, row.get(name)))
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is not None and high is not None:
        text.append(f"{separator}{shown(name, low)}..{shown(name, high)}", style="dim")
    return text


def _difference(row: Mapping[str, Any]) -> Text:
    """The difference to the plain backbone, marked and dim within noise."""
    noise = row["within_noise"]
    text = points(row["accuracy_difference"], row["accuracy_difference_se"])
    return Text(f"{text} {NOISE if noise else ' '}", style="dim" if noise else "")


def _by_stage(choices: Mapping[str, str]) -> Text:
    """A line a stage."""
    lines = (
        Text(f"{stage} ", style="dim").append(choice, style=_faint(choice) or "not dim")
        for stage, choice in choices.items()
    )
    return Text("\n").join(lines)


def _faint(choice: str) -> str:
    return "dim" if choice == "none" else ""


def _uncounted(operators: Sequence[str]) -> str:
    return f"Not in the flops: {', '.join(operators)}." if operators else ""


def _best(trial: Trial | None, metrics: Sequence[str]) -> str:
    if trial is None:
        return "-"
    values = ", ".join(f"{heading(m)} {shown(m, trial.metrics.get(m))}" for m in metrics)
    return f"trial {trial.number}: {values}"


def _listed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={inner}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
