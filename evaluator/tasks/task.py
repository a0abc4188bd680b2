"""What a network is for: its loss, its metrics, and one score an item."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from attnas.core import InputError, Registry, import_own, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from ..data import Data, Pools

Class = TypeVar("Class", bound=type)
Loss = Callable[["Tensor", "Tensor"], "Tensor"]

TASKS: "Registry[type[Task]]" = Registry(
    "task", package="attnas.evaluator.tasks", registrars=("register_task",)
)


@dataclass(frozen=True)
class Scored:
    """What a network's outputs on a split are worth: metrics, and one score an item.

    `scores` (items,), truth values or numbers, have the task's `scored` metric as their mean.
    """

    metrics: Mapping[str, float]
    scores: NDArray[Any]


class Scorer(Protocol):
    """Takes the outputs of a split batch by batch."""

    def update(self, outputs: "Tensor", targets: "Tensor") -> None:
        """Outputs (n, ...) in float64 and the targets (n, ...), on one device."""
        ...

    def result(self) -> Scored:
        """Of all batches so far, of which there was one at least."""
        ...


class Task(Protocol):
    """What a network is for; a frozen dataclass whose fields are settings of a config.

    `metrics` are the registered ones that scoring gives, `validation_loss` among them. `scored`
    is the one that the scores of the items average to: by it architectures are compared in
    pairs. With `spatial` the targets are maps (N, H, W) that move with the image.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]]
    scored: ClassVar[str]
    spatial: ClassVar[bool]

    def check(self, pools: "Pools") -> "Pools":
        """The same pools, with targets as the task takes them.

        Raises:
            InputError: targets or classes are of another kind; with the key.
        """
        ...

    def strata(self, targets: "Tensor") -> NDArray[np.int64]:
        """A group for each item, (N,): splits have each in the same shares."""
        ...

    def data_facts(self, data: "Data") -> dict[str, Any]:
        """What is worth remembering of the splits, as JSON values.

        Raises:
            InputError: a split lacks what training needs.
        """
        ...

    def output_shape(self, data: "Data") -> tuple[int, ...]:
        """What a network must give for one input."""
        ...

    def loss(self, data: "Data", device: str) -> Loss:
        """The training loss, a mean over the batch, of outputs and targets on a device."""
        ...

    def scorer(self, data: "Data") -> Scorer:
        """What scores the outputs on a split."""
        ...

    def box(self, data: "Data") -> dict[str, tuple[float, float]]:
        """For each metric the value of guessing and that of perfection."""
        ...


@runtime_checkable
class AveragesViews(Protocol):
    """A task whose predictions for several views of an input can be averaged."""

    def averaged(self, views: "Sequence[Tensor]") -> "Tensor":
        """Outputs (N, ...) of the mean prediction, of those for each view."""
        ...


def register_task(name: str) -> Callable[[Class], Class]:
    """Class decorator that makes a task known under a name, which becomes its `name`.

    Raises:
        ValueError: the name is taken by another class.
    """

    def register(cls: Class) -> Class:
        TASKS.add(name, cls)
        cls.name = name  # type: ignore[attr-defined]
        return cls

    return register


def make_task(name: str, settings: Mapping[str, Any]) -> Task:
    """The task of that name, or the class `package.module:Class`, with these settings.

    Raises:
        InputError: the name, a setting or its value is wrong; with the key.
    """
    if ":" in name:
        cls = import_own(name, key="task.name", kind="Class")
    elif name in TASKS:
        cls = TASKS[name]
    else:
        raise TASKS.unknown(name).inside(key="task.name")
    known = list(inspect.signature(cls).parameters)
    for setting in settings:
        if setting not in known:
            if not known:
                raise InputError(f"the task '{name}' has no settings.", key=f"task.{setting}")
            raise unknown(f"setting of the task {name}", setting, known).inside(
                key=f"task.{setting}"
            )
    try:
        made: Task = cls(**settings)
    except InputError as error:
        raise error.inside(key="task") from error
    lacking = [part for part in _PARTS if not hasattr(made, part)]
    if lacking:
        raise InputError(f"{name} is no task: it lacks {', '.join(lacking)}.", key="task.name")
    if not is_dataclass(type(made)):
        raise InputError(f"{name} is no task: it is no dataclass.", key="task.name")
    return made


_PARTS = (
    "name",
    "metrics",
    "scored",
    "spatial",
    "check",
    "strata",
    "data_facts",
    "output_shape",
    "loss",
    "scorer",
    "box",
)
