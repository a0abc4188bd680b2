import base64
import gzip
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from attnas.core import AttnasError, ItemScores
from attnas.results import (
    Confirmation,
    Confirmed,
    ConfirmedScore,
    report,
    report_page,
    write_confirmation,
)
from attnas.results.headline import headline
from attnas.search_space import Architecture

VOID = {"meta", "link", "br", "img", "input", "hr"}


def unpacked(text: str) -> dict:
    """What a page holds compressed."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


class Page(HTMLParser):
    """The elements of a page, the text outside scripts and styles, and the figures."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.content: dict = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles.append(data)
        elif self.open and self.open[-1] == "script":
            if self.elements[-1][1].get("id") == "content":
                self.content = unpacked(data)
        else:
            self.words.append(data)

    @property
    def figures(self) -> dict:
        return self.content["figures"]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def confirmation(run, right: int) -> Confirmation:
    def entry(trial, options, count):
        scores = ItemScores.of("accuracy", np.arange(1000) < count)
        return Confirmed(trial, options, tuple(ConfirmedScore(seed, scores) for seed in (1, 2)))

    winner = run.best()
    plain = entry(0, run.plain_architecture.by_name, 700)
    other = entry(winner.number, winner.architecture.by_name, right)
    return Confirmation(plain, (other,), winner.number, 18)


def test_the_page_loads_nothing_from_anywhere(filled):
    found = Page(report_page(filled))
    assert not found.open
    assert not found.of("link")
    loading = ("src", "href", "data", "action", "poster", "srcset", "xlink:href")
    assert not [e for e in found.elements for name in loading if name in e[1]]
    assert not re.search(r"url\(|@import", " ".join(found.styles))
    [policy] = [m["content"] for m in found.of("meta") if m.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'unsafe-inline'; style-src")
    assert "connect-src" not in policy
    assert "http" not in policy


def test_the_page_says_what_was_found_with_its_uncertainty(filled):
    assert headline(filled) == (
        f"Best within latency_ms <= 1.15x: trial 1 ({filled.trials[1].architecture}) with "
        "accuracy 60.00 %, +10.00 ± 7.07 points to the plain backbone on 20 items, within "
        "noise, at latency 2.200 ms (1.10 times plain)."
    )
    text = Page(report_page(filled)).text
    assert headline(filled) in text
    assert "Not confirmed yet: the best of many trials is partly luck." in text
    assert "attnas confirm small" in text


def test_a_confirmation_in_the_folder_gives_its_verdict(filled, tmp_path):
    found = confirmation(filled, 780)
    write_confirmation(found, filled.folder / "confirm.json")
    path = report(filled, tmp_path / "report.html")
    read = Page(path.read_text(encoding="utf-8"))
    assert f"With new seeds: {found.verdict()}" in read.text
    assert "Not confirmed yet" not in read.text
    assert "78.00 %" in read.text
    assert {"class": "status confirmed"} in read.of("p")
    assert f"trial {found.winner}, best" in read.text
    placed = replace(found, winner=None, baselines={"se<16>": found.winner})
    page = Page(report_page(filled, placed))
    assert f"trial {found.winner}, baseline se<16>" in page.text
    noise = Page(report_page(filled, confirmation(filled, 701)))
    assert {"class": "status open"} in noise.of("p")


def test_a_confirmation_of_an_earlier_winner_is_called_so(filled, trial):
    found = confirmation(filled, 780)
    filled.append(trial(5, metrics={"accuracy": 0.9, "latency_ms": 2.0, "params": 1}))
    assert "The search recommends another trial by now" in Page(report_page(filled, found)).text


def test_all_trials_are_in_the_table_with_their_reasons(filled):
    read = Page(report_page(filled))
    roles = [a["class"] for a in read.of("tr") if "class" in a]
    assert roles == ["front", "best", "infeasible", "failed", "dominated"]
    assert "the loss is NaN" in read.text
    assert "latency_ms <= 1.15x by 12.5%" in read.text
    assert "+10.00 ± 7.07 (noise)" in read.text


def test_what_users_wrote_is_escaped_everywhere(run, trial):
    evil = "</script><img src=http://x.example/ onerror=alert(1)>"
    run.append(trial(0))
    run.append(trial(1, state="failed", reason=evil))
    run.append(trial(2, state="infeasible", violations={evil: 0.1}, metrics={"latency_ms": 9.0}))
    run.name, run.config, run.environment = evil, {"name": evil}, {evil: evil}
    run.facts = run.facts | {"data": {evil: [evil]}}
    read = Page(report_page(run))
    assert not read.open
    assert not read.of("img")
    assert read.text.count("onerror=alert(1)") >= 6
    assert len(read.of("script")) == 3


def test_what_the_page_holds_cannot_end_the_element_that_it_stands_in(filled):
    read = Page(report_page(filled))
    [*_, content] = re.findall(r'id="content">(.*?)</script>', report_page(filled), re.DOTALL)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", content)
    texts = read.content["texts"]
    assert "<br>layer1:" in texts["0"]
    numbers = {n for trace in read.figures["front-1"]["data"] for n in trace.get("customdata", ())}
    assert {str(number) for number in numbers} <= texts.keys()
    assert not any("hovertext" in trace for trace in read.figures["front-1"]["data"])


def test_a_page_of_thousands_of_trials_has_them_all_in_few_bytes(filled, monkeypatch):
    one = filled.trials[4]
    many = [replace(one, number=number) for number in range(5, 3000)]
    monkeypatch.setattr(filled, "_trials", (*filled.trials, *many))
    text = report_page(filled)
    read = Page(text)
    assert len(text) < 3e6  # of which plotly itself is 2e6
    assert len([a for a in read.of("tr") if "class" in a]) == 200
    rows, texts = read.content["rows"], read.content["texts"]
    assert list(rows) == list(texts) == [str(number) for number in range(3000)]
    assert all(f'data-value="{n}">{n}</th>' in row for n, row in rows.items())
    figure = read.figures["front-1"]
    assert {trace["type"] for trace in figure["data"] if "customdata" in trace} == {"scattergl"}
    drawn = [n for trace in figure["data"] for n in trace.get("customdata", ())]
    assert sorted(drawn) == [0, 1, 2, *range(4, 3000)]  # 3 failed before it was measured


def test_dollars_in_names_are_left_alone(run):
    run.name = "$title $$ ${name}"
    assert "Search $title $$ ${name}" in Page(report_page(run)).text


def test_a_databases_password_is_not_in_the_page(run):
    run.config = run.config | {"storage": "postgresql://user:secret@host/name"}
    text = report_page(run)
    assert "secret" not in text
    assert "postgresql://user:***@host/name" in text


def test_tables_have_headers_and_figures_labels(filled):
    read = Page(report_page(filled, confirmation(filled, 780)))
    assert all(a.get("scope") in ("col", "row") for a in read.of("th"))
    figures = [a for a in read.of("div") if a.get("class") == "figure"]
    assert {a["id"] for a in figures} == set(read.figures) == {"front-1", "hypervolume"}
    assert all(a["aria-label"] for a in figures)
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a} <= set(ids)
    assert read.of("html") == [{"lang": "en"}]
    regions = [a for a in read.of("div") if a.get("role") == "region"]
    assert all(a["tabindex"] == "0" for a in regions)


def test_every_row_of_the_table_of_trials_has_a_cell_a_heading(filled):
    text = report_page(filled)
    [table] = re.findall(r'<table class="sortable">.*?</table>', text, re.DOTALL)
    assert table.count("<tr ") == 1 + len(filled.trials)  # with ids or classes
    head, body = table.split("<tbody>")
    counts = {len(re.findall("<t[dh][ >]", row)) for row in body.split("</tr>")[:-1]}
    assert counts == {len(re.findall("<th[ >]", head))}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], "No trial has finished yet."),
        (
            [{"state": "failed", "reason": "diverged: NaN", "metrics": {}}],
            "No trial has succeeded: 1 of 1 failed. The last reason: diverged: NaN.",
        ),
        (
            [
                {
                    "state": "infeasible",
                    "metrics": {"latency_ms": 9.0},
                    "violations": {"latency_ms <= 1.15x": 3.0},
                }
            ],
            "Nothing is feasible: 'latency_ms <= 1.15x' rejected 1 of 1 trials.",
        ),
    ],
)
def test_a_run_with_nothing_to_show_says_so(run, trial, changes, expected):
    for number, fields in enumerate(changes):
        run.append(trial(number, **fields))
    text = Page(report_page(run)).text
    assert expected in text
    assert "There is nothing to confirm yet." in text


def test_one_trial_without_the_plain_backbone_is_reported(run, trial, values):
    texts = ["none", "eca@post", "none"]
    architecture = Architecture.read(values["backbone"], values["decisions"], texts)
    metrics = {"accuracy": 0.7, "latency_ms": 2.2, "params": 1}
    run.append(trial(0, architecture=architecture, metrics=metrics, intervals={}, scores=None))
    assert headline(run) == (
        "Best within latency_ms <= 1.15x: trial 0 (layer1=none layer2=eca@post layer3=none) "
        "with accuracy 70.00 % at latency 2.200 ms (1.10 times plain)."
    )
    assert headline(run) in Page(report_page(run)).text


def test_the_plain_backbone_as_the_best_is_called_so(run, trial, values):
    metrics = {"accuracy": 0.7, "latency_ms": 2.0, "params": 1}
    plain = Architecture.plain(values["backbone"])
    run.append(trial(0, architecture=plain, metrics=metrics))
    assert headline(run) == (
        "Nothing found so far beats the plain backbone within latency_ms <= 1.15x: "
        "accuracy 70.00 % at latency 2.000 ms (1.00 times plain)."
    )


def test_a_report_that_cannot_be_written_says_where(run, tmp_path):
    with pytest.raises(AttnasError, match="cannot be written"):
        report(run, tmp_path / "absent" / "report.html")
