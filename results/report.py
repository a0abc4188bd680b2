"""The report of a run: one HTML page that holds all that it shows, for any browser, offline."""

import json
import math
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from attnas.core import Metric, Trial, described, epochs_text, excess_text, in_order, write

from .confirmation import CONFIRMATION_FILE, Confirmation, read_confirmation
from .database import shown as shown_url
from .headline import headline
from .rows import flatten, recommended

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .run import Run

TEMPLATE = Path(__file__).with_name("report.html")
FACTS = {
    "data": "Data",
    "device": "Device",
    "task": "Task",
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
    write(path, report_page(run, read_confirmation(run.folder / CONFIRMATION_FILE)))
    return path


def report_page(run: "Run", confirmation: Confirmation | None = None) -> str:
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
        "hypervolume_note": escape(_hypervolume_note(run)),
        "hypervolume_figure": _place("hypervolume", "The front's hypervolume after each trial"),
        "confirmation": "" if confirmation is None else _confirmation(confirmation),
        "noise_note": escape(_noise_note(run)) if any(t.scores for t in run.trials) else "",
        "trials": _trials(run),
        "facts": _facts(run),
        "config": escape(_config(run)),
        "footer": escape(f"Made by attnas from {len(run.trials)} trials of {run.name}."),
        "figures": _embedded({**fronts, **volumes}),
        "plotly": get_plotlyjs(),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _noise_note(run: "Run") -> str:
    metric = described(run.scored)
    name = metric.name.replace("_", " ")
    unit = f"in points of {name}" if metric.format == "percent" else f"of {name}, given"
    by_seed = any(d.degrees is not None for d in run.differences.values())
    by = (
        "seeds and validation items" if by_seed else "the validation items, after one training each"
    )
    return (
        f"The difference to the plain backbone is {unit} with its paired standard error by "
        f"{by}; noise is what is within it at the 5 % level, corrected for the number of trials."
    )


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
    if any(objective.metric == run.scored for objective in run.objectives):
        name = run.scored.replace("_", " ")
        bars += f"; those of {name} are of the paired difference to the plain backbone"
    return f"{bars}. Dashed lines are constraints. Point at a trial to see all of it."


def _hypervolume_note(run: "Run") -> str:
    box = "guessing at twice the plain backbone's cost and perfection at no cost"
    trained = [o.metric for o in run.objectives if not o.described.cheap]
    if unknown := [name for name in trained if name not in run.facts.get("box", {})]:
        names = " and ".join(name.replace("_", " ") for name in unknown)
        box += f" (of {names}: between the worst and the best trial)"
    return (
        f"The share of the box between {box} that the front covers. A curve that still climbs "
        "says that more trials would pay."
    )


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
    metrics = in_order(name for trial in run.trials for name in trial.metrics)
    heads = [("trial", True), ("role", False)]
    for name in metrics:
        heads.append((described(name).heading, True))
        if name == run.scored:
            heads.append(("vs plain", True))
    heads += [(decision.name, False) for decision in run.decisions]
    heads += [("epochs", True), ("seeds", True), ("seconds", True), ("reason", False)]
    on_front = {trial.number for trial in run.front()}
    best = recommended(run)
    baselines = {trial.number: name for name, trial in run.baselines.items()}
    rows = "\n".join(
        _trial_row(
            run, trial, metrics, _role(trial, best, on_front), baselines.get(trial.number, "")
        )
        for trial in run.candidates
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


def _trial_row(run: "Run", trial: Trial, metrics: Iterable[str], role: str, baseline: str) -> str:
    label = f"{role}, plain" if trial.architecture.is_plain else role
    if baseline:
        label = f"{label}, baseline {baseline}"
    cells = [
        f'<th scope="row" class="number" data-value="{trial.number}">{trial.number}</th>',
        _cell(label, "role"),
    ]
    for name in metrics:
        value = trial.metrics.get(name, math.nan)
        cells.append(_number(value, described(name).text(value)))
        if name == run.scored:
            cells.append(_versus_plain(run, trial))
    pairs = zip(trial.architecture.options, run.plain_architecture.options, strict=True)
    for option, plain in pairs:
        cells.append(_cell(option, "option none" if option == plain else "option"))
    cells.append(_number(trial.epochs, str(trial.epochs)))
    cells.append(_number(len(trial.seeds), str(len(trial.seeds))))
    cells.append(_number(trial.seconds, f"{trial.seconds:.1f}"))
    broken = "; ".join(f"{t} by {excess_text(excess)}" for t, excess in trial.violations.items())
    cells.append(_cell(broken or trial.reason, "reason"))
    return f'<tr class="{role}">{"".join(cells)}</tr>'


def _versus_plain(run: "Run", trial: Trial) -> str:
    difference = run.differences.get(trial.number)
    if difference is None or trial.architecture.is_plain:
        return _number(math.nan, "plain" if trial.architecture.is_plain else "-")
    text = described(run.scored).difference(difference.difference, difference.standard_error)
    if not difference.within_noise:
        return _number(difference.difference, text)
    return _number(difference.difference, f"{text} (noise)", "noise")


def _confirmation(confirmation: Confirmation) -> str:
    """The section on the new seeds."""
    metric = confirmation.metric
    plain = confirmation.plain.value
    rows = [
        f'<tr><th scope="row">plain backbone</th>{_number(plain, metric.text(plain))}'
        "<td></td><td></td><td></td></tr>"
    ]
    for entry, difference in zip(confirmation.front, confirmation.differences, strict=True):
        mark = ", best" if entry.trial == confirmation.winner else ""
        low, high = difference.interval
        rows.append(
            f'<tr><th scope="row">trial {entry.trial}{mark}</th>'
            + _number(entry.value, metric.text(entry.value))
            + _number(difference.difference, metric.difference(difference.difference))
            + _number(low, f"{metric.difference(low)} to {metric.difference(high)}")
            + _cell(str(entry), "option")
            + "</tr>"
        )
    head = "".join(f'<th scope="col">{text}</th>' for text in _confirmation_heads(metric))
    seeds = ", ".join(map(str, confirmation.seeds))
    return (
        '<section aria-labelledby="confirmed"><h2 id="confirmed">Confirmation</h2>'
        f'<p class="note">Trained again for {epochs_text(confirmation.epochs)} with the seeds '
        f"{seeds}, scored on {confirmation.items:,} test items. The intervals are over seeds and "
        "items."
        '</p><div class="scroll" role="region" aria-labelledby="confirmed" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _confirmation_heads(metric: Metric) -> tuple[str, ...]:
    points = ", points" if metric.format == "percent" else ""
    test = escape(f"test {metric.heading}")
    return "trial", test, f"vs plain{points}", "95 % interval", "architecture"


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
