import json

from benchmarks import results


def test_the_quick_run_times_every_step_and_writes_what_it_measured(tmp_path, capsys):
    out = tmp_path / "results.json"
    results.main(["--quick", "--out", str(out)])
    written = json.loads(out.read_text())
    assert [row["trials"] for row in written["runs"]] == [5, 20]
    for row in written["runs"]:
        assert list(row["steps"]) == ["append", *results.STEPS]
        assert all(found["seconds"] > 0 for found in row["steps"].values())
        assert row["steps"]["report"]["file_mb"] < 5
        assert row["steps"]["open"]["mb"] > 10
    assert "resume" in capsys.readouterr().out
