"""The figures of an architecture: names, directions, units."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attnas.search_space import unknown

Direction = Literal["max", "min"]


@dataclass(frozen=True)
class Metric:
    """A named figure with its better direction and unit; cheap if known without training."""

    name: str
    better: Direction
    unit: str
    cheap: bool
    meaning: str


METRICS: Mapping[str, Metric] = {
    m.name: m
    for m in (
        Metric("accuracy", "max", "", False, "top-1 on the validation split, from 0 to 1"),
        Metric(
            "validation_loss", "min", "nats", False, "mean cross-entropy on the validation split"
        ),
        Metric("latency_ms", "min", "ms", True, "median time of one batch, measured on the device"),
        Metric("params", "min", "", True, "all parameters, trained or not"),
        Metric("flops", "min", "", True, "multiply-adds of one image (fvcore's convention)"),
        Metric(
            "activations",
            "min",
            "",
            True,
            "elements of all convolution and linear outputs (fvcore)",
        ),
        Metric(
            "peak_memory_mb", "min", "MB", True, "peak activation memory of one image at inference"
        ),
        Metric("synflow", "max", "", True, "log of the synaptic flow, untrained; if asked for"),
        Metric("naswot", "max", "", True, "log |det| of the ReLU codes, untrained; if asked for"),
        Metric("grad_norm", "max", "", True, "norm of the first gradient; if asked for"),
    )
}


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


@dataclass(frozen=True)
class Objective:
    """A metric to push in one direction."""

    metric: str
    direction: Direction

    def loss(self, metrics: Mapping[str, float]) -> float:
        """The metric's value turned so that less is better.

        Raises:
            KeyError: the metric was not taken.
        """
        value = metrics[self.metric]
        return -value if self.direction == "max" else value
