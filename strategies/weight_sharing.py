"""What strategies that train a supernet have in common: data, budgets, checkpoints, artifact.

Such a strategy is an `OnSupernet`. Its `prepare` hands a function to `prepare_recommended`, which
takes a `Task`, trains a `Supernet` on `task.weight_batches` (`task.checkpointed` keeps its epochs),
learns or searches architectures on `task.selection_batches`, and returns recommendations, the best
first for each of `task.targets`. All that is recommended is then trained by the evaluator like
anything else.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from attnas.evaluator import (
    TRUSTED_MAPE,
    AdditiveCost,
    Batches,
    Pool,
    Precision,
    additive_costs,
    autocast,
    resolved_precision,
    safe_layout,
)
from attnas.results import RECOMMENDATIONS_FILE
from attnas.search_space import Architecture, AttnasError, SearchSpace
from attnas.search_space.build import build
from attnas.search_space.recalibration import recalibrate
from attnas.search_space.supernet import Supernet

from .checkpoint import Checkpointed, Stateful
from .protocol import Resources
from .recommendation import Found, Recommendation, Target, read_found, write_found
from .recommended import Recommended, choose, pending
from .targets import PREDICTED, Costs, check_feasible, check_reachable, targets

if TYPE_CHECKING:
    from .on_supernet import OnSupernet

__all__ = [
    "Checkpointed",
    "Costs",
    "Recommendation",
    "Target",
    "Task",
    "check_finite",
    "prepare_recommended",
]

SELECTION = 0.2  # share of the training images that choose architectures
MOST_MARGIN = 0.25  # a table that errs by more is no reason to measure what it puts far off
FURTHER = 12  # architectures measured for a target that no prediction keeps
RECALIBRATION = 1000  # images that batch-norm statistics are taken from, if there are so many


@dataclass(frozen=True)
class Task:
    """What a search on a supernet gets.

    Weights are trained on `weight_batches`, architectures are chosen on `selection_batches`
    (their pool is `selection`): disjoint parts of the training split, drawn by the seed.
    The validation split stays for the evaluator. `targets` and `costs` say what is asked for,
    `controls` are the random architectures to be recommended beside the found ones.
    """

    space: SearchSpace
    seed: int
    epochs: int
    resources: Resources
    weight_batches: Batches
    selection_batches: Batches
    calibration: Pool
    selection: Pool
    costs: Costs
    targets: tuple[Target, ...]
    controls: tuple[Architecture, ...]
    facts: Mapping[str, Any]
    precision: Precision

    @property
    def device(self) -> str:
        return self.resources.training_device

    def autocast(self) -> torch.autocast:
        """What a forward pass runs in, as in a trial's training."""
        return autocast(self.precision, self.weight_batches.device)

    def supernet(self) -> Supernet:
        """A new supernet, placed on the training device, in the layout of the batches."""
        net = Supernet(self.space, seed=self.seed)
        layout = self.weight_batches.layout
        return net.to(self.device, memory_format=layout)  # type: ignore[call-overload, no-any-return]

    def checkpointed(self, name: str, parts: Mapping[str, Stateful]) -> Checkpointed:
        """The epochs of a training whose state is kept in the run as `name`.pt."""
        file = self.resources.folder / f"{name}.pt"
        return Checkpointed(file, parts, self.facts, self.resources.note)

    def inherited(self, net: Supernet, architecture: Architecture) -> dict[str, float]:
        """`accuracy` and `validation_loss` with the supernet's weights on `selection`.

        Batch norms are recalibrated on training images of the weights' part first, as the
        statistics of a mixture of paths fit none: Yu and Huang 2019, arXiv:1903.05134, section
        4.2.

        Raises:
            AttnasError: the loss is not finite.
        """
        net.select(architecture)
        with self.autocast():
            recalibrate(net, (x for x, _ in self.weight_batches.scoring(self.calibration)))
        right, total = 0, 0.0
        net.eval()
        with torch.inference_mode():
            for inputs, labels in self.selection_batches.scoring(self.selection):
                with self.autocast():
                    logits = net(inputs)
                right += int((logits.argmax(1) == labels).sum())
                total += float(F.cross_entropy(logits.double(), labels, reduction="sum"))
        if not math.isfinite(total):  # the last steps may spoil weights after their own loss
            raise AttnasError(
                f"the supernet's training diverged: with its weights the loss of {architecture} "
                "is not finite. Lower training.learning_rate."
            )
        images = len(self.selection)
        return {"accuracy": right / images, "validation_loss": total / images}

    def recommend(
        self,
        net: Supernet,
        architecture: Architecture,
        target: Target | None = None,
        doubt: Mapping[str, Mapping[str, float]] | None = None,
    ) -> Recommendation:
        """The recommendation with inherited accuracy and predicted costs filled in."""
        predicted = {**self.inherited(net, architecture), **self.costs.predict(architecture)}
        return Recommendation(architecture, target or {}, predicted, doubt or {})


Search = Callable[[Task], Sequence[Recommendation]]


def prepare_recommended(
    strategy: "OnSupernet", resources: Resources, search: Search
) -> Recommended:
    """Searches on a supernet unless that was finished before, and gives what proposes the result.

    `search(task)` returns recommendations: for every target that can be kept its own, the
    best first, one of each of `task.controls` (without a target), and other candidates that it
    knows, without a target. What is recommended is measured for real before it is kept.

    Raises:
        AttnasError: nothing meets the constraints, the training failed, or the artifact
            cannot be written.
    """
    facts = _facts(strategy, resources)
    file = resources.folder / RECOMMENDATIONS_FILE
    found = read_found(file, facts, strategy.space, resources.note)
    if found is None:
        task = _task(strategy, resources, facts)
        with _explained():
            found = _measured(task, _sorted_out(task, search(task)))
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


def _task(strategy: "OnSupernet", resources: Resources, facts: Mapping[str, Any]) -> Task:
    space, seed = strategy.space, strategy.seed
    costs = _costs(strategy, resources)
    rng = np.random.default_rng((seed, 2**33))
    check_feasible(costs, rng)
    weights, selection = _parts(resources.data.train, rng)
    wanted = targets(strategy.targets, strategy.objectives, costs)
    check_reachable(costs, wanted)
    layout = safe_layout(build(space.plain, seed=seed))

    def batches(pool: Pool) -> Batches:
        device = resources.training_device
        return Batches(resources.data, resources.recipe, device=device, pool=pool, layout=layout)

    return Task(
        space=space,
        seed=seed,
        epochs=strategy.epochs,
        resources=resources,
        weight_batches=batches(weights),
        selection_batches=batches(selection),
        calibration=_calibration(weights),
        selection=selection,
        costs=costs,
        targets=wanted,
        controls=_controls(space, costs, strategy.check, np.random.default_rng((seed, 2**35))),
        facts=facts,
        precision=resolved_precision(resources.recipe.precision, resources.training_device),
    )


def _costs(strategy: "OnSupernet", resources: Resources) -> Costs:
    """Predicted costs; the latency table is made only where latency is asked for."""
    space = strategy.space
    needed = {
        *(o.metric for o in strategy.objectives),
        *(c.metric for c in resources.constraints),
        *strategy.targets,
    }
    exact = [m for m in PREDICTED if m in needed and m != "latency_ms"]
    additive: dict[str, AdditiveCost] = additive_costs(space, exact) if exact else {}
    margins = {}
    if "latency_ms" in needed:
        table = resources.latency_table()
        if not table.trusted:
            resources.note(
                f"The table's mean error is above {TRUSTED_MAPE:.0%}: its latencies guide the "
                "search on the supernet, and what that recommends is measured before it is kept."
            )
        additive["latency_ms"] = table.cost
        margins["latency_ms"] = min(MOST_MARGIN, table.error.margin)
    plain = resources.screen(space.plain).metrics
    return Costs(space, additive, resources.constraints, plain, resources.screen, margins)


def _parts(pool: Pool, rng: np.random.Generator) -> tuple[Pool, Pool]:
    """The training images in two: for weights, and for the choice of architectures."""
    order = torch.from_numpy(rng.permutation(len(pool)))
    chosen = max(1, round(SELECTION * len(pool)))
    return pool.take(order[chosen:]), pool.take(order[:chosen])


def _calibration(pool: Pool) -> Pool:
    """What statistics are taken from: whole batches where scoring splits the pool."""
    return pool.first(RECALIBRATION) if len(pool) >= RECALIBRATION else pool.first(500)


def _controls(
    space: SearchSpace, costs: Costs, count: int, rng: np.random.Generator
) -> tuple[Architecture, ...]:
    """Distinct random architectures, at most `count`, feasible by the predictions.

    Those that may be feasible within the predictions' margin fill up what is lacking.
    """
    drawn: dict[Architecture, None] = {}

    def draw(costs: Costs) -> Architecture | None:
        def fits(architecture: Architecture) -> bool:
            new = architecture not in drawn and not architecture.is_plain
            return new and costs.excess(architecture) == 0

        return space.sample_feasible(rng, fits, 500)

    for judged in (replace(costs, margins={}), costs):
        while len(drawn) < count and (found := draw(judged)) is not None:
            drawn[found] = None
    return tuple(drawn)


def _sorted_out(task: Task, found: Iterable[Recommendation]) -> Found:
    """What the search found, each architecture once a target; controls apart.

    Raises:
        ValueError: a control is missing, or a target was not asked for.
    """
    distinct = {(r.architecture, tuple(sorted(r.target.items()))): r for r in found}
    wanted = set(task.controls)
    controls = {r.architecture: r for r in distinct.values() if r.architecture in wanted}
    if len(controls) < len(wanted):
        raise ValueError(f"{len(wanted) - len(controls)} controls have no inherited accuracy")
    for entry in distinct.values():
        if entry.target and entry.target not in task.targets:
            raise ValueError(f"nobody asked for {entry.target}")
    asked_for = [r for r in distinct.values() if r.target or r.architecture not in wanted]
    return Found(task.targets, tuple(asked_for), tuple(controls[a] for a in task.controls))


def _measured(task: Task, found: Found) -> Found:
    """Measures recommendations until each target has one that keeps it, or none is left.

    For a target that no candidate keeps by prediction the nearest ones are measured.
    """
    measured: dict[Architecture, Mapping[str, float]] = {}
    rejected: set[Architecture] = set()

    def measure(architecture: Architecture) -> None:
        task.resources.progress("recommendations measured", len(measured), len(measured) + 1)
        screening = task.resources.screen(architecture)
        measured[architecture] = dict(screening.metrics)
        if screening.violations:
            rejected.add(architecture)

    def settle() -> None:
        while wanted := pending(found.targets, found.candidates, measured, rejected):
            for architecture in wanted:
                measure(architecture)

    settle()
    for target in found.targets:
        for entry in _nearest(task.costs, found, target):
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
        "options": [[str(choice) for choice in options] for options in space.allowed],
        "identity_start": space.identity_start,
        "objectives": {o.metric: o.direction for o in strategy.objectives},
        "constraints": [f"{c.metric} {c}" for c in resources.constraints],
        "data": {key: value for key, value in resources.data.facts.items() if key != "path"},
        "recipe": asdict(resources.recipe),
    }


@contextmanager
def _explained() -> Iterator[None]:
    """Turns a lack of memory into an error that says what would help."""
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
