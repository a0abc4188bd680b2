"""What one supernet is to be searched for: bounds on costs, and what architectures cost."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attnas.core import (
    METRICS,
    AdditiveCost,
    AttnasError,
    Constraint,
    InputError,
    Objective,
    Screening,
    described,
    in_order,
    unknown,
)

from .budgets import Budget
from .recommendation import Target

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

LADDER = 4  # targets if none are given
DRAWN = 1000  # architectures looked at for a feasible one


@dataclass(frozen=True)
class Costs:
    """What architectures of a space cost, and which constraints they break.

    `additive` predicts, exactly but for the `margins`: the shares by which most predictions of
    a metric are off at most. A constraint counts as broken when the prediction is beyond it by
    more than that, as what is near is measured anyway. Constraints on cheap metrics that do
    not add up are looked up by `screen`, the last of all; those on accuracy and loss are left
    to the trials.
    """

    space: "SearchSpace"
    additive: Mapping[str, AdditiveCost]
    constraints: tuple[Constraint, ...]
    plain: Mapping[str, float]
    screen: "Callable[[Architecture], Screening]"
    margins: Mapping[str, float] = field(default_factory=dict)

    def predict(self, architecture: "Architecture") -> dict[str, float]:
        """The costs by metric; the plain backbone's are known."""
        if architecture.is_plain:
            return {name: self.plain[name] for name in self.additive}
        return {
            name: cost.at(self.space.positions(architecture))
            for name, cost in self.additive.items()
        }

    def excess(self, architecture: "Architecture", target: Target | None = None) -> float:
        """How far the predictions are beyond constraints, with margins, and target, in shares."""
        return sum(self.broken(self.predict(architecture), target).values())

    def broken(
        self, metrics: Mapping[str, float], target: Target | None = None
    ) -> dict[str, float]:
        """The bounds that these costs break, as text, with the share that they are beyond it.

        Inherited accuracy and loss, should they be among the metrics, break none.
        """
        bounds = [
            *((c, self.margins.get(c.metric, 0.0)) for c in self.constraints),
            *((Constraint(metric, "<=", b), 0.0) for metric, b in (target or {}).items()),
        ]
        found = {
            f"{c.metric} {c}": c.excess(metrics[c.metric], self.plain[c.metric]) - margin
            for c, margin in bounds
            if c.metric in self.additive and c.metric in metrics
        }
        return {text: share for text, share in found.items() if share > 0}

    def fits(self, architecture: "Architecture", target: Target | None = None) -> bool:
        """Whether it keeps the bounds, as far as can be known without training."""
        if self.excess(architecture, target) > 0:
            return False
        return not self.must_screen or not self.screen(architecture).violations

    @property
    def must_screen(self) -> bool:
        """Whether a constraint needs more than predictions."""
        return any(
            described(c.metric).cheap and c.metric not in self.additive for c in self.constraints
        )

    def range(self, metric: str) -> tuple[float, float]:
        """The least and the greatest predicted cost in the space."""
        return self.additive[metric].span

    def beyond(self, target: Target) -> str:
        """Which bounds are below the least costs of the space, by more than the margins.

        Empty too if the plain backbone keeps them, as it was measured.
        """
        plain = [self.plain.get(metric, math.inf) <= bound for metric, bound in target.items()]
        if all(plain) and self.space.plain in self.space:
            return ""
        reasons = (
            Budget(self.additive[metric], bound).beyond(self.margins.get(metric, 0.0))
            for metric, bound in target.items()
        )
        return "; ".join(filter(None, reasons))

    def nearest(self, rng: np.random.Generator, target: Target | None = None) -> "Architecture":
        """Nearest to the bounds of the cheapest by each metric, the plain one and some drawn."""
        return min(self._looked_at(rng), key=lambda a: self.excess(a, target))

    def _looked_at(self, rng: np.random.Generator) -> "Iterator[Architecture]":
        for cost in self.additive.values():
            pairs = zip(self.space.options, cost.costs, strict=True)
            cheapest = [options[int(np.argmin(costs))] for options, costs in pairs]
            yield self.space.architecture(cheapest)
        if self.space.plain in self.space:
            yield self.space.plain
        if self.space.size <= DRAWN:
            yield from self.space.enumerate()
        else:
            yield from (self.space.sample(rng) for _ in range(DRAWN))


def predicted() -> list[str]:
    """The metrics that add up over the decisions, so that targets may bound them."""
    return in_order(metric.name for metric in METRICS.loaded() if metric.additive)


def check_feasible(costs: Costs, rng: np.random.Generator) -> None:
    """Measures the architecture predicted nearest to the constraints, and the plain one.

    Raises:
        AttnasError: even these break a constraint, and none that was drawn is predicted to
            keep them.
    """
    nearest = costs.nearest(rng)
    if costs.excess(nearest) == 0 and not costs.must_screen:
        return
    tried = [nearest]
    if costs.space.plain in costs.space:
        tried.append(costs.space.plain)
    if costs.must_screen:  # a bound that no prediction covers: look at some
        tried += [costs.space.sample(rng) for _ in range(20)]
    violations = {a: costs.screen(a).violations for a in dict.fromkeys(tried)}
    if all(violations.values()):
        closest = min(violations, key=lambda a: sum(violations[a].values()))
        missed = ", ".join(f"{text} by {share:.1%}" for text, share in violations[closest].items())
        raise AttnasError(
            f"nothing meets the constraints: the nearest architecture found, {closest}, misses "
            f"{missed}. Loosen the bound or allow cheaper options; no supernet was trained."
        )


def check_reachable(costs: Costs, wanted: Sequence[Target]) -> None:
    """Checks the targets against the least predicted costs.

    Raises:
        AttnasError: all are below them by more than predictions may be off.
    """
    beyond = [costs.beyond(target) for target in wanted]
    if all(beyond):
        raise AttnasError(
            f"no target can be kept: {'; '.join(beyond)}. Loosen the bound or allow cheaper "
            "options; no supernet was trained."
        )


def check_targets(wanted: Mapping[str, Any]) -> None:
    """Checks the setting `targets` against its form: bounds by metric.

    Raises:
        InputError: a metric does not add up, or a bound cannot be read; with its key.
    """
    if not isinstance(wanted, Mapping):
        raise InputError(f"cannot be {wanted!r}. {_RIGHT}", key="targets")
    for metric, bounds in wanted.items():
        if metric not in predicted():
            raise unknown("target", str(metric), predicted()).inside(key=f"targets.{metric}")
        if not isinstance(bounds, list | tuple) or not bounds:
            raise InputError(f"must be a list of bounds. {_RIGHT}", key=f"targets.{metric}")
        for number, bound in enumerate(bounds):
            _bound(metric, bound, number)


_RIGHT = "Write for example {latency_ms: [1.5, 2.0]} or {latency_ms: ['1.1x', '1.2x']}."


def _bound(metric: str, bound: Any, number: int) -> Constraint:
    try:
        if isinstance(bound, bool):
            raise InputError(f"cannot read '{bound}'.")
        return Constraint.parse(metric, f"<= {bound}")
    except InputError:
        raise InputError(
            f"cannot read '{bound}'. {_RIGHT}", key=f"targets.{metric}[{number}]"
        ) from None


def targets(
    wanted: Mapping[str, Any],
    objectives: Sequence[Objective],
    costs: Costs,
) -> tuple[Target, ...]:
    """The budgets to aim at from one supernet, each beside the config's constraints.

    `wanted` is the setting: `{"latency_ms": [1.2, "1.1x"]}` gives a target for each bound, a
    bound with x being times the plain backbone's. If it is empty, the first cost that is to
    be minimised gets a ladder: 4 bounds in equal steps from the cheapest architecture's cost
    to the dearest's, or to the constraint on it if that is less. With no such objective the
    only target is empty: the best within the constraints.

    Source of several targets from one supernet: Cai et al. 2020, arXiv:1908.09791.
    """
    check_targets(wanted)
    if wanted:
        return tuple(
            {metric: _bound(metric, bound, i).resolve(costs.plain).bound}
            for metric, bounds in wanted.items()
            for i, bound in enumerate(bounds)
        )
    pushed = [o.metric for o in objectives if o.direction == "min" and o.metric in costs.additive]
    if not pushed:
        return ({},)
    metric = pushed[0]
    low, high = costs.range(metric)
    bounds = [
        c.resolve(costs.plain).bound
        for c in costs.constraints
        if c.metric == metric and c.op == "<="
    ]
    high = min([high, *bounds])
    if not low < high:
        return ({metric: high},) if math.isfinite(high) else ({},)
    return tuple({metric: low + (high - low) * (i + 1) / LADDER} for i in range(LADDER))
