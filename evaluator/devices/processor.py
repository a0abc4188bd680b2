"""What this machine's processor is, as far as the system tells."""

import os
import platform
import time
from contextlib import suppress
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_THREAD_CLOCK_IS_FINE = time.get_clock_info("thread_time").resolution <= 1e-6
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def cores() -> int:
    """Logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_clock(threads: int) -> int:
    """Nanoseconds of an inference that `threads` threads of this machine compute.

    One thread: the processor time of the calling thread, which is the wall time that it
    would take alone on a core; other programs that take the core away in between do not
    count. Several threads wait for each other, so there the wall time is what it is. Also
    where the system's thread clock ticks too coarsely (Windows).
    """
    if threads == 1 and _THREAD_CLOCK_IS_FINE:
        return time.thread_time_ns()
    return time.perf_counter_ns()


def processor() -> dict[str, str | int]:
    """The processor's model, usable cores, system, and frequency governor where readable."""
    found: dict[str, str | int] = {
        "cpu": _model(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    with suppress(OSError):  # virtual machines and other systems than Linux have none
        found["governor"] = _GOVERNOR.read_text().strip()
    return found


def _model() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
