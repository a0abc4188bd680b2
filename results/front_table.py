"""The table of a run's front, in as many columns as the terminal has room for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from attnas.core import Trial, described

from .any_difference import nothing_differs
from .cells import by_decision, difference_text, faint, noise_note, plain_table, with_interval
from .display import Shown
from .headline import at_chance
from .ranking_reliability import ranking_reliability
from .rows import baselines_text, beaten_baselines, nothing_feasible, trial_rows
from .rungs import rungs_text

if TYPE_CHECKING:
    from .run import Run


class Front(Shown, list[Trial]):
    """The trials of a run's front by number; shows itself as `attnas pareto` does."""

    def __init__(self, trials: Iterable[Trial], run: "Run") -> None:
        super().__init__(trials)
        self._run = run

    def _shown(self) -> RenderableType:
        return pareto_table(self._run, verdicts=False)


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

    Then the baselines that it beats.
    Below it what the run says of its rungs and of its supernet, if it has any, with `verdicts`.
    """
    front, beaten = run.front(), beaten_baselines(run)
    if not front:
        return Text(nothing_feasible(run))
    rows = trial_rows(run, [*front, *beaten])
    below = {trial.number for trial in beaten}
    rows = [row | {"beaten": row["trial"] in below} for row in rows]
    rows.sort(key=lambda row: row["beaten"])
    names = [decision.name for decision in run.decisions]
    plain = dict(zip(names, run.plain_architecture.options, strict=True))
    metrics = [objective.metric for objective in run.objectives]
    more = ["params"] if "params" in rows[0] and "params" not in metrics else []
    bounds = ", ".join(f"{name} {bound}" for name, bound in run.facts["constraints"].items())
    notes = [f"Constraints: {bounds}."] if bounds else []
    paired = any(row["within_noise"] is not None for row in rows)
    notes += [noise_note(run)] if run.scored in metrics and paired else []
    notes += [baselines] if (baselines := baselines_text(run)) else []
    metrics = _with_effort(rows, metrics)
    if verdicts:
        rungs = rungs_text(run.trials, run.main_objective.metric)
        notes += [str(found) for found in (rungs, ranking_reliability(run)) if found]
    forms = (
        _column_a_decision(rows, metrics + more, plain, run.scored),
        _line_a_decision(rows, metrics, plain, run.scored),
        _line_a_figure(rows, metrics, plain, run.scored),
    )
    untold = at_chance(run) or nothing_differs(run)
    first = [Text(untold, style="bold")] if untold else []
    return Group(*first, _Fitting(forms), Text("\n".join(notes), style="dim"))


def _with_effort(rows: Sequence[Mapping[str, Any]], metrics: list[str]) -> list[str]:
    """The columns of figures: how long and how often was trained are some where that differs."""
    return [n for n in ("epochs", "seeds") if len({row[n] for row in rows}) > 1] + metrics


def _column_a_decision(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    plain: Mapping[str, str],
    scored: str,
) -> Table:
    """The front on a wide terminal: one line a trial."""
    table = plain_table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    _add_metric_columns(table, metrics, scored)
    for name in plain:
        table.add_column(Text(name), no_wrap=True)
    for row in rows:
        options = [Text(str(row[n]), style=faint(row[n] == p)) for n, p in plain.items()]
        figures = _figures(row, metrics, plain, scored, "  ")
        table.add_row(
            str(row["trial"]), ", ".join(_marks(row)), *figures, *options, style=_weight(row)
        )
    return table


def _line_a_decision(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    plain: Mapping[str, str],
    scored: str,
) -> Table:
    """The front in less room: options below each other, intervals below their figure."""
    table = plain_table()
    table.add_column("trial", justify="right", no_wrap=True)
    _add_metric_columns(table, metrics, scored)
    table.add_column("architecture", overflow="fold")
    for row in rows:
        number = "\n".join([str(row["trial"]), *_marks(row)])
        options = by_decision({name: row[name] for name in plain}, plain)
        figures = _figures(row, metrics, plain, scored, "\n")
        table.add_row(number, *figures, options, style=_weight(row), end_section=True)
    return table


def _line_a_figure(
    rows: Sequence[Mapping[str, Any]],
    metrics: Sequence[str],
    plain: Mapping[str, str],
    scored: str,
) -> Table:
    """The front where figures do not fit beside each other either."""
    names = [part for m in metrics for part in ((m, "vs plain") if m == scored else (m,))]
    table = plain_table()
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("figures", overflow="fold")
    table.add_column("architecture", overflow="fold")
    for row in rows:
        lines = [
            Text(f"{described(name).heading} ", style="dim").append_text(figure)
            for name, figure in zip(names, _figures(row, metrics, plain, scored, "  "), strict=True)
        ]
        table.add_row(
            "\n".join([str(row["trial"]), *_marks(row)]),
            Text("\n").join(lines),
            by_decision({name: row[name] for name in plain}, plain),
            end_section=True,
        )
    return table


def _add_metric_columns(table: Table, metrics: Sequence[str], scored: str) -> None:
    for name in metrics:
        table.add_column(described(name).heading, justify="right", no_wrap=True)
        if name == scored:
            table.add_column("vs plain", justify="right", no_wrap=True)


def _figures(
    row: Mapping[str, Any],
    metrics: Sequence[str],
    plain: Mapping[str, str],
    scored: str,
    separator: str,
) -> list[Text]:
    """A cell for each of `_add_metric_columns`."""
    itself = all(row[name] == option for name, option in plain.items())
    difference = row.get(f"{scored}_difference"), row.get(f"{scored}_difference_se")
    cells = []
    for name in metrics:
        cells.append(with_interval(name, row, separator))
        if name == scored:
            text = difference_text(scored, *difference, row["within_noise"])
            cells.append(Text("plain  ") if itself else text)
    return cells


def _marks(row: Mapping[str, Any]) -> list[str]:
    return [mark for mark in ("best", "knee", "baseline") if row[mark]]


def _weight(row: Mapping[str, Any]) -> str:
    return "bold" if row["best"] else faint(row["beaten"])
