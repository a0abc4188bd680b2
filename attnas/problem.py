"""From a config to what is searched: data, task, space, objectives and constraints."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attnas.core import (
    METRICS,
    AttnasError,
    Constraint,
    InputError,
    Objective,
    described,
    import_own,
    import_plugins,
    metric,
)
from attnas.evaluator import (
    OFFERED,
    Data,
    Table,
    Task,
    check_recipe,
    check_source,
    device_class,
    load_data,
    make_task,
    needed_by,
    taken_by,
)
from attnas.search_space import Architecture, Backbone, SearchSpace, make_backbone

from .baselines import read_baselines
from .config import BackboneConfig, Config, DataConfig
from .limits import check_arguments


@dataclass(frozen=True)
class Problem:
    """What is searched: space, objectives, constraints, and what the figures come from.

    `data` and `task` are those of the built-in training, `function` is one of the user's own,
    `table` has recorded results instead of any. `baselines` are trained first, by name.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    data: Data | None = None
    task: Task | None = None
    table: Table | None = None
    function: Any = None
    baselines: Mapping[str, Architecture] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the objectives and constraints name."""
        names = (*(o.metric for o in self.objectives), *(c.metric for c in self.constraints))
        return tuple(dict.fromkeys(names))


def make_problem(config: Config) -> Problem:
    """Loads the data and builds the search space.

    Raises:
        InputError: the config names what does not exist or does not fit; with its key.
    """
    import_plugins(config.plugins)
    function = read_function(config)
    task = None if function else make_task(config.task.name, config.task.options)
    objectives = _objectives(config, task)
    constraints = _constraints(config, task)
    data = None if config.evaluator else read_data(config, task)
    backbone = read_backbone(config.search_space.backbone, data, task)
    if data is not None and task is not None:
        check_recipe(config.training, data, task, backbone)
    space = _space(config, backbone)
    _check_metrics(config)
    table = None
    if config.evaluator:
        needed = [*(o.metric for o in objectives), *(c.metric for c in constraints)]
        needed += config.metrics or []
        _check_unused(config)
        table = _table(config, space, needed)
    baselines = read_baselines(config.baselines, space)
    if table is not None:
        _check_recorded(baselines, table, config.training.epochs)
    return Problem(space, objectives, constraints, data, task, table, function, baselines)


def _check_unused(config: Config) -> None:
    """Options of data and device must be right also where a table is replayed."""
    if config.data is not None:
        check_source(config.data.source, config.data.path, config.data.options)
    settings = config.device.model_dump(exclude_unset=True)
    device_class(settings.pop("name", config.device.name), settings)


def _space(config: Config, backbone: Backbone) -> SearchSpace:
    wanted = config.search_space
    if wanted.backbone.name is not None:
        for name, values in wanted.arguments.items():
            for value in values:
                check_arguments({name: value}, "search_space.arguments")
    try:
        return SearchSpace.create(
            backbone,
            blocks=wanted.blocks,
            ratios=wanted.ratios,
            placements=wanted.placements,
            stages={
                name: stage.model_dump(exclude_none=True) for name, stage in wanted.stages.items()
            },
            per=wanted.per,
            arguments=wanted.arguments,
            depth=wanted.depth,
            decisions=wanted.decisions,
            identity_start=wanted.identity_start,
        )
    except InputError as error:
        raise error.inside(key="search_space") from error


def _table(config: Config, space: SearchSpace, needed: list[str]) -> Table:
    assert config.evaluator is not None
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
    return table


def _check_recorded(baselines: Mapping[str, Architecture], table: Table, epochs: int) -> None:
    for name, architecture in baselines.items():
        try:
            table.lookup(architecture, epochs)
        except AttnasError as error:
            raise InputError(f"'{name}': {error}", key="baselines") from error


def read_function(config: Config) -> Any:
    """The training function of the user's own; None if the built-in training is meant.

    Raises:
        InputError: it cannot be imported, or does not take a network.
    """
    if config.training.function is None or config.evaluator is not None:
        return None
    function = import_own(config.training.function, key="training.function")
    if "network" not in taken_by(function):
        raise InputError(
            f"'{config.training.function}' must take the keyword argument 'network'.",
            key="training.function",
        )
    lacking = [name for name in needed_by(function) if name not in OFFERED]
    if lacking:
        raise InputError(
            f"'{config.training.function}' needs '{lacking[0]}', which is not given to a training. "
            f"Give it a default, or take any of {', '.join(OFFERED)}.",
            key="training.function",
        )
    return function


def read_data(config: Config, task: Task | None) -> Data | None:
    """The data that the config describes, split; None if it describes none.

    Raises:
        InputError: as `load_data`, with the key; or none are described, which a task needs.
    """
    if config.data is None:
        if task is not None:
            raise InputError("is missing: the built-in training needs data.", key="data")
        return None
    # a training of one's own gets what the task of the config makes of the data
    return load(config.data, task or make_task(config.task.name, config.task.options))


def load(config: DataConfig, task: Task) -> Data:
    """The data of a section of a config."""
    return load_data(
        config.source,
        task,
        path=config.path,
        train=config.train,
        validation=config.validation,
        test=config.test,
        split_seed=config.split_seed,
        **config.options,
    )


def read_backbone(config: BackboneConfig, data: Data | None, task: Task | None) -> Backbone:
    """The backbone that the config describes, on the shape of the data and for the task.

    Where a table is replayed there are no data: it takes 3 x 32 x 32 images of 10 classes. Where
    a training of one's own has its own data, the config says the input's shape.
    """
    shape: tuple[int, ...] = (3, 32, 32)
    output: tuple[int, ...] = (10,)
    if data is not None:
        shape, output = data.input_shape, task.output_shape(data) if task is not None else ()
    elif task is None:
        output = ()
    if config.input_shape is not None:
        if data is not None:
            raise InputError(
                "is that of the data. Leave it out.", key="search_space.backbone.input_shape"
            )
        shape = tuple(config.input_shape)
    if config.name is not None and not output:  # of a training of one's own
        if data is None:
            raise InputError(
                "one of ours needs a number of classes, which data would give. Name a network of "
                "your own by 'factory', or give 'data'.",
                key="search_space.backbone.name",
            )
        output = (len(data.classes),)
    arguments = {**config.arguments, **config.options, **_loaded(config)}
    if config.name is not None:
        check_arguments(arguments, "search_space.backbone")
    try:
        return make_backbone(
            name=config.name,
            factory=config.factory,
            libraries=config.libraries,
            arguments=arguments,
            stages=config.stages,
            input_shape=shape,
            output_shape=output,
        )
    except SystemExit as error:
        raise InputError(
            f"'{config.factory}' ended the program (SystemExit) instead of returning a network.",
            key="search_space.backbone.factory",
        ) from error


def _loaded(config: BackboneConfig) -> dict[str, Any]:
    """What a library's model begins with, where the config says it."""
    given = {"pretrained": config.pretrained, "weights": config.weights}
    return {name: value for name, value in given.items() if value is not None}


def _check_metrics(config: Config) -> None:
    for i, name in enumerate(config.metrics or ()):
        try:
            metric(name)
        except InputError as error:
            raise error.inside(key=f"metrics[{i}]") from error


def _objectives(config: Config, task: Task | None) -> tuple[Objective, ...]:
    wanted = config.objectives
    if wanted is None:
        if task is None:
            raise InputError(
                "is missing: name a metric that your training returns, and its direction.",
                key="objectives",
            )
        wanted = {task.scored: metric(task.scored).better, "latency_ms": "min"}
    for name, way in wanted.items():
        if task is None and name not in METRICS:
            continue  # of a training of one's own
        try:
            better = metric(name).better
        except InputError as error:
            raise error.inside(key=f"objectives.{name}") from error
        if way != better:
            raise InputError(
                f"'{way}' looks for the worst. Write '{better}'.", key=f"objectives.{name}"
            )
        _check_given(name, task, f"objectives.{name}")
    return tuple(Objective(name, way) for name, way in wanted.items())


def _check_given(name: str, task: Task | None, key: str) -> None:
    """Refuses a metric that the task's scoring does not give."""
    if task is None or name in task.metrics:
        return
    known = metric(name)
    if known.cheap or known.measure is not None:
        return
    raise InputError(
        f"the task '{task.name}' does not give it, but {', '.join(task.metrics)}.", key=key
    )


def _constraints(config: Config, task: Task | None) -> tuple[Constraint, ...]:
    found = []
    for name, text in config.constraints.items():
        key = f"constraints.{name}"
        try:
            constraint = Constraint.parse(name, text, registered=task is not None)
        except InputError as error:
            raise error.inside(key=key) from error
        if constraint.relative and not described(name).cheap:
            raise InputError(
                f"'{text}' is relative to the plain backbone, whose {name} is known only after "
                "its training. Write an absolute bound.",
                key=key,
            )
        _check_given(name, task, key)
        found.append(constraint)
    return tuple(found)
