"""The default engine: one trial after the other, in this process."""

from functools import partial
from pathlib import Path
from typing import Any

from attnas.core import Screening
from attnas.evaluator import Evaluator

from ..config import Config
from ..coordinator import Coordinator, Task
from ..evaluation import is_to_be_trained, screen, train
from ..facts import environment
from ..problem import Problem
from ..setup import make_evaluator


class LocalEngine:
    """This process."""

    def evaluator(
        self, config: Config, problem: Problem, plain: Screening | None, checkpoints: Path
    ) -> Evaluator:
        return make_evaluator(config, problem, plain, checkpoints)

    def environment(self, evaluator: Evaluator) -> dict[str, Any]:
        return environment(evaluator)

    def run(self, coordinator: Coordinator, evaluator: Evaluator) -> None:
        while (task := coordinator.next()) is not None:
            _evaluate(coordinator, evaluator, task)


def _evaluate(coordinator: Coordinator, evaluator: Evaluator, task: Task) -> None:
    screened = task.screened or screen(task.proposal, evaluator)
    trained = None
    if is_to_be_trained(screened, always=task.reference):
        heard = partial(coordinator.observer.epoch, task.number)
        trained = train(task.proposal, evaluator, heard)
    coordinator.record(task, screened, trained)
