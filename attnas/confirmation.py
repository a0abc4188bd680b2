"""Confirmation: the front trained again with new seeds, beside the plain backbone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

from torch import nn

from attnas.core import (
    AttnasError,
    InputError,
    ItemScores,
    TrainingResult,
    Trial,
    read,
    write_checked,
    writing,
)
from attnas.evaluator import Data, Trainer, TrainingFailed, training_record, write_weights
from attnas.results import (
    CONFIRMATION_FILE,
    Confirmation,
    Confirmed,
    ConfirmedScore,
    Run,
    read_confirmation,
    write_confirmation,
)
from attnas.search_space import Architecture

from .config import Config, parse_config
from .confirmation_workers import Member, Share, threads_each, train_ahead
from .problem import make_problem
from .setup import in_its_precision, make_start, make_trainer

Say = Callable[[str], None]
WEIGHTS_FOLDER = "weights"
"""Of a run: the trained networks of its confirmations."""


def confirm(
    run: Run,
    *,
    seeds: int = 5,
    epochs: int | None = None,
    data_path: str | None = None,
    keep_weights: bool = False,
    workers: int = 1,
    say: Say = lambda _: None,
) -> Confirmation:
    """Trains front, baselines and plain backbone with new seeds, scored on the test split.

    The winner is the one that the search recommends, `run.best()`. All architectures of one
    seed share backbone weights, data order and augmentation. Each training is kept at once:
    the same call goes on where it was interrupted. `epochs` is the trials' own if not given,
    `data_path` says where the data are now. With `keep_weights` the trained network of each
    architecture and seed is kept in the run's folder (`weights_file`); trainings that are done,
    but whose weights were not kept, are done again for them. A member of the front whose training
    fails is left out, and `say` tells of it. Above 1, `workers` trainings go on at once, each in a
    process of its own; a script that asks for them needs `if __name__ == "__main__":`.

    Raises:
        InputError: fewer than two seeds, no worker, a run that replayed a table, or a training of
            the user's own that gives no scores of items.
        AttnasError: the run has no front, its data changed, or the training of the winner or
            of the plain backbone failed.
    """
    if seeds < 2:
        raise InputError("a spread needs at least 2 seeds.", key="--seeds")
    if workers < 1:
        raise InputError("at least 1 is needed.", key="--workers")
    winner = run.best()
    session = open_session(
        run, epochs=epochs, data_path=data_path, keep_weights=keep_weights, say=say
    )
    used = {trial.seed for trial in run.trials}
    fresh = (seed for seed in count(session.seed + 1) if seed not in used)
    new_seeds = list(islice(fresh, seeds))
    front = [trial for trial in run.front() if not trial.architecture.is_plain]
    numbers = {trial.number for trial in front}
    baselines = {name: trial for name, trial in run.baselines.items() if trial.feasible}
    front += [trial for trial in baselines.values() if trial.number not in numbers]
    if workers > 1:
        share = Share(
            run.folder.resolve(), session.epochs, data_path, keep_weights, threads_each(workers)
        )
        train_ahead(share, session.unfinished([run.plain, *front], new_seeds), workers, say)
    session.remaining = (len(front) + 1) * seeds
    plain = session.confirmed(session.plain, run.plain, new_seeds)
    trained = tuple(session.front(front, winner, new_seeds))
    kept = {entry.trial for entry in trained}
    confirmation = Confirmation(
        plain=plain,
        front=trained,
        winner=None if winner.architecture.is_plain else winner.number,
        epochs=session.epochs,
        baselines={n: trial.number for n, trial in baselines.items() if trial.number in kept},
        looks=_looks(run, seeds, session.epochs),
        start=str(run.facts.get("start", "")),
    )
    write_confirmation(confirmation, run.folder / CONFIRMATION_FILE)
    return confirmation


def open_session(
    run: Run,
    *,
    epochs: int | None = None,
    data_path: str | None = None,
    keep_weights: bool = False,
    say: Say = lambda _: None,
) -> "Session":
    """What trains the architectures of a run again; the arguments are those of `confirm`.

    Raises:
        InputError: the run replayed a table.
        AttnasError: its data changed.
    """
    config = _config(run, data_path)
    problem = make_problem(config)
    data = problem.data
    if data is not None and data.facts["data_sha256"] != run.facts["data"]["data_sha256"]:
        raise AttnasError(f"{run.folder}: the data are no longer those of the run.")
    epochs = epochs or config.training.epochs
    recipe = config.training.model_copy(update={"epochs": epochs, "time_limit_s": None})
    folder = run.checkpoints / "confirm"
    start = make_start(config, problem, run.checkpoints)
    trainer = make_trainer(config, problem, start, folder, recipe=recipe)
    weights = _Weights(run, data, epochs) if keep_weights else None
    return Session(trainer, folder, problem.space.plain, config.seed, epochs, weights, say)


def _config(run: Run, data_path: str | None) -> Config:
    """The run's config, in its precision and with the data where they are now."""
    config = in_its_precision(parse_config(run.config, file=str(run.folder)), run)
    if config.evaluator is not None:
        raise InputError("it replayed a table: there is nothing to train.", file=str(run.folder))
    if data_path is None or config.data is None:
        return config
    moved = config.data.model_copy(update={"path": data_path})
    return config.model_copy(update={"data": moved})


def _looks(run: Run, seeds: int, epochs: int) -> tuple[int, ...]:
    """The numbers of seeds at which these trainings were looked at, now included."""
    earlier = read_confirmation(run.folder / CONFIRMATION_FILE)
    if earlier is None or earlier.epochs != epochs:
        return (seeds,)
    return tuple(sorted({*earlier.looks, len(earlier.seeds), seeds}))


def weights_file(run: Run, trial: int | None, seed: int, epochs: int) -> Path:
    """Where a confirmation keeps a trained network; None is a plain backbone that is no trial."""
    return run.folder / WEIGHTS_FOLDER / f"{_name(trial, seed, epochs)}.safetensors"


def _name(trial: int | None, seed: int, epochs: int) -> str:
    network = "plain" if trial is None else f"trial-{trial}"
    return f"{network}-seed-{seed}-epochs-{epochs}"


@dataclass(frozen=True)
class _Weights:
    """Keeps the networks of a confirmation with what they were trained on."""

    run: Run
    data: Data | None
    epochs: int

    def are_kept(self, trial: int | None, seed: int) -> bool:
        return weights_file(self.run, trial, seed, self.epochs).is_file()

    def keep(
        self, trial: int | None, seed: int, network: nn.Module, result: TrainingResult
    ) -> None:
        file = weights_file(self.run, trial, seed, self.epochs)
        with writing(file.parent):
            file.parent.mkdir(exist_ok=True)
        facts = {"run": self.run.name, "trial": trial, "seed": seed}
        write_weights(file, network, training_record(self.data, ["train"], result, **facts))


@dataclass
class Session:
    """Trainings of one confirmation; those of an interrupted one are read back."""

    trainer: Trainer
    folder: Path
    plain: Architecture
    seed: int
    epochs: int
    weights: _Weights | None
    say: Say
    remaining: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def front(
        self, trials: Sequence[Trial], winner: Trial, seeds: Sequence[int]
    ) -> Iterator[Confirmed]:
        for trial in trials:
            try:
                yield self.confirmed(trial.architecture, trial, seeds)
            except AttnasError as error:
                if trial == winner:
                    raise
                self.say(f"Trial {trial.number} is left out: {error}")

    def confirmed(
        self, architecture: Architecture, trial: Trial | None, seeds: Sequence[int]
    ) -> Confirmed:
        number = None if trial is None else trial.number
        scores = []
        for seed in seeds:
            scores.append(ConfirmedScore(seed, self.score(architecture, number, seed)))
            self.remaining -= 1
        return Confirmed(number, architecture.by_name, tuple(scores))

    def unfinished(self, trials: Sequence[Trial | None], seeds: Sequence[int]) -> list[Member]:
        """What is left to be trained; None stands for a plain backbone that is no trial."""
        numbers = [None if trial is None else trial.number for trial in trials]
        return [
            (number, seed)
            for number in numbers
            for seed in seeds
            if self._read(number, seed) is None or self._lacks_weights(number, seed)
        ]

    def score(self, architecture: Architecture, number: int | None, seed: int) -> ItemScores:
        """The scores of a training, done now if it is not done yet.

        Raises:
            InputError: the training is the user's own and gives no scores of items.
            AttnasError: it failed.
        """
        kept = self._read(number, seed)
        if kept is None or self._lacks_weights(number, seed):
            again = "" if kept is None else " (again, for its weights)"
            self.say(f"{self.remaining:3d} to go: seed {seed}, {architecture}{again}")
            kept = self._train(architecture, number, seed)
        return kept

    def _lacks_weights(self, number: int | None, seed: int) -> bool:
        return self.weights is not None and not self.weights.are_kept(number, seed)

    def _path(self, number: int | None, seed: int) -> Path:
        return self.folder / f"{_name(number, seed, self.epochs)}.json"

    def _read(self, number: int | None, seed: int) -> ItemScores | None:
        """The scores of a training that is done; None if there is none to be read."""
        try:
            return ItemScores.from_dict(read(self._path(number, seed))["scores"])
        except (AttnasError, ValueError, KeyError, TypeError):
            return None  # none yet, of an earlier version, or changed since

    def _train(self, architecture: Architecture, number: int | None, seed: int) -> ItemScores:
        keep = None if self.weights is None else partial(self.weights.keep, number, seed)
        try:
            result = self.trainer.train(
                architecture, self.epochs, seed=seed, split="test", on_trained=keep
            )
        except TrainingFailed as error:
            raise AttnasError(
                f"seed {seed}, {architecture}: the training failed: {error}."
            ) from error
        if result.scores is None:
            raise InputError(
                "the training gives no scores of single items, which a confirmation compares. "
                "Return a pair: metrics, and one score an item.",
                key="training.function",
            )
        write_checked(self._path(number, seed), {"scores": result.scores.to_dict()})
        return result.scores
