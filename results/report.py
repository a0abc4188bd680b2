"""The report of a run: one HTML page that holds all that it shows, for any browser, offline."""

import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from . import folder
from .confirmation import CONFIRMATION_FILE, Confirmation, read_confirmation
from .metrics import METRICS
from .rows import flatten, heading, metric_rows, named, nothing_feasible, points, recommended, shown
from .statistics import difference_to_plain
from .storage import shown as shown_url
from .trial import Trial

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .run import Run

TEMPLATE = Path(__file__).with_name("report.html")
FACTS = {
    "data": "Data",
    "device": "Device",
    "recipe": "Training",
    "strategy": "Strategy",
    "backbone": "Backbone",
}


def report(run: "Run", path: str | Path) -> Path:
    """Writes the page, which loads nothing from anywhere; the path it was written to.

    It says what was found with its uncertainty (the verdict of `confirm.json` in the run's
    folder if there is one), and shows front, hypervolume, all trials and what the run was.

    Raises:
        AttnasError: the file cannot be written, or `confirm.json` is damaged.
    """
    path = Path(path)
    folder.write(path, page(run, read_confirmation(run.folder / CONFIRMATION_FILE)))
    return path


def page(run: "Run", confirmation: Confirmation | None = None) -> str:
    """The report as HTML text."""
    from plotly.offline import get_plotlyjs

    from .plots import front_figures, hypervolume_figure

    fronts = {f"front-{i}": figure for i, figure in enumerate(front_figures(run), 1)}
    volumes = {"hypervolume": hypervolume_figure(run)}
    filled = {
        "title": escape(f"{run.name}: attnas"),
        "name": escape(f"Search {run.name}"),
        "headline": escape(headline(run)),
        "status": _status(run, confirmation),
        "status_class": "confirmed"
        if confirmation is not None and confirmation.gain_is_real
        else "open",
        "counts": _counts(run),
        "front_note": escape(_front_note(run)),
        "front_figures": "\n".join(_place(name, "The trials by objective") for name in fronts),
        "hypervolume_figure": _place("hypervolume", "The front's hypervolume after each trial"),
        "confirmation": "" if confirmation is None else _confirmation(confirmation),
        "noise_note": escape(_NOISE_NOTE) if any(t.correct for t in run.trials) else "",
        "trials": _trials(run),
        "facts": _facts(run),
        "config": escape(_config(run)),
        "footer": escape(f"Made by attnas from {len(run.trials)} trials of {run.name}."),
        "figures": _embedded({**fronts, **volumes}),
        "plotly": get_plotlyjs(),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


_NOISE_NOTE = (
    "The difference to the plain backbone is in points of accuracy with its paired standard "
    "error by the validation images, after one training each; less than 1.96 standard errors "
    "is within noise."
)


def headline(run: "Run") -> str:
    """What was found, in one sentence with its uncertainty."""
    best = recommended(run)
    if best is None:
        return nothing_feasible(run)
    constraints = ", ".join(f"{name} {bound}" for name, bound in run.facts["constraints"].items())
    within = f" within {constraints}" if constraints else ""
    known = {row["metric"]: row for row in metric_rows(run, best)}
    first = "accuracy" if "accuracy" in known else run.objectives[0].metric
    value = named(first, best.metrics[first])
    others = [
        named(o.metric, best.metrics[o.metric])
        + (f" ({known[o.metric]['ratio']:.2f} times plain)" if known[o.metric]["ratio"] else "")
        for o in run.objectives
        if o.metric != first
    ]
    at = f" at {', '.join(others)}" if others else ""
    if best.architecture.is_plain:
        return f"No attention found so far beats the plain backbone{within}: {value}{at}."
    gain = _gain(run, best)
    return f"Best{within}: trial {best.number} ({best.architecture}) with {value}{gain}{at}."


def _gain(run: "Run", best: Trial) -> str:
    difference = difference_to_plain(best, run.trials)
    if difference is None:
        return ""
    figures = points(difference.difference, difference.standard_error)
    noise = ", within noise" if difference.within_noise else ""
    return f", {figures} points to the plain backbone on {difference.images:,} images{noise},"


def _status(run: "Run", confirmation: Confirmation | None) -> str:
    """Whether the finding was confirmed, as HTML."""
    command = f"<code>attnas confirm {escape(run.name)}</code>"
    best = recommended(run)
    if best is None:
        return "There is nothing to confirm yet."
    if confirmation is None:
        return (
            "Not confirmed yet: the best of many trials is partly luck. "
            f"{command} trains the front again with new seeds."
        )
    verdict = f"With new seeds: {escape(confirmation.verdict())}"
    if confirmation.winner == (None if best.architecture.is_plain else best.number):
        return verdict
    return f"{verdict} The search recommends another trial by now: {command} looks at that."


def _front_note(run: "Run") -> str:
    if len(run.objectives) == 1:
        return "Each trial in its order; the line is the best feasible value so far."
    bars = "Bars are 95 % intervals"
    if any(objective.metric == "accuracy" for objective in run.objectives):
        bars += "; those of accuracy are of the paired difference to the plain backbone"
    return f"{bars}. Dashed lines are constraints. Point at a trial to see all of it."


def _counts(run: "Run") -> str:
    states = [trial.state for trial in run.trials]
    counts = {
        "trials": len(states),
        "complete": states.count("complete"),
        "feasible": sum(trial.feasible for trial in run.trials),
        "on the front": len(run.front()),
        "failed": states.count("failed"),
        "hypervolume": f"{run.hypervolume():.4f}",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in counts.items())


def _trials(run: "Run") -> str:
    """The table of all trials."""
    stages = run.backbone.stage_names
    taken = {name for trial in run.trials for name in trial.metrics}
    metrics = [name for name in METRICS if name in taken] + sorted(taken - METRICS.keys())
    heads = [("trial", True), ("role", False), *((heading(m), True) for m in metrics)]
    if "accuracy" in metrics:
        heads.insert(3, ("vs plain", True))
    heads += [(stage, False) for stage in stages]
    heads += [("epochs", True), ("seconds", True), ("reason", False)]
    on_front = {trial.number for trial in run.front()}
    best = recommended(run)
    rows = "\n".join(
        _trial_row(run, trial, metrics, _role(trial, best, on_front)) for trial in run.trials
    )
    head = "".join(
        f'<th scope="col"{_class("number" if numeric else "")}>'
        f'<button type="button">{escape(text)}</button></th>'
        for text, numeric in heads
    )
    return (
        f'<table class="sortable"><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'
    )


def _role(trial: Trial, best: Trial | None, on_front: Iterable[int]) -> str:
    if trial.state != "complete" or not trial.feasible:
        return trial.state if trial.state == "failed" else "infeasible"
    if best is not None and trial.number == best.number:
        return "best"
    return "front" if trial.number in on_front else "dominated"


def _trial_row(run: "Run", trial: Trial, metrics: Iterable[str], role: str) -> str:
    label = f"{role}, plain" if trial.architecture.is_plain else role
    cells = [
        f'<th scope="row" class="number" data-value="{trial.number}">{trial.number}</th>',
        _cell(label, "role"),
    ]
    for name in metrics:
        value = trial.metrics.get(name, math.nan)
        cells.append(_number(value, shown(name, value)))
        if name == "accuracy":
            cells.append(_versus_plain(run, trial))
    for choice in map(str, trial.architecture.by_stage.values()):
        cells.append(_cell(choice, "choice none" if choice == "none" else "choice"))
    cells.append(_number(trial.epochs, str(trial.epochs)))
    cells.append(_number(trial.seconds, f"{trial.seconds:.1f}"))
    broken = "; ".join(f"{text} by {excess:.1%}" for text, excess in trial.violations.items())
    cells.append(_cell(broken or trial.reason, "reason"))
    return f'<tr class="{role}">{"".join(cells)}</tr>'


def _versus_plain(run: "Run", trial: Trial) -> str:
    difference = difference_to_plain(trial, run.trials)
    if difference is None or trial.architecture.is_plain:
        return _number(math.nan, "plain" if trial.architecture.is_plain else "-")
    text = points(difference.difference, difference.standard_error)
    if not difference.within_noise:
        return _number(difference.difference, text)
    return _number(difference.difference, f"{text} (noise)", "noise")


def _confirmation(confirmation: Confirmation) -> str:
    """The section on the new seeds."""
    rows = [
        '<tr><th scope="row">plain backbone</th>'
        f"{_number(confirmation.plain.accuracy, shown('accuracy', confirmation.plain.accuracy))}"
        "<td></td><td></td><td></td></tr>"
    ]
    for entry, difference in zip(confirmation.front, confirmation.differences, strict=True):
        low, high = difference.interval
        mark = ", best" if entry.trial == confirmation.winner else ""
        rows.append(
            f'<tr><th scope="row">trial {entry.trial}{mark}</th>'
            + _number(entry.accuracy, shown("accuracy", entry.accuracy))
            + _number(difference.difference, f"{100 * difference.difference:+.2f}")
            + _number(low, f"{100 * low:+.2f} to {100 * high:+.2f}")
            + _cell(str(entry), "choice")
            + "</tr>"
        )
    heads = ("architecture", "test accuracy", "vs plain, points", "95 % interval", "choices")
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    seeds = ", ".join(map(str, confirmation.seeds))
    return (
        '<section aria-labelledby="confirmed"><h2 id="confirmed">Confirmation</h2>'
        f'<p class="note">Trained again for {confirmation.epochs} epochs with the seeds {seeds}, '
        f"scored on {confirmation.images:,} test images. The intervals are over seeds and images."
        '</p><div class="scroll" role="region" aria-labelledby="confirmed" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _facts(run: "Run") -> str:
    """A table for each of the facts, and one of the environment."""
    parts = []
    for key, title in FACTS.items():
        content = run.facts.get(key)
        if content:
            parts.append(_fact_table(title, content))
    general = {
        "objectives": {o.metric: o.direction for o in run.objectives},
        "constraints": run.facts["constraints"],
        "search space": run.facts.get("options", {}),
        "seed": run.facts.get("seed"),
        "near-identity start": run.facts.get("identity_start"),
    }
    parts.insert(0, _fact_table("Question", general))
    if run.environment:
        parts.append(_fact_table("Environment", run.environment))
    return "\n".join(parts)


def _fact_table(title: str, content: Mapping[str, Any]) -> str:
    flat = {key: value for key, value in flatten(content).items() if value not in (None, {}, [])}
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th><td>{escape(_text(value))}</td></tr>'
        for key, value in flat.items()
    )
    name = escape(title)
    return (
        f'<section aria-label="{name}"><h3>{name}</h3>'
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div></section>'
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return str(value)


def _config(run: "Run") -> str:
    """The config as YAML, a database's password left out."""
    config = dict(run.config)
    if config.get("storage"):
        config["storage"] = shown_url(str(config["storage"]))
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)


def _place(name: str, label: str) -> str:
    return f'<div class="figure" id="{name}" role="figure" aria-label="{escape(label)}"></div>'


def _embedded(figures: Mapping[str, "go.Figure"]) -> str:
    """The figures as JSON that cannot end the script element that it stands in."""
    content = {name: json.loads(figure.to_json()) for name, figure in figures.items()}
    return json.dumps(content, allow_nan=False).replace("<", "\\u003c")


def _cell(text: str, kind: str) -> str:
    return f"<td{_class(kind)}>{escape(text)}</td>"


def _number(value: float, text: str, kind: str = "") -> str:
    """A cell that sorts by the value; one that is not known sorts last."""
    known = repr(float(value)) if math.isfinite(value) else ""
    kinds = f"number {kind}".strip()
    return f'<td class="{kinds}" data-value="{known}">{escape(text)}</td>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
