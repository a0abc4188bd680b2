"""Latencies measured in several fresh processes: what a user meets who measures again.

A process is one sample of where its code and data lie, of its hash seed, and of the moment. The
figures are means over processes, and the process is the unit of the interval (pyperf runs its
benchmarks so; Curtsinger and Berger 2013, Mytkowicz et al. 2009 as in `instances`).
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from attnas.core import AttnasError, held_objects
from attnas.search_space import Architecture, Backbone, decision_from_dict

from ..devices import DEVICES, Device
from ..devices.processor import cores
from .interval import interval
from .measurement import Latency, is_settled

VARIABLE = "ATTNAS_FRESH_PROCESSES"
"""The environment variable that is 0 where everything is to be measured in one process."""
LEAST_PROCESSES = 6
MOST_PROCESSES = 12
SHARED_PROCESSES = 0.1
"""Variance of the ratio that the processes of one session share, as a multiple of that between
them: they meet the same minutes. Found by `benchmarks/coverage`."""

_AT_ONCE = 4  # processes that are loaded side by side; they measure one after the other
_SECONDS_TO_LOAD = 120.0
_SECONDS_TO_MEASURE = 600.0  # beyond what it was given: one round of a slow network


class NoFreshProcess(AttnasError):
    """A process could not be started, or could not measure; the message says why."""


def in_fresh_processes(
    device: Device,
    architectures: Sequence[Architecture],
    plain: Architecture,
    *,
    seed: int,
    reference_ms: float,
    max_seconds: float,
    plugins: Sequence[str] = (),
    bound_ms: float = math.inf,
    target_interval: float = 0.02,
    processes: int = LEAST_PROCESSES,
) -> list[Latency]:
    """The architectures' latencies relative to the plain network, which takes `reference_ms`.

    Each process measures all of them side by side, for `max_seconds` an architecture in all
    processes together, but at least one pair each. There are `processes` of them, and more until
    all intervals are settled (as in `measure_latency`), or `MOST_PROCESSES` or twice the time is
    reached. What it takes to load the processes comes on top.

    A process gets the working directory, the import path, `plugins`, the device's settings and
    the architectures as text; so blocks and factories of one's own must be in a module.

    Raises:
        NoFreshProcess: the device does not allow it, or a process failed.
    """
    seconds = max_seconds * len(architectures)
    request = {
        **_surroundings(device, plain, plugins),
        "architectures": [described(architecture) for architecture in architectures],
        "seed": seed,
        "seconds": seconds / processes,
    }
    ends = time.monotonic() + 2 * seconds
    answers: list[dict[str, Any]] = []

    def latencies() -> list[Latency]:
        many = range(len(architectures))
        return [_latency(answers, i, reference_ms, target_interval, bound_ms) for i in many]

    def wanted() -> int:
        if len(answers) < processes:
            return processes - len(answers)
        enough = time.monotonic() >= ends or all(latency.settled for latency in latencies())
        return 0 if enough else MOST_PROCESSES - len(answers)

    while (more := wanted()) > 0:
        answers += _measured(request, len(answers), min(_AT_ONCE, cores(), more))
    return latencies()


def described(architecture: Architecture) -> dict[str, Any]:
    """Plain types, from which `read` makes an equal architecture."""
    return {
        "backbone": architecture.backbone.to_dict(),
        "decisions": [decision.to_dict() for decision in architecture.decisions],
        "options": list(architecture.options),
        "identity_start": architecture.identity_start,
    }


def read(content: dict[str, Any]) -> Architecture:
    """The architecture that `described` wrote.

    Raises:
        InputError: it is not of that form.
    """
    return Architecture.read(
        Backbone.from_dict(content["backbone"]),
        tuple(map(decision_from_dict, content["decisions"])),
        content["options"],
        content["identity_start"],
    )


def _surroundings(device: Device, plain: Architecture, plugins: Sequence[str]) -> dict[str, Any]:
    """What every request of one session says.

    Raises:
        NoFreshProcess: a process would be of no use, or could not measure this.
    """
    if os.environ.get(VARIABLE) == "0":
        raise NoFreshProcess(f"{VARIABLE} is 0")
    if not getattr(device, "fresh_processes", False) or not is_dataclass(device):
        raise NoFreshProcess(f"latencies on '{device.name}' are measured in one process")
    if plain.backbone.name in held_objects():
        raise NoFreshProcess("the backbone was handed over as an object of this one")
    return {
        "path": sys.path,
        "plugins": list(plugins),
        "device": _described_device(device),
        "plain": described(plain),
    }


def _described_device(device: Device) -> dict[str, Any]:
    """What `devices.device` makes an equal device of."""
    cls: Any = type(device)
    registered = device.name in DEVICES and DEVICES[device.name] is cls
    name = device.name if registered else f"{cls.__module__}:{cls.__qualname__}"
    settings = {field.name: getattr(device, field.name) for field in fields(cls)}
    return {"name": name, **settings}


def _measured(request: dict[str, Any], first: int, count: int) -> list[dict[str, Any]]:
    """The answers of some processes, which are loaded together and measure in turn."""
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(_process({**request, "number": first + i})) for i in range(count)
        ]
        for ask in started:
            ask("", _SECONDS_TO_LOAD)
        return [ask("go", request["seconds"] + _SECONDS_TO_MEASURE) for ask in started]


@contextlib.contextmanager
def _process(request: dict[str, Any]) -> Iterator[Callable[[str, float], dict[str, Any]]]:
    """A process that has the request; what it gives is called to say a line and hear the next.

    Raises:
        NoFreshProcess: it cannot be started.
    """
    # not from the working directory, where a user's file may be named as one of Python's
    command = [sys.executable, "-P", "-m", f"{__package__}.worker"]
    with tempfile.TemporaryFile("w+") as said:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
            )
        except OSError as error:
            raise NoFreshProcess(f"no process can be started: {error}") from error

        def ask(line: str, seconds: float) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            late = threading.Timer(seconds, process.kill)
            late.start()
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write((line or json.dumps(request)) + "\n")
                    process.stdin.flush()
                heard = process.stdout.readline()
            finally:
                late.cancel()
            answer = json.loads(heard) if heard else {"error": _last_line(said)}
            if "error" in answer:
                raise NoFreshProcess(f"a fresh process cannot measure: {answer['error']}")
            return dict(answer)

        try:
            yield ask
        finally:
            process.kill()
            process.communicate()


def _last_line(said: Any) -> str:
    said.seek(0)
    lines = said.read().strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def _latency(
    answers: Sequence[dict[str, Any]], index: int, reference_ms: float, target: float, bound: float
) -> Latency:
    means = [answer["ratios"][index]["log"] for answer in answers]
    within = interval(means, shared=SHARED_PROCESSES).exp(reference_ms)
    return Latency(
        ms=within.centre,
        low=within.low,
        high=within.high,
        ratio=within.centre / reference_ms,
        pairs=sum(answer["ratios"][index]["pairs"] for answer in answers),
        instances=sum(answer["ratios"][index]["instances"] for answer in answers),
        processes=len(answers),
        settled=is_settled(within, target, bound),
    )
