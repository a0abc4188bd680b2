"""How a run and what it gives show themselves in Python."""

from attnas.results import pareto_table
from attnas.results.display import as_text


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
