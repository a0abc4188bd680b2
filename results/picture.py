"""A front as a picture for paper and page, drawn with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnas.core import InputError, Metric, Trial, described, writing

from .bounds import bounds
from .roles import (
    BLUE,
    GREEN,
    GREY,
    NOT_TRAINED,
    ORANGE,
    RED,
    below,
    error_bar,
    known,
    roles,
    step_line,
    untrained,
)
from .rows import recommended

if TYPE_CHECKING:
    from .run import Run

SUFFIXES = (".svg", ".pdf", ".png")
_STYLES = {
    "breaks a constraint": {"color": GREY, "marker": "x", "s": 24, "alpha": 0.6},
    "dominated": {"color": BLUE, "marker": "o", "s": 20, "alpha": 0.45, "linewidths": 0},
    "front": {"color": BLUE, "marker": "o", "s": 46, "linewidths": 0},
    "baseline": {"color": ORANGE, "marker": "D", "s": 46, "linewidths": 0},
    "plain backbone": {"color": ORANGE, "marker": "s", "s": 52, "linewidths": 0},
    "recommended": {"color": GREEN, "marker": "*", "s": 190, "linewidths": 0},
}
_FAINT = ("breaks a constraint", "dominated")
_AGAINST = ("latency_ms", "params", "flops")  # where one objective is all there is


def write_picture(run: "Run", path: Path) -> None:
    """Draws the trials in the plane of two objectives: SVG, PDF or PNG by the file's name.

    A run of one objective is drawn over the metric that its first constraint bounds, or its
    latency. Bars are 95 % intervals, of scores those of the paired difference to the plain
    backbone; ticks at the bottom are trials that a constraint kept from training.

    Raises:
        InputError: another ending, matplotlib is not installed, or nothing was trained.
        AttnasError: the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"cannot be drawn as '{path.suffix}'. End its name in {', '.join(SUFFIXES)}.",
            file=str(path),
        )
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "a picture needs matplotlib. Run: pip install 'attnas[picture]'."
        ) from error
    x, y = _axes(run)
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    _draw(run, axes, x, y)
    best = recommended(run)
    if best is not None:
        figure.suptitle(_title(best), x=0.01, ha="left", fontsize=9, color=GREEN, wrap=True)
    plain: dict[Any, Any] = {
        "svg.hashsalt": run.name,
        "font.family": "sans-serif",
        "font.size": 9.5,
    }
    dated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with writing(path), mpl.rc_context(plain):
        figure.savefig(path, dpi=200, metadata=dated.get(path.suffix.lower()))


def _axes(run: "Run") -> tuple[Metric, Metric]:
    """What is drawn to the right, and what upwards."""
    y = run.main_objective.metric
    others = [objective.metric for objective in run.objectives if objective.metric != y]
    others += [name for name in run.facts["constraints"] if name != y]
    trained = [trial for trial in run.candidates if trial.state == "complete" and known(trial, y)]
    for x in (*others, *_AGAINST):
        if any(known(trial, x) for trial in trained):
            return described(x), described(y)
    raise InputError("has no trained trial yet: there is nothing to draw.", file=str(run.folder))


def _draw(run: "Run", axes: Any, x: Metric, y: Metric) -> None:
    front = run.front()
    if len(run.objectives) == 2:
        corners = step_line(front, x.name, y.name)
        where = "post" if x.better == "min" else "pre"
        axes.step(*corners, where=where, color=BLUE, linewidth=1.2, zorder=1)
    heights = [trial.metrics[y.name] for trial in run.trials if known(trial, y.name)]
    for role, trials in roles(run, front).items():
        placed = [trial for trial in trials if known(trial, x.name) and known(trial, y.name)]
        if placed:
            _points(run, axes, placed, x.name, y.name, role)
    rejected = [trial.metrics[x.name] for trial in untrained(run, x.name, y.name)]
    limits = bounds(run)
    if rejected:
        level = [below(min(heights), max(heights))] * len(rejected)
        axes.scatter(rejected, level, marker="|", s=40, color=GREY, alpha=0.6, label=NOT_TRAINED)
    for name, line in ((x.name, axes.axvline), (y.name, axes.axhline)):
        if name in limits:
            text = f"{name} {run.facts['constraints'][name]}"
            line(limits[name], color=RED, linestyle="--", linewidth=1.2, zorder=0, label=text)
    trained = [trial for trial in run.trials if known(trial, x.name) and known(trial, y.name)]
    shown = [trial.metrics[x.name] for trial in trained]
    shown += [limits[x.name]] if x.name in limits else []
    if rejected and (span := max(shown) - min(shown)):  # what is far off would squeeze the rest
        axes.set_xlim(min(shown) - 0.15 * span, max(shown) + 0.5 * span)
    _frame(axes, x, y)


def _points(run: "Run", axes: Any, trials: Sequence[Trial], x: str, y: str, role: str) -> None:
    along = [trial.metrics[x] for trial in trials]
    up = [trial.metrics[y] for trial in trials]
    style = _STYLES[role]
    if role not in _FAINT:
        bars = [[error_bar(run, trial, name) for trial in trials] for name in (x, y)]
        wide, high = ([list(side) for side in zip(*bar, strict=True)] for bar in bars)
        axes.errorbar(
            along, up, high, wide, "none", ecolor=style["color"], elinewidth=1, capsize=2, zorder=2
        )
    axes.scatter(along, up, label=role, zorder=3, **style)


def _frame(axes: Any, x: Metric, y: Metric) -> None:
    axes.set_xlabel(x.heading)
    axes.set_ylabel(y.heading)
    for axis, metric in ((axes.xaxis, x), (axes.yaxis, y)):
        if metric.format == "percent":
            from matplotlib.ticker import PercentFormatter

            axis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GREY, alpha=0.2)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8.5)


def _title(best: Trial) -> str:
    options = best.architecture.by_name.items()
    chosen = ", ".join(f"{name} {option}" for name, option in options)
    return f"trial {best.number}: {chosen}"
