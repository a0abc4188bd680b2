"""The report of a run: one HTML page that holds all that it shows, for any browser, offline."""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import yaml

from attnas.core import Metric, described, epochs_text, write

from .confirmation import CONFIRMATION_FILE, Confirmation, read_confirmation
from .database import shown as shown_url
from .headline import headline
from .report_table import cell, heads, number, trial_rows
from .rows import flatten, recommended

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .run import Run

ROWS_A_PAGE = 200
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


@dataclass(frozen=True)
class ReportContent:
    """What the page shows, in parts that change one by one while a search goes on.

    `parts` are HTML by the name of their place, `rows` that of the table's rows, `texts` what is
    shown of each trial in the figures, and `figures` plotly's JSON, without those texts.
    """

    parts: Mapping[str, str]
    rows: Sequence[str]
    texts: Sequence[str]
    figures: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for JSON, as the page reads them: rows by their place, texts by trial."""
        rows, texts = dict(enumerate(self.rows)), dict(enumerate(self.texts))
        return {"parts": {}, "rows": rows, "texts": texts, "figures": self.figures}


def report_content(run: "Run", confirmation: Confirmation | None = None) -> ReportContent:
    """All that the report says of a run."""
    from .plots import figures_by_name, hover

    figures = figures_by_name(run)
    confirmed = confirmation is not None and confirmation.gain_is_real
    status = f'<p class="status {"confirmed" if confirmed else "open"}">'
    places = [_place(name, label) for name, (label, _) in figures.items()]
    parts = {
        "headline": escape(headline(run)),
        "status": f"{status}{_status(run, confirmation)}</p>",
        "counts": _counts(run),
        "front-note": escape(_front_note(run)),
        "front-figures": "\n".join(places[:-1]),
        "hypervolume-note": escape(_hypervolume_note(run)),
        "hypervolume-figure": places[-1],
        "confirmation": "" if confirmation is None else _confirmation(confirmation),
        "noise-note": escape(_noise_note(run)) if any(t.scores for t in run.trials) else "",
        "heads": heads(run),
        "facts": _facts(run),
        "config": escape(_config(run)),
        "footer": escape(f"Made by attnas from {len(run.trials)} trials of {run.name}."),
    }
    drawn = {name: _without_texts(figure) for name, (_, figure) in figures.items()}
    shown = {t.number: hover(run, c) for c in run.candidates for t in c.replicates or (c,)}
    texts = [shown[trial.number] for trial in run.trials]
    return ReportContent(parts, trial_rows(run), texts, drawn)


def report_page(run: "Run", confirmation: Confirmation | None = None) -> str:
    """The report as HTML text, which loads nothing."""
    from plotly.offline import get_plotlyjs

    content = report_content(run, confirmation)
    held = {"plotly": get_plotlyjs(), "content": json.dumps(content.to_dict(), allow_nan=False)}
    return page_of(run.name, content, {name: _packed(text) for name, text in held.items()})


def page_of(name: str, content: ReportContent, held: Mapping[str, str], source: str = "") -> str:
    """The page of a run's name with its first rows; it holds plotly and all of the content, packed
    as in `_packed`, or fetches both from `source`."""
    filled = {
        **{key.replace("-", "_"): html for key, html in content.parts.items()},
        "title": escape(f"{name}: attnas"),
        "name": escape(f"Search {name}"),
        "policy": "script-src 'unsafe-inline'" + ("; connect-src 'self'" if source else ""),
        "source": escape(source),
        "rows": "\n".join(content.rows[:ROWS_A_PAGE]),
        "rows_a_page": str(ROWS_A_PAGE),
        "held": "\n".join(
            f'<script type="application/gzip" id="{key}">{text}</script>'
            for key, text in held.items()
        ),
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(filled)


def _packed(text: str) -> str:
    """A text compressed, in characters that cannot end the element that it stands in."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode("ascii")


def _without_texts(figure: "go.Figure") -> dict[str, Any]:
    """The figure's JSON; what is shown of a trial is found by its number, in `customdata`."""
    content: dict[str, Any] = json.loads(figure.to_json())
    for trace in content["data"]:
        if "customdata" in trace:
            trace.pop("hovertext", None)
    return content


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


def _confirmation(confirmation: Confirmation) -> str:
    """The section on the new seeds."""
    metric = confirmation.metric
    plain = confirmation.plain.value
    rows = [
        f'<tr><th scope="row">plain backbone</th>{number(plain, metric.text(plain))}'
        "<td></td><td></td><td></td></tr>"
    ]
    names = {trial: name for name, trial in confirmation.baselines.items()}
    for entry, difference in zip(confirmation.front, confirmation.differences, strict=True):
        mark = ", best" if entry.trial == confirmation.winner else ""
        if entry.trial in names:
            mark += f", baseline {escape(names[entry.trial])}"
        low, high = difference.interval
        rows.append(
            f'<tr><th scope="row">trial {entry.trial}{mark}</th>'
            + number(entry.value, metric.text(entry.value))
            + number(difference.difference, metric.difference(difference.difference))
            + number(low, f"{metric.difference(low)} to {metric.difference(high)}")
            + cell(str(entry), "option")
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
