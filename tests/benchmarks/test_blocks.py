"""The benchmark's quick form runs, and compares like with like."""

import json
from math import prod

import pytest
import torch

from attnas.search_space import BLOCKS
from benchmarks import blocks
from benchmarks.timm_blocks import references

CHANNELS, SIZE = 64, {"bat": (7, 7), "halo": (8, 8)}


@pytest.fixture(autouse=True)
def _timm(timm_class):
    """Skips where there is no timm."""


@pytest.mark.parametrize("name", references())
def test_timms_class_has_as_many_parameters_and_keeps_the_shape(name):
    ratio, make = references()[name]
    size = SIZE.get(name, (8, 8))
    theirs = make(CHANNELS, size).eval()
    own = BLOCKS[name].params(CHANNELS, *size, ratio)
    assert sum(parameter.numel() for parameter in theirs.parameters()) == own
    with torch.inference_mode():
        assert theirs(torch.randn(2, CHANNELS, *size)).shape == (2, CHANNELS, *size)


def test_the_quick_form_writes_what_it_prints(tmp_path, capsys):
    out = tmp_path / "blocks.json"
    blocks.main(["--quick", "--seconds", "0.001", "--out", str(out)])
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    assert [case["block"] for case in written["cases"]] == list(blocks.QUICK)
    assert all(case["block"] in printed for case in written["cases"])
    compared = [case["ratio"] for case in written["cases"] if case["ratio"] is not None]
    assert len(compared) == written["summary"]["compared"] == 2
    expected = prod(compared) ** 0.5
    assert written["summary"]["geometric_mean"] == pytest.approx(expected)
    assert all(case["ms"] > 0 and case["limit"] > 0 for case in written["cases"])


def test_a_slower_block_is_named_and_what_timm_lacks_does_not_count():
    place = {"channels": 64, "side": 8, "batch": 1}
    cases = [
        {"block": name, **place, "ratio": ratio}
        for name, ratio in (("se", 2.0), ("eca", 0.5), ("simam", None), ("gc", 0.96))
    ]
    found = blocks.summary(cases)
    assert found["compared"] == 3
    assert found["geometric_mean"] == pytest.approx((2.0 * 0.5 * 0.96) ** (1 / 3))
    assert found["slower_than_goal"] == [{"block": "eca", **place, "ratio": 0.5}]
    assert blocks.summary(cases[2:3])["geometric_mean"] is None
