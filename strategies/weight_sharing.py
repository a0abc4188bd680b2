"""What strategies that train a supernet have in common: data, budgets, checkpoints, artifact.

Such a strategy is an `OnSupernet`. Its `prepare` hands a function to `prepare_recommended`, which
takes a `SupernetSearch`, trains a `Supernet` by `search.training` (`search.checkpointed` keeps its
epochs), learns or searches architectures on the selection part, and returns recommendations, the
best first for each of `search.targets`. All that is recommended is then trained by the evaluator
like anything else.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from attnas.core import (
    LOSS,
    RECOMMENDATIONS_FILE,
    AdditiveCost,
    AttnasError,
    Resources,
    SupernetTraining,
)

from .checkpoint import Checkpointed, Stateful
from .recommendation import Found, Recommendation, Target, read_found, write_found
from .recommended import Recommended, choose, pending
from .targets import Costs, check_feasible, check_reachable, predicted, targets

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace, Supernet

    from .on_supernet import OnSupernet

MOST_MARGIN = 0.25  # a table that errs by more is no reason to measure what it puts far off
FURTHER = 12  # architectures measured for a target that no prediction keeps


@dataclass(frozen=True)
class SupernetSearch:
    """What a search on a supernet gets.

    Weights are trained on one part of the training split, architectures are chosen on another;
    both are drawn by the seed. The validation split stays for the evaluator. `targets` and
    `costs` say what is asked for, `controls` are the random architectures to be recommended
    beside the found ones.
    """

    space: "SearchSpace"
    seed: int
    epochs: int
    resources: Resources
    training: SupernetTraining
    costs: Costs
    targets: tuple[Target, ...]
    controls: "tuple[Architecture, ...]"
    facts: Mapping[str, Any]

    def supernet(self) -> "Supernet":
        """A new supernet on the training device, in the layout of the batches."""
        from attnas.search_space import Supernet

        return cast(Supernet, self.training.place(Supernet(self.space, seed=self.seed)))

    def checkpointed(self, name: str, parts: Mapping[str, Stateful]) -> Checkpointed:
        """The epochs of a training whose state is kept in the run as `name`.pt."""
        file = self.resources.folder / f"{name}.pt"
        return Checkpointed(file, parts, self.facts, self.resources.note)

    def inherited(self, net: "Supernet", architecture: "Architecture") -> dict[str, float]:
        """The task's metrics with the supernet's weights on the selection part, if finite.

        Raises:
            AttnasError: the loss is not finite.
        """
        net.select(architecture)
        found = self.training.score(net)
        if not math.isfinite(found[LOSS]):  # the last steps may spoil weights after their own loss
            raise AttnasError(
                f"the supernet's training diverged: with its weights the loss of {architecture} "
                "is not finite. Lower training.learning_rate."
            )
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def recommend(
        self,
        net: "Supernet",
        architecture: "Architecture",
        target: Target | None = None,
        undecided: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Recommendation:
        """The recommendation with inherited metrics and predicted costs filled in."""
        figures = {**self.inherited(net, architecture), **self.costs.predict(architecture)}
        return Recommendation(architecture, target or {}, figures, undecided or {})


def prepare_recommended(
    strategy: "OnSupernet",
    resources: Resources,
    search: Callable[[SupernetSearch], Sequence[Recommendation]],
) -> Recommended:
    """Searches on a supernet unless that was finished before, and gives what proposes the result.

    `search` returns recommendations: for every target that can be kept its own, the best first,
    one of each of the `controls` (without a target), and other candidates that it knows, without
    a target. What is recommended is measured for real before it is kept.

    Raises:
        AttnasError: nothing meets the constraints, the training failed, or the artifact
            cannot be written.
    """
    facts = _facts(strategy, resources)
    file = resources.folder / RECOMMENDATIONS_FILE
    found = read_found(file, facts, strategy.space, resources.note)
    if found is None:
        given = _search(strategy, resources, facts)
        with _explained():
            found = _measured(given, _sorted_out(given, search(given)))
        write_found(found, facts, file)
    return Recommended(strategy.space, strategy.objectives, strategy.epochs, strategy.seed, found)


def check_finite(loss: float, epoch: int) -> float:
    """The loss, if it is a number.

    Raises:
        AttnasError: it is not; `epoch` counts from 0.
    """
    if not math.isfinite(loss):
        raise AttnasError(
            f"the supernet's training diverged in epoch {epoch + 1}: its loss is {loss}. Lower "
            "training.learning_rate; the epochs before are kept only under the same settings."
        )
    return loss


def _search(
    strategy: "OnSupernet", resources: Resources, facts: Mapping[str, Any]
) -> SupernetSearch:
    space, seed = strategy.space, strategy.seed
    costs = _costs(strategy, resources)
    check_feasible(costs, np.random.default_rng((seed, 2**33)))
    wanted = targets(strategy.targets, strategy.objectives, costs)
    check_reachable(costs, wanted)
    return SupernetSearch(
        space=space,
        seed=seed,
        epochs=strategy.epochs,
        resources=resources,
        training=resources.training(seed),
        costs=costs,
        targets=wanted,
        controls=_controls(space, costs, strategy.check, np.random.default_rng((seed, 2**35))),
        facts=facts,
    )


def _costs(strategy: "OnSupernet", resources: Resources) -> Costs:
    """Predicted costs; the latency table is made only where latency is asked for."""
    space = strategy.space
    needed = {
        *(o.metric for o in strategy.objectives),
        *(c.metric for c in resources.constraints),
        *strategy.targets,
    }
    exact = [m for m in predicted() if m in needed and m != "latency_ms"]
    additive: dict[str, AdditiveCost] = resources.additive_costs(exact) if exact else {}
    margins = {}
    if "latency_ms" in needed:
        table = resources.latency_table()
        if not table.trusted:
            resources.note(
                "The table's mean error is too large to decide anything: its latencies guide the "
                "search on the supernet, and what that recommends is measured before it is kept."
            )
        additive["latency_ms"] = table.cost
        margins["latency_ms"] = min(MOST_MARGIN, table.margin)
    plain = resources.screen(space.plain).metrics
    return Costs(space, additive, resources.constraints, plain, resources.screen, margins)


def _controls(
    space: "SearchSpace", costs: Costs, count: int, rng: np.random.Generator
) -> "tuple[Architecture, ...]":
    """Distinct random architectures, at most `count`, feasible by the predictions.

    Those that may be feasible within the predictions' margin fill up what is lacking.
    """
    drawn: dict[Architecture, None] = {}

    def draw(costs: Costs) -> "Architecture | None":
        def fits(architecture: "Architecture") -> bool:
            new = architecture not in drawn and not architecture.is_plain
            return new and costs.excess(architecture) == 0

        return space.sample_feasible(rng, fits, 500)

    for judged in (replace(costs, margins={}), costs):
        while len(drawn) < count and (found := draw(judged)) is not None:
            drawn[found] = None
    return tuple(drawn)


def _sorted_out(search: SupernetSearch, found: Iterable[Recommendation]) -> Found:
    """What the search found, each architecture once a target; controls apart.

    Raises:
        ValueError: a control is missing, or a target was not asked for.
    """
    distinct = {(r.architecture, tuple(sorted(r.target.items()))): r for r in found}
    wanted = set(search.controls)
    controls = {r.architecture: r for r in distinct.values() if r.architecture in wanted}
    if len(controls) < len(wanted):
        raise ValueError(f"{len(wanted) - len(controls)} controls have no inherited metrics")
    for entry in distinct.values():
        if entry.target and entry.target not in search.targets:
            raise ValueError(f"nobody asked for {entry.target}")
    asked_for = [r for r in distinct.values() if r.target or r.architecture not in wanted]
    return Found(search.targets, tuple(asked_for), tuple(controls[a] for a in search.controls))


def _measured(search: SupernetSearch, found: Found) -> Found:
    """Measures recommendations until each target has one that keeps it, or none is left.

    For a target that no candidate keeps by prediction the nearest ones are measured.
    """
    measured: dict[Architecture, Mapping[str, float]] = {}
    rejected: set[Architecture] = set()

    def measure(architecture: "Architecture") -> None:
        search.resources.progress("recommendations measured", len(measured), len(measured) + 1)
        screening = search.resources.screen(architecture)
        measured[architecture] = dict(screening.metrics)
        if screening.violations:
            rejected.add(architecture)

    def settle() -> None:
        while wanted := pending(found.targets, found.candidates, measured, rejected):
            for architecture in wanted:
                measure(architecture)

    settle()
    for target in found.targets:
        for entry in _nearest(search.costs, found, target):
            if choose(target, found.candidates, measured, rejected) is not None:
                break
            if entry.architecture not in measured:
                measure(entry.architecture)
    settle()
    return replace(found, measured=measured, rejected=frozenset(rejected))


def _nearest(costs: Costs, found: Found, target: Target) -> list[Recommendation]:
    """The candidates that may keep a target within the predictions' margin, nearest first."""
    reach = {metric: bound * (1 + costs.margins.get(metric, 0)) for metric, bound in target.items()}
    near = [
        r for r in found.candidates if all(r.predicted[m] <= bound for m, bound in reach.items())
    ]
    return sorted(near, key=lambda r: sum(r.predicted[m] / b for m, b in target.items()))[:FURTHER]


def _facts(strategy: "OnSupernet", resources: Resources) -> dict[str, Any]:
    """All that the weights and the recommendations depend on, as plain values."""
    space, given = strategy.space, ("space", "objectives")
    settings = {f.name: getattr(strategy, f.name) for f in fields(strategy) if f.name not in given}  # type: ignore[arg-type]
    return {
        "strategy": type(strategy).__name__,
        "settings": settings,
        "backbone": space.backbone.to_dict(),
        "decisions": [decision.to_dict() for decision in space.decisions],
        "options": [list(options) for options in space.options],
        "identity_start": space.identity_start,
        "objectives": {o.metric: o.direction for o in strategy.objectives},
        "constraints": [f"{c.metric} {c}" for c in resources.constraints],
        **resources.facts,
    }


@contextmanager
def _explained() -> Iterator[None]:
    """Turns a lack of memory into an error that says what would help."""
    import torch

    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_large() from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" in str(error):  # torch has no own exception for it
            raise _too_large() from error
        raise


def _too_large() -> AttnasError:
    return AttnasError(
        "the supernet does not fit into memory while it is trained. Lower training.batch_size, "
        "or allow fewer blocks; the epochs done are kept only under the same settings."
    )
