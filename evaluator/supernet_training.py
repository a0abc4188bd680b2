"""The evaluator's way to train, for networks that a strategy makes: its supernets."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from attnas.core import Part
from attnas.search_space import SearchSpace, build, recalibrate

from .batches import Batches, safe_layout
from .data import Data, Pool
from .optimizer import make_optimizer, set_rate
from .precision import autocast, resolved_precision
from .recipe import Recipe, half_epochs
from .tasks import Task
from .views import predicted

SELECTION = 0.2
"""Share of the training items on which architectures are chosen."""
RECALIBRATION = 1000
"""Items that batch-norm statistics are taken from, if there are so many."""


class SharedTraining:
    """The data in two parts, drawn by the seed, and the recipe for them.

    As `attnas.core.SupernetTraining` says.
    """

    def __init__(
        self,
        space: SearchSpace,
        data: Data,
        task: Task,
        recipe: Recipe,
        *,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self._data, self._task, self._recipe, self.device = data, task, recipe, device
        self.precision = resolved_precision(recipe.precision, device)
        order = torch.from_numpy(np.random.default_rng((seed, 2**36)).permutation(len(data.train)))
        chosen = max(1, round(SELECTION * len(order)))
        weights, self._selection = data.train.take(order[chosen:]), data.train.take(order[:chosen])
        self._calibration = _calibration(weights)
        layout = safe_layout(build(space.plain, seed=seed))
        self._batches = {
            "weights": self._batched(weights, layout),
            "selection": self._batched(self._selection, layout),
        }
        self._loss = task.loss(data, device)

    @property
    def steps(self) -> int:
        return len(self._batches["weights"])

    def place(self, network: nn.Module) -> nn.Module:
        layout = self._batches["weights"].layout
        placed: nn.Module = network.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        return placed

    def epoch(
        self, part: Part, seed: int, number: int, *, small: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        return self._batches[part].epoch(seed, number, small=small)

    def small_epochs(self, epochs: int) -> int:
        return half_epochs(self._recipe, epochs, self._data.input_shape)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._loss(outputs, targets)

    def autocast(self, precision: str | None = None) -> torch.autocast:
        return autocast(precision or self.precision, torch.device(self.device))

    def optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        return make_optimizer(network, self._recipe)

    def set_rate(self, optimizer: torch.optim.Optimizer, step: int, steps: int) -> None:
        set_rate(optimizer, self._recipe, step, steps)

    def score(self, network: nn.Module) -> dict[str, float]:
        weights, selection = self._batches["weights"], self._batches["selection"]
        with self.autocast():
            recalibrate(network, [x for x, _ in weights.scoring(self._calibration)])
        scorer = self._task.scorer(self._data)
        network.eval()
        with torch.inference_mode():
            for inputs, targets in selection.scoring(self._selection):
                views = self._recipe.views
                outputs = predicted(network, inputs, self._task, views, self.autocast())
                scorer.update(outputs, targets)
        return dict(scorer.result().metrics)

    def _batched(self, pool: Pool, layout: torch.memory_format) -> Batches:
        return Batches(
            self._data,
            self._recipe,
            device=self.device,
            pool=pool,
            layout=layout,
            spatial=self._task.spatial,
        )


def _calibration(pool: Pool) -> Pool:
    """What statistics are taken from: whole batches where scoring splits the pool."""
    return pool.first(RECALIBRATION) if len(pool) >= RECALIBRATION else pool.first(500)
