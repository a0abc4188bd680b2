"""The part `latency` of `benchmarks.coverage`: does a latency's interval hold?

Simulated: the share of intervals that contain the true ratio, on machines with known noise.

Real: fresh processes measure the same architectures again and again, each once with either
method, and some sessions as the front is measured. Two figures are held against each other,
each from a process of its own: they agree if their difference is within the root of the summed
squares of their half-widths. And an interval covers if it contains the mean of the others.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import trim_mean

from attnas.evaluator import Latency, device, measure_latency, measure_reference
from attnas.evaluator.latency import in_fresh_processes
from attnas.search_space import Architecture, Backbone, build, make_backbone, stage_decisions

from . import median_of_pairs
from .simulated_machine import SimulatedMachine, Timed

SCREENING_SECONDS = 2.5  # as in a search
METHODS = ("before", "now")
REPEATS = {"before": 30, "now": 300}  # simulated ones; what was before takes six times as long
PROCESSES, SESSIONS = 10, 2
SLOW_PROCESSES, SLOW_SESSIONS = 6, 2
MACHINES: dict[str, dict[str, float]] = {  # as `SimulatedMachine` has them
    "quiet": {"noise": 0.01, "instance": 0.004, "moment": 0.0013},
    "noisy": {"noise": 0.05, "instance": 0.01, "moment": 0.0033},
    "instances differ": {"noise": 0.02, "instance": 0.04, "moment": 0.0126},
    "drift": {"noise": 0.02, "instance": 0.005, "moment": 0.0016, "drift": 0.3},
    "interrupted": {"noise": 0.02, "instance": 0.005, "moment": 0.0016, "interruptions": 0.3},
    "nothing shared": {"noise": 0.02, "instance": 0.005},
    "twice as much shared": {"noise": 0.02, "instance": 0.005, "moment": 0.0022},
}
"""The moment's part has a tenth of the variance between instances, but for the last two: none, and
twice as much. `SHARED` assumes 0.15."""
NETWORKS_MS = {"0.3 ms": (0.3, 0.39), "3 ms": (3.0, 3.3), "650 ms": (650.0, 715.0)}


@dataclass(frozen=True)
class Case:
    """Architectures on one backbone, measured in so many fresh processes and sessions.

    `seconds` at most for a screening.
    """

    backbone: Backbone
    options: tuple[tuple[str, ...], ...]
    processes: int
    sessions: int
    batch_size: int = 1
    seconds: float = SCREENING_SECONDS

    @property
    def architectures(self) -> list[Architecture]:
        decisions = stage_decisions(self.backbone)
        return [Architecture.read(self.backbone, decisions, texts) for texts in self.options]


THREE = (
    ("none", "se:r2@post", "se:r2@residual"),
    ("scse:r4@post", "scse:r8@residual", "scse:r4@residual"),
    ("none", "none", "eca@post"),
)


def cases(quick: bool) -> dict[str, Case]:
    """Three architectures of a ResNet-8 at two sizes, and a slow network."""

    def cifar(side: int, channels: int) -> Backbone:
        return make_backbone(
            name="resnet_cifar",
            arguments={"depth": 8},
            input_shape=(channels, side, side),
            output_shape=(10,),
        )

    if quick:
        return {"quick": Case(cifar(8, 1), THREE[:1], processes=2, sessions=0, seconds=0.05)}
    slow = make_backbone(
        name="resnet", arguments={"depth": 50}, input_shape=(3, 224, 224), output_shape=(1000,)
    )
    return {
        "8x8": Case(cifar(8, 1), THREE, PROCESSES, SESSIONS),
        "32x32": Case(cifar(32, 3), THREE, PROCESSES, SESSIONS),
        "slow": Case(
            slow,
            (("none", "none", "none", "se:r16@residual"),),
            SLOW_PROCESSES,
            SLOW_SESSIONS,
            batch_size=4,
        ),
    }


def processes(options: argparse.Namespace) -> dict[str, Any]:
    """The part of fresh processes on this machine: its claims, and all figures."""
    known = cases(options.quick)
    claims, raw = measure({name: known[name] for name in options.cases or known if name in known})
    return {"claims": claims, "raw": raw}


def simulated(options: argparse.Namespace) -> dict[str, Any]:
    """Whether intervals contain the true ratio, on each machine, at each size, by each method."""
    claims = [
        _simulated_claim(method, size, name, options.seed, 3 if options.quick else REPEATS[method])
        for size in NETWORKS_MS
        for name in list(MACHINES)[: 1 if options.quick else None]
        for method in METHODS
    ]
    return {"claims": claims}


def _simulated_claim(method: str, size: str, name: str, seed: int, repeats: int) -> dict[str, Any]:
    reference_ms, candidate_ms = NETWORKS_MS[size]
    found = [
        _simulated(method, reference_ms, candidate_ms, MACHINES[name], seed, repeat)
        for repeat in range(repeats)
    ]
    return {
        "claim": "contains the true ratio",
        "case": f"{size}, {name}",
        "method": method,
        "held": sum(one.low <= candidate_ms <= one.high for one in found),
        "of": repeats,
        "width": round(100 * float(np.median([(x.high - x.low) / x.ms for x in found])), 2),
    }


def _simulated(
    method: str,
    reference_ms: float,
    candidate_ms: float,
    settings: Mapping[str, float],
    seed: int,
    repeat: int,
) -> Latency:
    machine = SimulatedMachine(np.random.default_rng((seed, repeat)), **settings)
    measured_by = measure_latency if method == "now" else median_of_pairs.measure_latency
    [found] = measured_by(
        machine,
        [Timed(candidate_ms)],
        Timed(reference_ms),
        (1, 1, 1),
        rng=np.random.default_rng((seed, repeat, 1)),
        reference_ms=reference_ms,
        max_seconds=SCREENING_SECONDS,
        now=machine.clock,
    )
    return found


def measure(chosen: Mapping[str, Case]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The claims about real processes, and all figures."""
    raw: dict[str, Any] = {}
    claims: list[dict[str, Any]] = []
    for name, case in chosen.items():
        found = [_screened_in_a_process(name, number) for number in range(case.processes)]
        fronts = [_as_a_front(case, number) for number in range(case.sessions)]
        raw[name] = {"screened": found, "fronts": fronts}
        for method in METHODS:
            figures = [[_logs(one) for one in process[method]] for process in found]
            claims += _claims(f"{name}, fresh processes", method, figures)
        if len(fronts) > 1:
            figures = [[_logs(one) for one in session] for session in fronts]
            claims += _claims(f"{name}, fronts", "now", figures)
            screened = [[_logs(one) for one in process["now"]] for process in found]
            claims.append(_agreement(f"{name}, screened and front", "now", screened, figures))
        print(f"{name}: measured", file=sys.stderr, flush=True)
    return claims, raw


Figure = tuple[float, float]  # logarithm of a ratio, half-width of its interval


def _claims(case: str, method: str, figures: Sequence[Sequence[Figure]]) -> list[dict[str, Any]]:
    """`figures`: process x architecture."""
    covered = of = 0
    for index in range(len(figures[0])):
        column = [process[index] for process in figures]
        for number, (log, half) in enumerate(column):
            others = [other for i, (other, _) in enumerate(column) if i != number]
            covered += abs(log - float(trim_mean(others, 0.2))) <= half
            of += 1
    width = 200 * float(np.median([half for process in figures for _, half in process]))
    contains = {"claim": "contains the mean of the others", "case": case, "method": method}
    return [
        {**contains, "held": int(covered), "of": of, "width": round(width, 2)},
        _agreement(case, method, figures, figures),
    ]


def _agreement(
    case: str,
    method: str,
    some: Sequence[Sequence[Figure]],
    others: Sequence[Sequence[Figure]],
) -> dict[str, Any]:
    """Over all pairs of processes, of each list one; of one list any two."""
    agree = of = 0
    for first, one in enumerate(some):
        for second, other in enumerate(others):
            if some is others and second <= first:
                continue
            for (log, half), (again, half_again) in zip(one, other, strict=True):
                agree += abs(log - again) <= math.hypot(half, half_again)
                of += 1
    claim = "agrees with a figure measured again"
    return {"claim": claim, "case": case, "method": method, "held": int(agree), "of": of}


def _logs(found: Mapping[str, float]) -> Figure:
    return (
        math.log(found["ratio"]),
        (math.log(found["high"]) - math.log(max(found["low"], 1e-9))) / 2,
    )


def _plain(latency: Latency, reference_ms: float) -> dict[str, Any]:
    return {
        "ratio": latency.ratio,
        "low": latency.low / reference_ms,
        "high": latency.high / reference_ms,
        "pairs": latency.pairs,
        "instances": latency.instances,
        "processes": latency.processes,
        "settled": latency.settled,
    }


def _as_a_front(case: Case, number: int) -> list[dict[str, Any]]:
    found = in_fresh_processes(
        device("torch-cpu", batch_size=case.batch_size),
        case.architectures,
        Architecture.plain(case.backbone),
        seed=number,
        reference_ms=1.0,
        max_seconds=1.2,
    )
    return [_plain(latency, 1.0) for latency in found]


def _screened_in_a_process(name: str, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.coverage_latency", name, str(number)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _screen(name: str, number: int) -> dict[str, Any]:
    """What one process finds with each method, in the order of the architectures."""
    case = {**cases(quick=True), **cases(quick=False)}[name]
    on = device("torch-cpu", batch_size=case.batch_size)
    shape = case.backbone.input_shape
    plain = build(Architecture.plain(case.backbone), seed=0).eval()
    networks = [build(architecture, seed=0).eval() for architecture in case.architectures]
    found: dict[str, Any] = {"load": os.getloadavg()[0]}
    for method in METHODS if number % 2 else METHODS[::-1]:
        of = measure_latency if method == "now" else median_of_pairs.measure_latency
        alone = measure_reference if method == "now" else median_of_pairs.measure_reference
        reference = alone(on, plain, shape, max_seconds=case.seconds)
        found[f"{method}_plain"] = {
            "ms": reference.ms,
            "low": reference.low,
            "high": reference.high,
        }
        found[method] = []
        for index, network in enumerate(networks):
            [latency] = of(
                on,
                [network],
                plain,
                shape,
                rng=np.random.default_rng((number, index)),
                reference_ms=reference.ms,
                max_seconds=case.seconds,
            )
            found[method].append(_plain(latency, reference.ms))
    return found


if __name__ == "__main__":
    print(json.dumps(_screen(sys.argv[1], int(sys.argv[2]))))
