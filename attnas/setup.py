"""From a config to the objects of a search."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from attnas.evaluator import (
    Constraint,
    Data,
    Device,
    Evaluator,
    FromBackbone,
    FromScratch,
    FromSupernet,
    LatencyTable,
    Recipe,
    Screening,
    Start,
    Table,
    TableEvaluator,
    TrainingEvaluator,
    device,
    load_data,
)
from attnas.results import PROXIES, Objective, metric
from attnas.search_space import Backbone, InputError, SearchSpace, import_plugins
from attnas.search_space.backbones import make_backbone
from attnas.strategies import Preparing, Resources, Strategy, make_strategy

from .config import BackboneConfig, Config, DataConfig
from .observer import Observer

PACKAGES = ("attnas", "torch", "numpy", "optuna", "fvcore", "pandas", "moocore", "scikit-learn")


@dataclass(frozen=True)
class Problem:
    """What is searched: the space, the objectives and the constraints, and the data if any."""

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    data: Data | None
    table: Table | None


def make_problem(config: Config) -> Problem:
    """Loads the data and builds the search space.

    Raises:
        InputError: the config names what does not exist or does not fit; with its key.
    """
    import_plugins(config.plugins)
    objectives = _objectives(config)
    constraints = _constraints(config)
    data = None if config.evaluator else read_data(config.data)
    backbone = read_backbone(config.search_space.backbone, data)
    wanted = config.search_space
    try:
        space = SearchSpace.create(
            backbone,
            blocks=wanted.blocks,
            ratios=wanted.ratios,
            placements=wanted.placements,
            stages={
                name: stage.model_dump(exclude_none=True) for name, stage in wanted.stages.items()
            },
            identity_start=wanted.identity_start,
        )
    except InputError as error:
        raise error.inside(key="search_space") from error
    table = None
    if config.evaluator:
        needed = [*(o.metric for o in objectives), *(c.metric for c in constraints)]
        needed += config.proxies or []
        if config.init not in (None, "scratch"):
            raise InputError("a table is replayed: nothing is trained. Leave it out.", key="init")
        table = Table.load(config.evaluator.table, space, metrics=needed)
        if config.training.epochs not in table.epochs:
            recorded = ", ".join(map(str, table.epochs))
            raise InputError(
                f"{table.path} has results after {recorded} epochs, not after "
                f"{config.training.epochs}.",
                key="training.epochs",
            )
    return Problem(space, objectives, constraints, data, table)


def read_data(config: DataConfig) -> Data:
    """The data that the config describes, split.

    Raises:
        InputError: as `load_data`, with the key.
    """
    return load_data(
        config.source,
        path=config.path,
        train=config.train,
        validation=config.validation,
        test=config.test,
        split_seed=config.split_seed,
        **config.options,
    )


def read_backbone(config: BackboneConfig, data: Data | None) -> Backbone:
    """The backbone that the config describes, on the shape and classes of the data.

    Without data (a table is replayed) it stands on 3 x 32 x 32 images of 10 classes.
    """
    shape = data.input_shape if data is not None else (3, 32, 32)
    classes = len(data.classes) if data is not None else 10
    return make_backbone(
        name=config.name,
        factory=config.factory,
        arguments={**config.arguments, **config.options},
        stages=config.stages,
        input_shape=shape,
        classes=classes,
    )


def make_evaluator(
    config: Config, problem: Problem, plain: Screening | None, checkpoints: Path | None = None
) -> Evaluator:
    """The evaluator; `plain` are the plain backbone's cheap metrics if the run has them.

    `checkpoints` is the run's folder for what may go on.
    """
    if problem.table is not None:
        return TableEvaluator(
            problem.table, problem.constraints, problem.space.plain, config.training.epochs
        )
    if problem.data is None:
        raise ValueError("a problem has data or a table")
    return TrainingEvaluator(
        problem.space.plain,
        problem.data,
        make_device(config),
        make_recipe(config),
        problem.constraints,
        seed=config.seed,
        training_device="cuda" if torch.cuda.is_available() else "cpu",
        plain=plain,
        checkpoints=None if checkpoints is None else checkpoints / "trials",
        start=make_start(config, problem, checkpoints),
        proxies=_proxies(config, problem),
    )


def make_start(config: Config, problem: Problem, checkpoints: Path | None) -> Start:
    """What trainings begin with; `checkpoints` is the run's folder.

    Raises:
        InputError: there are no such weights, or they are not the backbone's.
    """
    if config.init in (None, "scratch"):
        return FromScratch()
    if config.init != "supernet":
        return FromBackbone.read(config.init, problem.space.backbone)
    if checkpoints is None:
        raise ValueError("a supernet's weights lie in the folder of a run")
    return FromSupernet(problem.space, supernet_folder(config, checkpoints) / "supernet.pt")


def supernet_folder(config: Config, checkpoints: Path) -> Path:
    """Where a strategy that trains something of its own keeps that."""
    return checkpoints / config.strategy.name.replace(":", ".")


def _proxies(config: Config, problem: Problem) -> tuple[str, ...]:
    asked = {
        *(config.proxies or ()),
        *(o.metric for o in problem.objectives),
        *(c.metric for c in problem.constraints),
    }
    return tuple(name for name in PROXIES if name in asked)


def make_device(config: Config) -> Device:
    """The device that latency is measured on.

    Raises:
        InputError: the name or a setting is wrong.
        AttnasError: it needs a package that is not installed.
    """
    settings = config.device.model_dump(exclude_unset=True)  # a device may lack `threads`
    return device(settings.pop("name", config.device.name), **settings)


def make_recipe(config: Config) -> Recipe:
    """The recipe of the brief training."""
    return Recipe(**config.training.model_dump())


def make_searcher(config: Config, problem: Problem) -> Strategy:
    """The strategy.

    Raises:
        InputError: an unknown strategy or setting, the message names the nearest; one that
            trains no supernet, where trainings are to begin with its weights; or one that
            needs images, where a table is replayed.
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
    if isinstance(strategy, Preparing) and problem.data is None:
        raise InputError(
            f"'{config.strategy.name}' trains a network of its own, for which a table has no "
            "images. Leave out 'evaluator', or take another strategy.",
            key="strategy.name",
        )
    if config.init == "supernet" and not isinstance(strategy, Preparing):
        raise InputError(
            f"'{config.strategy.name}' trains no supernet. Take a strategy that does (darts, "
            "gdas, proxyless, oneshot), or give a file of weights.",
            key="init",
        )
    return strategy


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
    if problem.data is None:
        raise ValueError("without images nothing can be trained")

    def latency_table() -> LatencyTable:
        from .latency_tables import latency_table as make_table

        heard = partial(observer.preparing, "networks measured")
        return make_table(config, problem, evaluator, observer.note, progress=heard)

    return strategy.prepare(
        Resources(
            data=problem.data,
            recipe=make_recipe(config),
            constraints=problem.constraints,
            screen=evaluator.screen,
            latency_table=latency_table,
            folder=supernet_folder(config, checkpoints),
            training_device=getattr(evaluator, "training_device", "cpu"),
            progress=observer.preparing,
            note=observer.note,
        )
    )


def make_facts(config: Config, problem: Problem, plain: Screening) -> dict[str, Any]:
    """What a run must remember to be read without its config being interpreted again."""
    space = problem.space
    return {
        "plugins": list(config.plugins),
        "backbone": space.backbone.to_dict(),
        "identity_start": space.identity_start,
        "options": {
            stage: [str(choice) for choice in space.options(stage)] for stage in space.stage_names
        },
        "objectives": {o.metric: o.direction for o in problem.objectives},
        "constraints": {c.metric: str(c) for c in problem.constraints},
        "plain": asdict(plain),
        "data": dict(problem.data.facts) if problem.data is not None else {},
        "device": config.device.model_dump(),
        "recipe": config.training.model_dump(),
        "strategy": config.strategy.model_dump(),
        "seed": config.seed,
        "space_size": space.size,
    }


def environment(evaluator: Evaluator) -> dict[str, Any]:
    """Versions and machine, for a reader who wants to know what the figures hold for."""
    measured_on = getattr(evaluator, "device", None)
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "training_threads": torch.get_num_threads(),
        "training_device": getattr(evaluator, "training_device", "none"),
        "device": measured_on.describe() if measured_on is not None else {},
    }


def _objectives(config: Config) -> tuple[Objective, ...]:
    for name, way in config.objectives.items():
        try:
            better = metric(name).better
        except InputError as error:
            raise error.inside(key=f"objectives.{name}") from error
        if way != better:
            raise InputError(
                f"'{way}' looks for the worst. Write '{better}'.", key=f"objectives.{name}"
            )
    return tuple(Objective(name, way) for name, way in config.objectives.items())


def _constraints(config: Config) -> tuple[Constraint, ...]:
    found = []
    for name, text in config.constraints.items():
        try:
            constraint = Constraint.parse(name, text)
        except InputError as error:
            raise error.inside(key=f"constraints.{name}") from error
        if constraint.relative and not metric(name).cheap:
            raise InputError(
                f"'{text}' is relative to the plain backbone, whose {name} is known only after "
                "its training. Write an absolute bound.",
                key=f"constraints.{name}",
            )
        found.append(constraint)
    return tuple(found)


def run_folder(config: Config, runs: str | Path) -> Path:
    """Where the run of this config lives."""
    return Path(runs) / config.name


def screening_from(facts: Mapping[str, Any]) -> Screening:
    """The plain backbone's cheap metrics as a run remembers them."""
    plain = facts["plain"]
    intervals = {name: (low, high) for name, (low, high) in plain["intervals"].items()}
    return Screening(plain["metrics"], {}, intervals, tuple(plain["uncounted"]))
