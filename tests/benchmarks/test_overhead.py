import json

import numpy as np
import pytest

from benchmarks import overhead


def test_the_quick_run_writes_its_table_and_keeps_other_results(tmp_path, capsys):
    out = tmp_path / "overhead.json"
    overhead.main(["--quick", "--only", "random", "--out", str(out)])
    overhead.main(["--quick", "--only", "evolution", "--out", str(out)])
    found = json.loads(out.read_text())["results"]
    assert set(found) == {"random", "evolution"}
    for result in found.values():
        assert result["trials"] == 30
        for phase in overhead.PHASES:
            for kind in ("wall", "processor"):
                times = result[f"{phase}, {kind}"]
                assert 0 <= times["median"] <= times["p95"]
    assert "random     30" in capsys.readouterr().out


def test_the_phases_add_up_trial_by_trial():
    watch = overhead.Stopwatch(
        {"propose": [1.0, 2.0, 9.0], "store and show": [10.0, 1.0, 1.0]},
        {"propose": [0.0, 0.0, 0.0], "store and show": [0.0, 0.0, 4.0]},
    )
    found = watch.summary()
    assert found["all, wall"]["median"] == 10.0
    assert found["all, wall"]["p95"] == pytest.approx(np.quantile([11.0, 3.0, 10.0], 0.95))
    assert found["propose, wall"]["median"] == 2.0
    assert found["store and show, processor"]["median"] == 0.0
