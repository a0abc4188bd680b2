import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import coverage_latency, coverage_statistics
from benchmarks.coverage import share

ROOT = Path(__file__).parents[2]


def test_the_quick_run_prints_the_table_and_writes_what_it_measured(tmp_path):
    out = tmp_path / "coverage.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.coverage", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "contains the true ratio" in ran.stdout
    written = json.loads(out.read_text())
    assert written["parts"]["latency"]["threads"] == 1
    parts = written["parts"]
    claims = [claim for part in ("latency_simulated", "latency") for claim in parts[part]["claims"]]
    assert {claim["method"] for claim in claims} == {"before", "now"}
    assert {claim["claim"] for claim in claims} == {
        "contains the true ratio",
        "contains the mean of the others",
        "agrees with a figure measured again",
    }
    assert all(0 <= claim["share"] <= 1 for claim in claims)
    [first, second] = written["parts"]["latency"]["raw"]["quick"]["screened"]
    for process in (first, second):
        [found] = process["now"]
        assert found["low"] < found["ratio"] < found["high"]
        assert found["pairs"] >= 6


def test_a_share_has_wilsons_interval():
    found = share(9, 10)
    z, n, p = 1.959964, 10, 0.9
    centre = (p + z**2 / 2 / n) / (1 + z**2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z**2 / 4 / n**2) / (1 + z**2 / n)
    assert found == {
        "share": 0.9,
        "low": pytest.approx(centre - half, rel=1e-5),
        "high": pytest.approx(centre + half, rel=1e-5),
    }


def test_coverage_and_agreement_are_counted_over_processes():
    # two architectures in three processes: the first agree, of the second one is far off
    figures = [[(0.00, 0.1), (0.0, 0.1)], [(0.05, 0.1), (0.1, 0.1)], [(0.1, 0.1), (0.9, 0.1)]]
    contains, agrees = coverage_latency._claims("case", "now", figures)
    assert (contains["held"], contains["of"]) == (3, 6)
    assert (agrees["held"], agrees["of"]) == (3 + 1, 6)
    screened, front = [[(0.0, 0.1)], [(0.3, 0.1)]], [[(0.1, 0.1)], [(0.4, 0.2)]]
    found = coverage_latency._agreement("case", "now", screened, front)
    assert (found["held"], found["of"]) == (2, 4)


def test_before_a_slow_network_had_one_pair_and_now_it_has_six():
    settings = coverage_latency.MACHINES["noisy"]
    before, now = (
        coverage_latency._simulated(method, 650.0, 715.0, settings, 0, 0)
        for method in ("before", "now")
    )
    assert (before.pairs, before.high - before.low) == (1, 0.0)
    assert now.pairs >= 6
    assert now.low < 715.0 < now.high


def test_marks_and_confirmations_are_judged_where_nothing_differs(tmp_path):
    options = argparse.Namespace(seed=0, quick=True, tables=None)
    for part in (coverage_statistics.marks, coverage_statistics.confirmations):
        claims = part(options)["claims"]
        assert {claim["method"] for claim in claims} == {"before", "now"}
        assert {claim["of"] for claim in claims} == {20}
        now = sum(claim["held"] for claim in claims if claim["method"] == "now")
        before = sum(claim["held"] for claim in claims if claim["method"] == "before")
        assert now > before
