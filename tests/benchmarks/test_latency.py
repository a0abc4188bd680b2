import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_quick_run_prints_the_table_and_writes_what_it_measured(tmp_path):
    out = tmp_path / "latency.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.latency", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "pairs with a reference" in ran.stdout
    written = json.loads(out.read_text())
    assert written["device"]["threads"] == 1
    assert written["command"] == f"python -m benchmarks.latency --quick --out {out}"
    assert len(written["architectures"]) == 3
    for where in ("one process", "fresh processes"):
        passes, summary = written["passes"][where], written["summary"][where]
        assert len(passes) == 2
        assert set(summary) == {"pairs", "before", "loop", "loop_processor"}
        first, second = (one["pairs"] for one in passes)
        spreads = [abs(a - b) / 2**0.5 / ((a + b) / 2) for a, b in zip(first, second, strict=True)]
        assert abs(summary["pairs"]["spread"] - sum(spreads) / 3) < 1e-12
        assert -1 <= summary["pairs"]["tau"] <= 1
