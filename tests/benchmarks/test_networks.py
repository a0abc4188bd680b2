"""The benchmark on a few small networks: what it finds, and that a part writes nothing."""

import json

import pytest

from benchmarks import networks


@pytest.fixture(autouse=True)
def _libraries(libraries):
    for name in networks.LIBRARIES:
        libraries(name)


def test_a_row_says_what_was_found():
    row = networks._row("torchvision/squeezenet1_1", {}, onnx=False)
    assert row.pop("seconds") > 0
    assert row.pop("difference") < networks.SAME
    assert row == {
        "network": "torchvision/squeezenet1_1",
        "side": 64,
        "stages": 3,
        "units": 8,
        "sites": {"block": 8, "post": 8, "pre": 8},
        "layouts": ["nchw"],
        "options": ["se:r16@post"],
        "blocks": 8,
        "gradients": 8,
        "rebuilt": True,
        "passed": True,
    }


def test_a_network_that_cannot_be_made_has_a_reason(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(networks, "NETWORKS", {"timm/nothing": {}})
    out = tmp_path / "out.json"
    assert networks.main(["--only", "nothing", "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "timm/nothing: search_space.backbone.timm: unknown model of timm 'nothing'" in shown
    assert "0 of 1 passed" in shown
    assert not out.exists()


def test_the_quick_run_takes_one_network_a_library(tmp_path):
    out = tmp_path / "out.json"
    assert networks.main(["--quick", "--out", str(out)]) == 0
    rows = json.loads(out.read_text())["networks"]
    assert sorted(row["network"] for row in rows) == sorted(networks.QUICK)
    assert all(row["passed"] for row in rows)


def test_with_onnx_a_row_has_the_difference_in_onnx_runtime(capsys):
    row = networks._row("torchvision/squeezenet1_1", {}, onnx=True)
    assert 0 < row["onnx"] < networks.SAME
    networks._show([row])
    shown = capsys.readouterr().out
    assert f"{row['onnx']:.1e}" in shown
    assert "1 of 1 equal in ONNX Runtime" in shown


def test_a_network_that_cannot_be_written_has_the_first_cause_and_passes_all_else(
    monkeypatch, capsys
):
    def fails(*arguments):
        try:
            raise ValueError("no such operation\nand more")
        except ValueError as cause:
            raise RuntimeError("the export failed") from cause

    monkeypatch.setattr(networks, "export_onnx", fails)
    row = networks._row("torchvision/squeezenet1_1", {}, onnx=True)
    assert row["onnx_reason"] == "ValueError: no such operation"
    assert row["passed"]
    networks._show([row])
    shown = capsys.readouterr().out
    assert "ValueError: no such operation" in shown
    assert "0 of 1 equal in ONNX Runtime" in shown
