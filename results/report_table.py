"""The tables of the report: cells that sort by their value, and the rows of the trials."""

import math
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

from attnas.core import Trial, described, excess_text, in_order

from .rows import recommended

if TYPE_CHECKING:
    from .run import Run


def heads(run: "Run") -> str:
    """The headings of the table of all trials, which sort it."""
    texts = [("trial", True), ("role", False)]
    for name in _metrics(run):
        texts.append((described(name).heading, True))
        if name == run.scored:
            texts.append(("vs plain", True))
    texts += [(decision.name, False) for decision in run.decisions]
    texts += [("epochs", True), ("seeds", True), ("seconds", True), ("reason", False)]
    return "".join(
        f'<th scope="col"{_class("number" if numeric else "")}>'
        f'<button type="button">{escape(text)}</button></th>'
        for text, numeric in texts
    )


def trial_rows(run: "Run") -> list[str]:
    """A row of the table for each candidate, by number."""
    metrics, best = _metrics(run), recommended(run)
    on_front = {trial.number for trial in run.front()}
    baselines = {trial.number: name for name, trial in run.baselines.items()}
    plain = run.plain_architecture.options
    return [
        _trial_row(
            run,
            trial,
            metrics,
            plain,
            _role(trial, best, on_front),
            baselines.get(trial.number, ""),
        )
        for trial in run.candidates
    ]


def _metrics(run: "Run") -> list[str]:
    return in_order({name for trial in run.trials for name in trial.metrics})


def _role(trial: Trial, best: Trial | None, on_front: Iterable[int]) -> str:
    if trial.state != "complete" or not trial.feasible:
        return trial.state if trial.state == "failed" else "infeasible"
    if best is not None and trial.number == best.number:
        return "best"
    return "front" if trial.number in on_front else "dominated"


def _trial_row(
    run: "Run",
    trial: Trial,
    metrics: Iterable[str],
    plain: tuple[str, ...],
    role: str,
    baseline: str,
) -> str:
    label = f"{role}, plain" if trial.architecture.is_plain else role
    if baseline:
        label = f"{label}, baseline {baseline}"
    cells = [
        f'<th scope="row" class="number" data-value="{trial.number}">{trial.number}</th>',
        cell(label, "role"),
    ]
    for name in metrics:
        value = trial.metrics.get(name, math.nan)
        cells.append(number(value, described(name).text(value)))
        if name == run.scored:
            cells.append(_versus_plain(run, trial))
    for option, same in zip(trial.architecture.options, plain, strict=True):
        cells.append(cell(option, "option none" if option == same else "option"))
    cells.append(number(trial.epochs, str(trial.epochs)))
    cells.append(number(len(trial.seeds), str(len(trial.seeds))))
    cells.append(number(trial.seconds, f"{trial.seconds:.1f}"))
    broken = "; ".join(f"{t} by {excess_text(excess)}" for t, excess in trial.violations.items())
    cells.append(cell(broken or trial.reason, "reason"))
    return f'<tr class="{role}">{"".join(cells)}</tr>'


def _versus_plain(run: "Run", trial: Trial) -> str:
    difference = run.differences.get(trial.number)
    if difference is None or trial.architecture.is_plain:
        return number(math.nan, "plain" if trial.architecture.is_plain else "-")
    text = described(run.scored).difference(difference.difference, difference.standard_error)
    if not difference.within_noise:
        return number(difference.difference, text)
    return number(difference.difference, f"{text} (noise)", "noise")


@lru_cache(maxsize=4096)  # options come again and again
def cell(text: str, kind: str) -> str:
    return f"<td{_class(kind)}>{escape(text)}</td>"


def number(value: float, text: str, kind: str = "") -> str:
    """A cell that sorts by the value; one that is not known sorts last."""
    known = repr(float(value)) if math.isfinite(value) else ""
    kinds = f"number {kind}".strip()
    return f'<td class="{kinds}" data-value="{known}">{escape(text)}</td>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
