"""Bounds on metrics, absolute or relative to the plain backbone."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .errors import InputError
from .metrics import Metric, described, metric

Op = Literal["<=", ">="]

_TEXT = re.compile(r"(?P<op><=|>=) *(?P<bound>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)(?P<relative>x?)")
_NUMBER_WITH_UNIT = re.compile(r"(?P<op><=|>=)? *(?P<bound>\d+\.?\d*) *(?P<unit>[a-zA-Z]+)")
_EXAMPLES = {"percent": "0.7", "count": "100000", "millions": "1e8", "": "5"}


@dataclass(frozen=True)
class Constraint:
    """`metric op bound`; if `relative`, the bound is times the plain backbone's figure.

    As text without the metric, `<= 5` or `<= 1.15x`: what a config says and `str` writes.
    """

    metric: str
    op: Op
    bound: float
    relative: bool = False

    def __post_init__(self) -> None:
        if self.op not in ("<=", ">=") or not 0 < self.bound < math.inf:
            raise ValueError(f"no constraint: {self.metric} {self.op} {self.bound}")

    def __str__(self) -> str:
        whole = self.bound == int(self.bound) and self.bound < 1e15
        number = str(int(self.bound)) if whole else repr(float(self.bound))
        return f"{self.op} {number}{'x' if self.relative else ''}"

    @classmethod
    def parse(cls, metric_name: str, text: str, *, registered: bool = True) -> "Constraint":
        """Reads what `str` writes; without `registered`, of any metric.

        Raises:
            InputError: the metric is unknown, or the text is not a bound that makes sense.
        """
        known = metric(metric_name) if registered else described(metric_name)
        found = _TEXT.fullmatch(str(text).strip())
        if not found:
            raise InputError(f"cannot read '{text}'. {_right(known, str(text))}")
        op, bound, relative = found["op"], float(found["bound"]), bool(found["relative"])
        if not 0 < bound < math.inf:
            raise InputError(f"the bound of '{text}' must be more than 0 and finite.")
        if known.format == "percent" and not relative and bound > 1:
            share = f"{bound / 100:g}" if bound <= 100 else "0.7"
            raise InputError(
                f"{known.name} goes from 0 to 1, not to {bound:g}. Write '{op} {share}'."
            )
        return cls(metric_name, op, bound, relative)  # type: ignore[arg-type]

    def resolve(self, plain: Mapping[str, float]) -> "Constraint":
        """The same bound in the metric's own unit; `plain` are the plain backbone's metrics.

        Raises:
            KeyError: the constraint is relative and `plain` lacks the metric.
        """
        if not self.relative:
            return self
        return replace(self, bound=self.bound * plain[self.metric], relative=False)

    def excess(self, value: float, plain: float | None = None) -> float:
        """How far `value` is beyond the bound, as a share of the bound; 0 if it keeps it.

        `plain` is the plain backbone's figure of this metric. NaN breaks any bound, by inf.

        Raises:
            ValueError: the constraint is relative and `plain` is not given.
        """
        bound = self.bound
        if self.relative:
            if plain is None:
                raise ValueError(f"{self.metric} {self} needs the plain backbone's {self.metric}")
            bound *= plain
        if math.isnan(value) or math.isnan(bound):
            return math.inf
        beyond = value - bound if self.op == "<=" else bound - value
        if beyond <= 0:
            return 0.0
        return beyond / bound if bound > 0 else math.inf


def _right(known: Metric, text: str) -> str:
    """What could have been meant, for the end of a message."""
    op = ">=" if known.better == "max" else "<="
    bound = _EXAMPLES[known.format]
    meant = _NUMBER_WITH_UNIT.fullmatch(text.strip())
    if meant and known.unit and meant["unit"].lower() == known.unit.lower():
        op, bound = meant["op"] or op, meant["bound"]
    unit = f" ({known.unit})" if known.unit else ""
    relative = "0.98x" if op == ">=" else "1.10x"
    return f"Write '{op} {bound}'{unit} or '{op} {relative}' (of the plain backbone)."
