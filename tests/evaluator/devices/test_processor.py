import os
import threading
import time

import pytest

from attnas.evaluator.devices import processor as module
from attnas.evaluator.devices.processor import cores, processor, processor_clock


def test_the_processor_is_named():
    found = processor()
    assert found["cpu"]
    assert found["cores"] == cores() >= 1
    assert set(found) - {"governor"} == {"cpu", "cores", "system"}


def test_the_governor_is_told_where_readable(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_GOVERNOR", tmp_path / "scaling_governor")
    assert "governor" not in processor()
    (tmp_path / "scaling_governor").write_text("powersave\n")
    assert processor()["governor"] == "powersave"


def test_the_model_is_read_where_the_system_tells_it(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\n")
    monkeypatch.setattr(module, "_CPU_INFO", tmp_path / "cpuinfo")
    assert processor()["cpu"] == "Some CPU @ 3 GHz"


@pytest.mark.skipif(os.name == "nt", reason="the thread clock is coarse there")
def test_one_thread_is_timed_without_what_others_do():
    before = processor_clock(1), processor_clock(2), time.thread_time_ns()
    sleeper = threading.Thread(target=time.sleep, args=(0.05,))
    sleeper.start()
    sleeper.join()
    assert processor_clock(2) - before[1] >= 50e6  # wall time passed
    assert processor_clock(1) - before[0] <= time.thread_time_ns() - before[2] + 50e6
    assert abs(processor_clock(1) - time.thread_time_ns()) < 50e6
