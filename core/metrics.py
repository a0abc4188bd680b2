"""The figures of an architecture: names, directions, units, and how they are written."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from .registry import Registry

Direction = Literal["max", "min"]
Format = Literal["", "percent", "count", "millions"]
Measure = Callable[..., float]

_Measure = TypeVar("_Measure", bound=Measure)


@dataclass(frozen=True)
class Metric:
    """A named figure of an architecture.

    `cheap`: known without training. `additive`: exactly the plain backbone's and its blocks'
    sum, but for `latency_ms`, which nearly is. `on_request`: taken only where a config asks for
    it. `format`: `percent` of a share from 0 to 1, `count`, `millions` (a large count), or ""
    for four significant digits. `rank` orders the columns of a table. `measure` computes it where
    nothing built in does: if it is cheap, from a network in eval mode, which it may use up, and
    the input shape, else from the outputs and targets of all items of the split that is scored.
    """

    name: str
    better: Direction
    meaning: str = ""
    unit: str = ""
    cheap: bool = False
    additive: bool = False
    on_request: bool = False
    format: Format = ""
    rank: int = 100
    measure: Measure | None = field(default=None, compare=False, repr=False)

    @property
    def is_count(self) -> bool:
        """Whether its values are whole numbers."""
        return self.format in ("count", "millions")

    @property
    def heading(self) -> str:
        """The name over a column or beside an axis, with its unit."""
        words = self.name.removesuffix(f"_{self.unit.lower()}").replace("_", " ")
        return f"{words} ({self.unit})" if self.unit else words

    def text(self, value: Any, *, signed: bool = False) -> str:
        """A value for people, without the unit; '-' if it is not known."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return "-"
        sign = "+" if signed else ""
        if math.isinf(value):
            return format(value, f"{sign}g")
        if self.format == "percent":
            return f"{100 * value:{sign}.2f} %"
        if self.format == "millions" and abs(value) >= 1e5:
            millions = abs(value) / 1e6
            digits = max(2, 3 - math.floor(math.log10(millions)))  # four significant ones
            return f"{value / 1e6:{sign},.{digits}f} M"
        if self.is_count:
            return f"{round(value):{sign},}"
        digits = 3 - math.floor(math.log10(abs(value))) if value else 3  # four significant ones
        return f"{value:{sign},.{max(0, digits)}f}" if digits <= 8 else f"{value:{sign}.4g}"

    def named(self, value: float) -> str:
        """Name, value and unit in running text: 'latency 2.074 ms'."""
        name, _, unit = self.heading.partition(" (")
        return " ".join(filter(None, (name, self.text(value), unit.rstrip(")"))))

    def difference(self, value: float | None, standard_error: float | None = None) -> str:
        """A difference of two values, percentages in points: '+1.30 ± 0.45'; '-' if unknown."""
        if value is None:
            return "-"
        texts = []
        for number, sign in ((value, "+"), (standard_error, "")):
            if number is None:
                continue
            if self.format == "percent":
                texts.append(f"{100 * number:{sign}.2f}")
            else:
                texts.append(replace(self, format="").text(number, signed=bool(sign)))
        return " ± ".join(texts)


METRICS: Registry[Metric] = Registry(
    "metric",
    package="attnas.evaluator.tasks",
    registrars=("register_metric", "declare_metric"),
)
"""All metrics; those that a task gives are declared in the task's module."""


def register_metric(
    name: str, *, better: Direction, meaning: str = "", **properties: Any
) -> Callable[[_Measure], _Measure]:
    """Decorator that makes a function the measure of a metric of that name (see `Metric`).

    Raises:
        ValueError: another metric has the name.
    """

    def register(measure: _Measure) -> _Measure:
        said = meaning or (measure.__doc__ or "").strip().partition("\n")[0]
        made = Metric(name, better, said, measure=measure, **properties)
        METRICS.add(name, made, defined=measure)
        return measure

    return register


def declare_metric(name: str, *, better: Direction, meaning: str, **properties: Any) -> Metric:
    """Registers a metric that something else computes: a task, the evaluator, a device.

    Raises:
        ValueError: another metric has the name.
    """
    made = Metric(name, better, meaning, **properties)
    METRICS.add(name, made)
    return made


def metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        InputError: there is none; the message names the nearest.
    """
    return METRICS[name]


def described(name: str) -> Metric:
    """The metric of that name; one that a training of a user's own gave is any number."""
    return METRICS[name] if name in METRICS else Metric(name, "max")


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

    @property
    def described(self) -> Metric:
        """The metric itself; one that is not registered has this direction."""
        found = described(self.metric)
        return found if self.metric in METRICS else replace(found, better=self.direction)


def in_order(names: Iterable[str]) -> list[str]:
    """Metrics as the columns of a table: what training gave, then by `rank` and name."""
    found = {name: described(name) for name in names}
    return sorted(found, key=lambda n: (found[n].cheap, found[n].on_request, found[n].rank, n))


LATENCY = declare_metric(
    "latency_ms",
    better="min",
    meaning="median time of one batch, measured on the device",
    unit="ms",
    cheap=True,
    additive=True,
    rank=10,
)
PARAMS = declare_metric(
    "params",
    better="min",
    meaning="all parameters, trained or not",
    cheap=True,
    additive=True,
    format="count",
    rank=20,
)
FLOPS = declare_metric(
    "flops",
    better="min",
    meaning="multiply-adds of one image (fvcore's convention)",
    cheap=True,
    additive=True,
    format="millions",
    rank=30,
)
ACTIVATIONS = declare_metric(
    "activations",
    better="min",
    meaning="elements of all convolution and linear outputs (fvcore)",
    cheap=True,
    additive=True,
    format="millions",
    rank=40,
)
PEAK_MEMORY = declare_metric(
    "peak_memory_mb",
    better="min",
    meaning="peak activation memory of one image at inference",
    unit="MB",
    cheap=True,
    rank=50,
)
SYNFLOW = declare_metric(
    "synflow",
    better="max",
    meaning="log of the synaptic flow, untrained",
    cheap=True,
    on_request=True,
)
NASWOT = declare_metric(
    "naswot",
    better="max",
    meaning="log |det| of the ReLU codes, untrained",
    cheap=True,
    on_request=True,
)
GRAD_NORM = declare_metric(
    "grad_norm",
    better="max",
    meaning="norm of the first gradient, untrained",
    cheap=True,
    on_request=True,
)
