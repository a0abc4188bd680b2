import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_quick_run_prints_the_table_and_writes_what_it_measured(tmp_path):
    out = tmp_path / "scale.json"
    command = ["-m", "benchmarks.scale", "--quick", "--strategies", "local", "random"]
    ran = subprocess.run(
        [sys.executable, *command, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "proposal ms (95 %)" in ran.stdout
    written = json.loads(out.read_text())
    assert list(written["simulated"]) == ["local", "random"]
    for by_workers in written["simulated"].values():
        assert list(by_workers) == ["1", "4"]
        assert by_workers["1"]["ideal"] > 0.999999  # one worker never waits for another
        for figures in by_workers.values():
            assert figures["trials"] == 30
            assert 0.5 < figures["efficiency"] <= figures["ideal"] * 1.05
            assert figures["ideal"] <= 1.0000001
