"""Confirmation: the front trained again with new seeds, beside the plain backbone."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

from attnas.evaluator import Checkpoint, Data, Recipe, Start, TrainingFailed, train
from attnas.results import (
    CONFIRMATION_FILE,
    Confirmation,
    Confirmed,
    ConfirmedScore,
    Run,
    Trial,
    write_confirmation,
)
from attnas.search_space import Architecture, AttnasError, InputError

from .config import parse_config
from .setup import make_problem, make_recipe, make_start

Say = Callable[[str], None]


def confirm(
    run: Run,
    *,
    seeds: int = 3,
    epochs: int | None = None,
    data_path: str | None = None,
    say: Say = lambda _: None,
) -> Confirmation:
    """Trains the front and the plain backbone with new seeds and scores them on the test split.

    The winner is the one that the search recommends, `run.best()`. All architectures of one
    seed share backbone weights, data order and augmentation. Each training is kept at once:
    the same call goes on where it was interrupted. `epochs` is the trials' own if not given,
    `data_path` says where the data are now. A member of the front whose training fails is
    left out, and `say` tells of it.

    Raises:
        InputError: fewer than two seeds, or a run that replayed a table.
        AttnasError: the run has no front, its data changed, or the training of the winner or
            of the plain backbone failed.
    """
    if seeds < 2:
        raise InputError("a spread needs at least 2 seeds.", key="--seeds")
    config = parse_config(run.config, file=str(run.folder))
    if config.evaluator is not None:
        raise InputError("it replayed a table: there is nothing to train.", file=str(run.folder))
    if data_path is not None:
        config = config.model_copy(
            update={"data": config.data.model_copy(update={"path": data_path})}
        )
    winner = run.best()
    problem = make_problem(config)
    assert problem.data is not None
    if problem.data.facts["data_sha256"] != run.facts["data"]["data_sha256"]:
        raise AttnasError(f"{run.folder}: the data are no longer those of the run.")
    recipe = make_recipe(config)
    epochs = epochs or recipe.epochs
    new_seeds = [config.seed + 1 + i for i in range(seeds)]
    front = [trial for trial in run.front() if not trial.architecture.is_plain]
    recipe = replace(recipe, epochs=epochs, time_limit_s=None)
    start = make_start(config, problem, run.checkpoints)
    session = _Session(run, problem.data, recipe, new_seeds, start, say)
    session.remaining = (len(front) + 1) * seeds
    confirmation = Confirmation(
        plain=session.confirmed(problem.space.plain, run.plain),
        front=tuple(session.front(front, winner)),
        winner=None if winner.architecture.is_plain else winner.number,
        epochs=epochs,
        images=len(problem.data.test),
    )
    write_confirmation(confirmation, run.folder / CONFIRMATION_FILE)
    return confirmation


class _Session:
    """Trainings of one confirmation; those of an interrupted one are read back."""

    def __init__(
        self,
        run: Run,
        data: Data,
        recipe: Recipe,
        seeds: Sequence[int],
        start: Start,
        say: Say,
    ) -> None:
        self.data, self.recipe, self.seeds = data, recipe, seeds
        self.start, self.say = start, say
        self.folder = run.checkpoints / "confirm"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.remaining = 0

    def front(self, trials: Sequence[Trial], winner: Trial) -> Iterator[Confirmed]:
        for trial in trials:
            try:
                yield self.confirmed(trial.architecture, trial)
            except AttnasError as error:
                if trial == winner:
                    raise
                self.say(f"Trial {trial.number} is left out: {error}")

    def confirmed(self, architecture: Architecture, trial: Trial | None) -> Confirmed:
        number = None if trial is None else trial.number
        scores = tuple(self._score(architecture, number, seed) for seed in self.seeds)
        choices = {stage: str(choice) for stage, choice in architecture.by_stage.items()}
        return Confirmed(number, choices, scores)

    def _score(self, architecture: Architecture, number: int | None, seed: int) -> ConfirmedScore:
        name = "plain" if number is None else f"trial-{number}"
        path = self.folder / f"{name}-seed-{seed}-epochs-{self.recipe.epochs}.json"
        if not path.exists():
            self.say(f"{self.remaining:3d} to go: seed {seed}, {architecture}")
            self._train(architecture, seed, path)
        self.remaining -= 1
        kept = json.loads(path.read_text())
        return ConfirmedScore(seed, kept["accuracy"], base64.b64decode(kept["correct"]))

    def _train(self, architecture: Architecture, seed: int, path: Path) -> None:
        facts = {
            "choices": {stage: str(choice) for stage, choice in architecture.by_stage.items()},
            "data": self.data.facts["data_sha256"],
            "recipe": asdict(self.recipe),
            "seed": seed,
            "start": self.start.label,
        }
        checkpoint = Checkpoint(self.folder, facts)
        try:
            outcome = train(
                self.start.network(architecture, seed),
                self.data,
                self.recipe,
                seed=seed,
                device="cuda" if torch.cuda.is_available() else "cpu",
                split="test",
                checkpoint=checkpoint,
            )
        except TrainingFailed as error:
            raise AttnasError(
                f"seed {seed}, {architecture}: the training failed: {error}."
            ) from error
        part = path.with_suffix(".part")
        correct = base64.b64encode(outcome.correct).decode("ascii")
        part.write_text(json.dumps({"accuracy": outcome.accuracy, "correct": correct}))
        part.replace(path)
        checkpoint.delete()
