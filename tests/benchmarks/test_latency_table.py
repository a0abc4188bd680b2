import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def test_the_quick_run_prints_the_table_and_writes_what_it_measured(tmp_path):
    out = tmp_path / "latency_table.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.latency_table", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "one change at a time" in ran.stdout
    written = json.loads(out.read_text())
    assert written["device"]["threads"] == 1
    found = written["results"]["resnet_cifar"]
    assert len(set(found["unseen"]["networks"])) == 4
    for method in ("table", "one_change"):
        predicted = np.array(found[method]["predicted_ms"])
        relative = np.abs(predicted / np.array(found["unseen"]["measured_ms"]) - 1)
        assert found[method]["unseen"]["mape"] == pytest.approx(relative.mean())
    changes = sum(n - 1 for n in found["options"]) + 3
    assert found["one_change"]["networks"] == changes
