import json

import pytest

from attnas.evaluator import precision


@pytest.fixture
def probe(tmp_path, monkeypatch):
    """A device that supports bfloat16 and is so many times faster with it; counts the timings."""
    monkeypatch.setenv("ATTNAS_CACHE", str(tmp_path))
    monkeypatch.setattr(precision, "_supported", lambda kind: True)
    speedups: list[float] = []
    timings = []

    def timed(device):
        timings.append(device)
        return speedups[-1]

    monkeypatch.setattr(precision, "_speedup", timed)
    precision.bfloat16_pays.cache_clear()
    yield speedups, timings
    precision.bfloat16_pays.cache_clear()


@pytest.mark.parametrize(("speedup", "pays"), [(0.1, False), (1.2, False), (1.3, True)])
def test_bfloat16_pays_where_it_is_clearly_faster(probe, speedup, pays):
    speedups, _ = probe
    speedups.append(speedup)
    assert precision.bfloat16_pays("cpu") is pays


def test_the_answer_outlives_the_process_so_that_results_do_not_change(probe):
    speedups, timings = probe
    speedups.append(1.3)
    assert precision.bfloat16_pays("cpu")
    speedups.append(1.1)
    precision.bfloat16_pays.cache_clear()  # what a new process begins with
    assert precision.bfloat16_pays("cpu")
    assert timings == ["cpu"]


def test_a_broken_answer_is_asked_for_again(probe, tmp_path):
    speedups, _ = probe
    speedups.append(1.3)
    (tmp_path / "precision.json").write_text("{")
    assert precision.bfloat16_pays("cpu")
    assert list(json.loads((tmp_path / "precision.json").read_text()).values()) == [True]


def test_without_hardware_support_nothing_is_timed(probe, monkeypatch):
    _, timings = probe
    monkeypatch.setattr(precision, "_supported", lambda kind: False)
    assert not precision.bfloat16_pays("cpu")
    assert timings == []


def test_a_cpu_supports_it_if_its_flags_say_so(monkeypatch):
    monkeypatch.setattr(precision, "_cpu_flags", lambda: {"avx2", "avx512_bf16"})
    assert precision._supported("cpu")
    monkeypatch.setattr(precision, "_cpu_flags", lambda: {"avx2"})
    assert not precision._supported("cpu")


def test_the_probe_measures_a_ratio_of_times():
    assert 0 < precision._speedup("cpu", steps=1) < 1000
