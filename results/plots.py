"""Figures of a run, drawn with plotly."""

import html
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from attnas.core import Objective, Trial, described, epochs_text, excess_text, in_order

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

if TYPE_CHECKING:
    from .run import Run

STYLES: dict[str, dict[str, Any]] = {
    "breaks a constraint": {"color": GREY, "symbol": "x", "size": 7, "opacity": 0.5},
    "dominated": {"color": BLUE, "symbol": "circle", "size": 7, "opacity": 0.5},
    "front": {"color": BLUE, "symbol": "circle", "size": 10},
    "baseline": {"color": ORANGE, "symbol": "diamond", "size": 11},
    "plain backbone": {"color": ORANGE, "symbol": "square", "size": 11},
    "recommended": {"color": GREEN, "symbol": "star", "size": 16},
}
WEBGL_FROM = 1_000  # trials


def front_figures(run: "Run") -> list[go.Figure]:
    """The trials in the plane of each pair of objectives; of one objective, over the trials.

    A pair is drawn with its first objective upwards. With two objectives a step line bounds
    what the front dominates; with more, a pair shows shadows of a surface, which no line
    joins.
    """
    if len(run.objectives) == 1:
        return [_over_trials(run, run.objectives[0])]
    line = len(run.objectives) == 2
    return [_plane(run, x, y, line=line) for y, x in combinations(run.objectives, 2)]


def figures_by_name(run: "Run") -> dict[str, tuple[str, go.Figure]]:
    """The figures of the report, that of the hypervolume last: what each shows, and itself."""
    label = "The trials by objective"
    fronts = {f"front-{i}": (label, figure) for i, figure in enumerate(front_figures(run), 1)}
    volume = "The front's hypervolume after each trial", hypervolume_figure(run)
    return {**fronts, "hypervolume": volume}


def hypervolume_figure(run: "Run") -> go.Figure:
    """The front's hypervolume after each trial."""
    volumes = [float(volume) for volume in run.hypervolumes()]
    figure = go.Figure(
        go.Scatter(
            x=[trial.number for trial in run.trials],
            y=volumes,
            mode="lines" if len(volumes) > 1 else "markers",
            line={"shape": "hv", "color": BLUE, "width": 2},
            hovertemplate="after trial %{x}<br>hypervolume %{y:.4f}<extra></extra>",
        )
    )
    _lay_out(figure, "trial", "hypervolume", height=320)
    return figure


def hover(run: "Run", trial: Trial) -> str:
    """All of a trial for its hover box: a line a decision and a line a metric, HTML-escaped."""
    lines = [f"<b>Trial {trial.number}</b>, {epochs_text(trial.epochs)}"]
    if trial.replicates:
        lines[0] += f", mean of {len(trial.seeds)} seeds"
    if trial.state != "complete":
        lines[0] += f", {trial.state}"
    lines += [f"{name}: {option}" for name, option in trial.architecture.by_name.items()]
    for name in in_order(trial.metrics):
        metric = described(name)
        line = f"{metric.heading}: {metric.text(trial.metrics[name])}"
        if name in trial.intervals:
            low, high = trial.intervals[name]
            line += f" ({metric.text(low)} to {metric.text(high)})"
        lines.append(line)
    difference = run.differences.get(trial.number)
    if difference is not None and not trial.architecture.is_plain:
        noise = " (within noise)" if difference.within_noise else ""
        metric = described(run.scored)
        figures = metric.difference(difference.difference, difference.standard_error)
        points = " points" if metric.format == "percent" else ""
        first = run.main_objective.metric
        of = "" if run.scored == first else f" of {run.scored.replace('_', ' ')}"
        lines.append(f"vs plain: {figures}{points}{of}{noise}")
    broken = trial.violations.items()
    lines += [f"breaks {text} by {excess_text(excess)}" for text, excess in broken]
    lines += [trial.reason] if trial.reason and not trial.violations else []
    bold = lines[0]
    escaped = html.escape("\n".join(lines[1:])).replace("\n", "<br>")
    return f"{bold}<br>{escaped}" if escaped else bold


def _plane(run: "Run", x: Objective, y: Objective, *, line: bool) -> go.Figure:
    figure = go.Figure()
    front = run.front()
    for name, trials in roles(run, front).items():
        placed = [t for t in trials if known(t, x.metric) and known(t, y.metric)]
        if placed:
            figure.add_trace(_markers(run, placed, x, y, name, STYLES[name]))
    if line and front:
        figure.add_trace(_staircase(front, x, y))
    rejected = untrained(run, x.metric, y.metric)
    lowest = [t.metrics[y.metric] for t in run.trials if known(t, y.metric)]
    if rejected and lowest:
        figure.add_trace(_rug(run, rejected, x, min(lowest), max(lowest)))
    limits = bounds(run)
    for objective, draw in ((x, figure.add_vline), (y, figure.add_hline)):
        if objective.metric in limits:
            text = html.escape(f"{objective.metric} {run.facts['constraints'][objective.metric]}")
            draw(
                limits[objective.metric],
                line={"dash": "dash", "color": RED, "width": 1.5},
                annotation={"text": text, "font": {"color": RED}},
            )
    _lay_out(figure, x.described.heading, y.described.heading, height=480)
    for axis, objective in ((figure.update_xaxes, x), (figure.update_yaxes, y)):
        if objective.described.format == "percent":
            axis(tickformat=".1%")
    return figure


def _markers(
    run: "Run",
    trials: Sequence[Trial],
    x: Objective,
    y: Objective,
    name: str,
    style: Mapping[str, Any],
) -> go.Scatter | go.Scattergl:
    faint = style.get("opacity", 1) < 1
    return _kind(run)(
        x=[t.metrics[x.metric] for t in trials],
        y=[t.metrics[y.metric] for t in trials],
        error_x=_bars(run, trials, x, visible=not faint),
        error_y=_bars(run, trials, y, visible=not faint),
        mode="markers",
        marker=dict(style),
        name=name,
        **_texts(run, trials),
    )


def _kind(run: "Run") -> type[go.Scatter] | type[go.Scattergl]:
    """How points are drawn: thousands of them by the graphics card."""
    return go.Scattergl if len(run.trials) > WEBGL_FROM else go.Scatter


def _texts(run: "Run", trials: Sequence[Trial]) -> dict[str, Any]:
    """What is shown when one points at a trial, and which it is."""
    return {
        "hovertext": np.array([hover(run, t) for t in trials], dtype=object),
        "customdata": [t.number for t in trials],
        "hoverinfo": "text",
    }


def _bars(
    run: "Run", trials: Sequence[Trial], objective: Objective, *, visible: bool
) -> dict[str, Any]:
    """95 % error bars."""
    bars = [error_bar(run, trial, objective.metric) for trial in trials] if visible else []
    if not any(down or up for down, up in bars):
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [up for _, up in bars],
        "arrayminus": [down for down, _ in bars],
        "visible": True,
        "thickness": 1,
        "width": 3,
    }


def _staircase(front: Sequence[Trial], x: Objective, y: Objective) -> go.Scatter:
    """The line between what the front dominates and what nothing reached."""
    along, up = step_line(front, x.metric, y.metric)
    return go.Scatter(
        x=along,
        y=up,
        mode="lines",
        # up to the next trial nothing better than this one was found, seen from the better side
        line={"shape": "hv" if x.direction == "min" else "vh", "color": BLUE, "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _rug(
    run: "Run", trials: Sequence[Trial], x: Objective, low: float, high: float
) -> go.Scatter | go.Scattergl:
    """Trials that a constraint kept from training, as ticks below all others."""
    return _kind(run)(
        x=[t.metrics[x.metric] for t in trials],
        y=[below(low, high)] * len(trials),
        mode="markers",
        marker={"symbol": "line-ns-open", "color": GREY, "size": 10, "opacity": 0.6},
        name=NOT_TRAINED,
        **_texts(run, trials),
    )


def _over_trials(run: "Run", objective: Objective) -> go.Figure:
    """One objective by trial number, with the best feasible value so far."""
    figure = go.Figure()
    for name, trials in roles(run, run.front()).items():
        style = STYLES[name]
        placed = [t for t in trials if known(t, objective.metric)]
        if placed:
            figure.add_trace(
                _kind(run)(
                    x=[t.number for t in placed],
                    y=[t.metrics[objective.metric] for t in placed],
                    error_y=_bars(run, placed, objective, visible="opacity" not in style),
                    mode="markers",
                    marker=dict(style),
                    name=name,
                    **_texts(run, placed),
                )
            )
    numbers: list[int] = []
    values: list[float] = []
    for trial in run.candidates:
        if trial.feasible and known(trial, objective.metric):
            value = trial.metrics[objective.metric]
            better = max if objective.direction == "max" else min
            numbers.append(trial.number)
            values.append(better(value, values[-1]) if values else value)
    if values:
        figure.add_trace(
            go.Scatter(
                x=numbers,
                y=values,
                mode="lines",
                line={"shape": "hv", "color": BLUE, "width": 1.5},
                name="best so far",
                hoverinfo="skip",
            )
        )
    _lay_out(figure, "trial", objective.described.heading, height=480)
    if objective.described.format == "percent":
        figure.update_yaxes(tickformat=".1%")
    return figure


def _lay_out(figure: go.Figure, x: str, y: str, *, height: int) -> None:
    """No ground of its own, so that it stands on light and dark; the legend on top."""
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 64, "r": 16, "t": 40, "b": 56},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        hoverlabel={"align": "left"},
        hovermode="closest",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": BLUE},
    )
    grid = {"gridcolor": "rgba(138,138,138,0.25)", "zeroline": False, "showline": True}
    grid |= {"linecolor": GREY, "ticks": "outside", "tickcolor": GREY, "automargin": True}
    figure.update_xaxes(title={"text": html.escape(x)}, **grid)
    figure.update_yaxes(title={"text": html.escape(y)}, **grid)
