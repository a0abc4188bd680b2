import json
import subprocess
import sys
from pathlib import Path

from benchmarks.commands import COMMANDS

ROOT = Path(__file__).parents[2]


def test_the_quick_run_prints_the_table_and_writes_what_it_measured(tmp_path):
    out = tmp_path / "commands.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.commands", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    written = json.loads(out.read_text())
    assert [row["command"] for row in written["commands"]] == list(COMMANDS)
    for row in written["commands"]:
        assert row["user_s"] > 0
        assert row["wall_s"] > 0
        assert row["command"] in ran.stdout
        assert "torch" not in row["loads"]
