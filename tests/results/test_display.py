"""How a run and what it gives show themselves in Python."""

from attnas.results import pareto_table
from attnas.results.display import as_text
from attnas.results.headline import headline


def test_a_trial_shows_its_decisions_and_figures(filled):
    trial = filled.best()
    rows = dict(line.split(maxsplit=1) for line in repr(trial).splitlines()[1:4])
    assert rows == trial.architecture.by_name
    assert repr(trial).splitlines()[0].split() == [
        "trial",
        str(trial.number),
        "complete,",
        str(trial.epochs),
        "epochs",
    ]
    assert f"accuracy      {100 * trial.metrics['accuracy']:.2f} %" in repr(trial)


def test_a_trial_in_a_notebook_is_a_table_of_the_same(filled, trial):
    html = filled.best()._repr_html_()
    assert html.count("<tr>") == len(repr(filled.best()).splitlines())
    failed = trial(0, state="failed", reason="a <b> & c", metrics={})
    assert "<td>a &lt;b&gt; &amp; c</td>" in failed._repr_html_()


def test_a_front_shows_itself_as_the_command_does_and_is_a_list(filled):
    front = filled.front()
    assert repr(front) == as_text(pareto_table(filled, verdicts=False))
    assert front == list(front)
    assert [t.number for t in front] == [t.number for t in sorted(front, key=lambda t: t.number)]
    assert front._repr_html_().startswith("<pre")


def test_a_run_shows_its_front_and_its_headline(filled):
    shown = repr(filled)
    assert shown.startswith(f"Run {filled.name}: {len(filled.trials)} trials in ")
    assert repr(filled.front()) in shown
    assert "not confirmed" not in shown.lower()
    assert filled._repr_html_().count("<pre") == 1


def test_a_run_without_trials_shows_that(run):
    assert "No trial has finished yet." in repr(run)
    assert repr(run.front()) == "No trial has finished yet."
    assert run.summary() == "No trial has finished yet."


def test_a_summary_says_whether_the_finding_was_confirmed(filled):
    assert filled.summary().endswith("Not confirmed with new seeds yet.")


def test_a_run_exports_its_best_architecture(filled, tmp_path):
    content = filled.export(tmp_path / "best.yaml")
    assert content["architecture"] == filled.best().architecture.by_name
    assert (tmp_path / "best.yaml").is_file()


def test_the_headline_says_how_the_best_compares_with_the_best_baseline(filled):
    best, other = filled.best(), filled.trials[0]
    filled.facts["baselines"] = {"none": other.architecture.by_name}
    ratio = best.metrics["latency_ms"] / other.metrics["latency_ms"]
    assert headline(filled).endswith(
        " Against none, the best baseline: +10.00 ± 7.07 points on 20 items, within noise, "
        f"{ratio:.2f} times its latency."
    )
    filled.facts["baselines"] = {"mine": best.architecture.by_name}
    assert headline(filled).endswith(" It is the baseline mine.")
    assert filled.baselines == {"mine": best}


def test_a_run_that_guesses_says_so_first(run, trial):
    run.facts["box"] = {"accuracy": (0.1, 1.0)}
    run.append(
        trial(
            0, metrics={"accuracy": 0.12, "latency_ms": 2.0}, intervals={"accuracy": (0.08, 0.16)}
        )
    )
    said = "Nothing was learned: the best of 1 trials has accuracy 12.00 %, and guessing 10.00 %."
    assert headline(run).startswith(said)
    assert repr(run.front()).startswith(said)
    run.append(
        trial(1, metrics={"accuracy": 0.3, "latency_ms": 2.0}, intervals={"accuracy": (0.25, 0.35)})
    )
    assert "Nothing was learned" not in repr(run)
