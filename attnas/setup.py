"""From a config to the objects of a search: evaluator, trainer, strategy."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from attnas.core import METRICS, InputError, PredictedCost, Resources, Screening
from attnas.evaluator import (
    BatchProxies,
    Device,
    Evaluator,
    FromBackbone,
    FromScratch,
    FromSupernet,
    FunctionTrainer,
    Recipe,
    Screener,
    SharedTraining,
    Start,
    TableEvaluator,
    TaskTrainer,
    Trainer,
    TrainingEvaluator,
    additive_costs,
    device,
    refuse_leak,
)
from attnas.results import SUPERNET_FILE, Run, strategy_folder
from attnas.strategies import Preparing, Strategy, make_strategy

from .config import Config
from .limits import check_batch, check_runs
from .observer import Observer
from .problem import Problem


def training_device() -> str:
    """What trials are trained on."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_evaluator(
    config: Config, problem: Problem, plain: Screening | None, checkpoints: Path | None = None
) -> Evaluator:
    """The evaluator; `plain` are the plain backbone's cheap metrics if the run has them.

    `checkpoints` is the run's folder for what may go on.
    """
    if problem.table is not None:
        return TableEvaluator(
            problem.table,
            problem.constraints,
            problem.space.plain,
            config.training.epochs,
            seed=config.seed,
        )
    check_batch(config.device.batch_size, problem.space.backbone.input_shape)
    kept = None if checkpoints is None else checkpoints / "trials"
    asked = tuple(dict.fromkeys((*problem.metrics, *(config.metrics or ()))))
    screener = Screener(
        problem.space,
        make_device(config),
        problem.constraints,
        seed=config.seed,
        plain=plain,
        metrics=asked,
        proxies=_proxies(config, problem, asked),
        plugins=config.plugins,
    )
    start = make_start(config, problem, checkpoints)
    return TrainingEvaluator(screener, make_trainer(config, problem, start, kept, asked))


def make_trainer(
    config: Config,
    problem: Problem,
    start: Start,
    checkpoints: Path | None,
    metrics: tuple[str, ...] = (),
    *,
    recipe: Recipe | None = None,
) -> Trainer:
    """What trains: the built-in loop, or the user's function."""
    common: dict[str, Any] = {
        "seed": config.seed,
        "device": training_device(),
        "checkpoints": checkpoints,
        "start": start,
    }
    if problem.function is not None:
        label = str(config.training.function)
        return FunctionTrainer(problem.function, data=problem.data, label=label, **common)
    if problem.data is None or problem.task is None:
        raise ValueError("a problem has data and a task, a function or a table")
    return TaskTrainer(
        problem.data, problem.task, recipe or config.training, metrics=metrics, **common
    )


def make_start(config: Config, problem: Problem, checkpoints: Path | None) -> Start:
    """What trainings begin with; `checkpoints` is the run's folder.

    Raises:
        InputError: there are no such weights, or they are not the backbone's.
    """
    if config.init in (None, "scratch"):
        return FromScratch()
    if config.init != "supernet":
        varied = [d for d in problem.space.decisions if d.structural and d.kind == "argument"]
        if varied:
            raise InputError(
                f"weights of the plain backbone do not fit where '{varied[0].name}' is decided. "
                "Leave one of the two out.",
                key="init",
            )
        start = FromBackbone.read(config.init, problem.space.backbone)
        if problem.data is not None:
            refuse_leak(start.record, problem.data)
        return start
    if checkpoints is None:
        raise ValueError("a supernet's weights lie in the folder of a run")
    folder = strategy_folder(checkpoints, config.strategy.name)
    return FromSupernet(problem.space, folder / SUPERNET_FILE)


def _proxies(config: Config, problem: Problem, asked: tuple[str, ...]) -> BatchProxies | None:
    names = [name for name in asked if name in METRICS and METRICS[name].on_request]
    names = [name for name in names if METRICS[name].measure is None]
    if not names:
        return None
    if problem.data is None or problem.task is None:
        raise InputError(f"'{names[0]}' needs the built-in training's data.", key="metrics")
    return BatchProxies(names, problem.data, problem.task, config.training, seed=config.seed)


def in_its_precision(config: Config, run: Run) -> Config:
    """The config with the precision that `auto` was resolved to when the run began."""
    known = run.environment.get("precision")
    if config.training.precision != "auto" or known not in ("float32", "bfloat16"):
        return config
    recipe = config.training.model_copy(update={"precision": known})
    return config.model_copy(update={"training": recipe})


def make_device(config: Config) -> Device:
    """The device that latency is measured on.

    Raises:
        InputError: the name or a setting is wrong.
        AttnasError: it needs a package that is not installed.
    """
    settings = config.device.model_dump(exclude_unset=True)  # a device may lack `threads`
    return device(settings.pop("name", config.device.name), **settings)


def make_searcher(config: Config, problem: Problem) -> Strategy:
    """The strategy.

    Raises:
        InputError: an unknown strategy or setting, the message names the nearest; one that
            trains no supernet, where trainings are to begin with its weights; one that trains
            one, with a recipe that a supernet cannot follow; or one that needs images, or several
            seeds, where a table that has none is replayed.
    """
    settings: dict[str, Any] = config.strategy.options
    for key in ("space", "objectives", "epochs", "seed"):
        if key in settings:
            raise InputError("is not the strategy's to set: leave it out.", key=f"strategy.{key}")
    strategy = make_strategy(
        config.strategy.name,
        space=problem.space,
        objectives=problem.objectives,
        epochs=config.training.epochs,
        seed=config.seed,
        **settings,
    )
    if isinstance(strategy, Preparing) and (problem.data is None or problem.task is None):
        without = "a training of your own" if problem.function else "'evaluator'"
        raise InputError(
            f"'{config.strategy.name}' trains a network of its own by the built-in training. "
            f"Leave out {without}, or take another strategy.",
            key="strategy.name",
        )
    if getattr(strategy, "repeats", False) and problem.table and not problem.table.repeats:
        raise InputError(
            f"'{config.strategy.name}' trains with several seeds, and {problem.table.path} has one "
            "row an architecture. Take the strategy inside it alone, or a table with a column "
            "'seed' and rows for each.",
            key="strategy.name",
        )
    if isinstance(strategy, Preparing):
        _refuse_what_a_supernet_lacks(config)
    if config.init == "supernet" and not isinstance(strategy, Preparing):
        raise InputError(
            f"'{config.strategy.name}' trains no supernet. Take a strategy that does (darts, "
            "gdas, proxyless, oneshot), or give a file of weights.",
            key="init",
        )
    return strategy


def _refuse_what_a_supernet_lacks(config: Config) -> None:
    """The recipe trains the supernet, too, whose weights all architectures share."""
    recipe = config.training
    for name in ("freeze", "learning_rate_scale", "ema"):
        if getattr(recipe, name):
            raise InputError(
                f"'{config.strategy.name}' trains a supernet, which does without it. Leave it "
                "out, or take another strategy.",
                key=f"training.{name}",
            )


def prepared(
    strategy: Strategy,
    config: Config,
    problem: Problem,
    evaluator: Evaluator,
    checkpoints: Path,
    observer: Observer,
) -> Strategy:
    """The strategy that proposes; one that must train something of its own does so now.

    Raises:
        AttnasError: its training failed.
    """
    if not isinstance(strategy, Preparing):
        return strategy
    data, task, meter = problem.data, problem.task, evaluator.latency
    if data is None or task is None or meter is None:
        raise ValueError("without data nothing can be trained")

    def latency_table() -> PredictedCost:
        return meter.table(observer.note, partial(observer.preparing, "networks measured"))

    def training(seed: int) -> SharedTraining:
        return SharedTraining(
            problem.space, data, task, config.training, seed=seed, device=training_device()
        )

    return strategy.prepare(
        Resources(
            training=training,
            constraints=problem.constraints,
            screen=evaluator.screen,
            additive_costs=partial(additive_costs, problem.space),
            latency_table=latency_table,
            facts={
                "data": {key: value for key, value in data.facts.items() if key != "path"},
                "recipe": config.training.model_dump(),
                "task": config.task.model_dump(),
            },
            folder=strategy_folder(checkpoints, config.strategy.name),
            progress=observer.preparing,
            note=observer.note,
        )
    )


def run_folder(config: Config, runs: str | Path) -> Path:
    """Where the run of this config lives.

    Raises:
        InputError: `runs` is no folder.
    """
    check_runs(Path(runs))
    return Path(runs) / config.name
