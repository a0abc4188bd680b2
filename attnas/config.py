"""The config of a search: what a YAML file may say, and how it is read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, model_validator

from attnas.core import (
    InputError,
    OpenSection,
    Section,
    model_in,
    parse_yaml,
    shortened,
    validated,
    without_passwords,
)
from attnas.evaluator import Recipe

from .backbone_config import BackboneConfig
from .engine_config import EngineConfig
from .limits import check_finite
from .yaml_file import read_yaml


class DataConfig(OpenSection):
    """The data and how they are split. Further keys are options of the source."""

    source: str = Field(
        "digits",
        description="where the data are from: {sources}, or your own `package.module:function`",
    )
    path: str | None = Field(None, description="file or folder, relative to the working directory")
    train: int | float | None = Field(
        None, description="training items: a count, a share below 1, or all that are left"
    )
    validation: int | float | None = Field(
        None, description="items that score the trials and are never trained on"
    )
    test: int | float | None = Field(
        None,
        description="items that only `confirm` and `train` look at, where the source has none",
    )
    split_seed: int = Field(
        0, ge=0, lt=2**63, description="draws the splits, apart from the search's seed"
    )


class StageConfig(Section):
    """What differs in one stage."""

    blocks: list[str] | None = Field(None, description="blocks allowed in this stage")
    ratios: list[int] | None = Field(None, description="ratios allowed in this stage")
    placements: list[str] | None = Field(None, description="placements allowed in this stage")
    per: str | None = Field(None, description="`unit` decides for each unit of this stage")
    depth: list[int] | None = Field(None, description="numbers of units to keep in this stage")
    choice: str | None = Field(
        None, description="freezes the attention of the stage, such as `se:r8@residual`"
    )


class SearchSpaceConfig(Section):
    """The backbone and what is decided: attention, arguments, depth."""

    backbone: BackboneConfig = Field(
        default_factory=lambda: BackboneConfig(name="resnet_cifar"), description="the network"
    )
    blocks: list[str] = Field(
        ["none", "se", "eca", "cbam"],
        description="attention blocks to try (`attnas blocks`); `none` is no attention, `keep` "
        "what the network has already; `gates`, `mixers`, `units` and `light` stand for many",
    )
    ratios: list[int] = Field(
        [4, 8, 16], description="ratios to try; a block takes those that it knows, if any"
    )
    placements: list[str] = Field(["residual"], description="where in a unit a block is placed")
    per: str = Field("stage", description="`stage`, or `unit` for a decision for every unit")
    depth: list[int] = Field(
        default_factory=list,
        description="numbers of units of a stage to keep; the others are skipped",
    )
    arguments: dict[str, list[Any]] = Field(
        default_factory=dict,
        description="values of arguments of the backbone's function that are decisions too",
    )
    decisions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="decisions of other kinds by name: `kind`, `options` and the kind's own keys",
    )
    stages: dict[str, StageConfig] = Field(
        default_factory=dict, description="what differs in single stages, by stage name"
    )
    identity_start: bool = Field(
        True, description="blocks compute (nearly) the identity before training"
    )


class DeviceConfig(OpenSection):
    """What latency is measured on."""

    name: str = Field("torch-cpu", description="`attnas devices` lists all")
    threads: int = Field(1, ge=1, le=4096, description="threads of the measured network")
    batch_size: int = Field(1, ge=1, description="images in the batch whose time is measured")


class StrategyConfig(OpenSection):
    """What proposes architectures. Further keys are settings of the strategy."""

    name: str = Field("model", description="`attnas strategies` lists all")


class TaskConfig(OpenSection):
    """What the network is for. Further keys are settings of the task."""

    name: str = Field("classification", description="{tasks}, or your own `package.module:Class`")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class BudgetConfig(Section):
    """When a search ends. Architectures that break a constraint are not trained and not counted."""

    trials: int | None = Field(
        40,
        ge=1,
        description="trainings, that of the plain backbone included; no bound if `epochs` or "
        "`hours` is given",
    )
    epochs: int | None = Field(
        None, ge=1, description="epochs over all trainings; one that goes on counts what it adds"
    )
    hours: float | None = Field(None, gt=0, description="hours of evaluation, over all resumptions")

    @model_validator(mode="before")
    @classmethod
    def _another_instead_of_trials(cls, given: Any) -> Any:
        others = ("epochs", "hours")
        if isinstance(given, dict) and any(given.get(name) is not None for name in others):
            return {"trials": None, **given}
        return given

    @model_validator(mode="after")
    def _bounded(self) -> "BudgetConfig":
        if self.trials is None and self.epochs is None and self.hours is None:
            raise ValueError("give 'trials', 'epochs' or 'hours': a search must end")
        return self


class EvaluatorConfig(Section):
    """Replays recorded results instead of training and measuring."""

    table: str = Field(description="Parquet or CSV: one row an architecture and fidelity")


class Config(Section):
    """A whole search."""

    name: str = Field(
        "search",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        max_length=200,
        description="of the run's folder",
    )
    data: DataConfig | None = Field(
        default_factory=DataConfig,
        description="the data; none where a training of your own brings its own",
    )
    task: TaskConfig = Field(default_factory=TaskConfig, description="what the network is for")
    search_space: SearchSpaceConfig = Field(
        default_factory=SearchSpaceConfig, description="what may be built"
    )
    baselines: list[str] | dict[str, str | dict[str, str]] = Field(
        default_factory=list,
        description="architectures that one would place by hand, trained first and confirmed with "
        "the winner: options to place everywhere (`se:r16@residual`), or by name an option or a "
        "mapping of decisions to options",
    )
    objectives: dict[str, Literal["max", "min"]] | None = Field(
        None,
        min_length=1,
        description="metrics to push, and in which direction; the task's metric and latency_ms "
        "if not given",
    )
    constraints: dict[str, str] = Field(
        default_factory=dict,
        description="bounds by metric: `<= 5`, or `<= 1.15x` of the plain backbone",
    )
    device: DeviceConfig = Field(default_factory=DeviceConfig, description="where latency counts")
    screening: Literal["measured", "table"] | None = Field(
        None,
        description="`table`: candidates that the latency table is sure to break the bound are "
        "rejected unmeasured; `measured`, or nothing: all are measured",
    )
    strategy: StrategyConfig = Field(default_factory=StrategyConfig, description="the searcher")
    training: Recipe = Field(default_factory=Recipe, description="brief training")
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="when to stop")
    seed: int = Field(0, ge=0, lt=2**63, description="of proposals, initial weights and data order")
    engine: EngineConfig = Field(
        default_factory=EngineConfig, description="what runs the trials: `local`, or `ray: {...}`"
    )
    evaluator: EvaluatorConfig | None = Field(None, description="a table instead of training")
    storage: str | None = Field(
        None,
        description="database URL of the trials (postgresql://user:$PASSWORD@host/name); a SQLite "
        "file in the run's folder if not given",
    )
    warm_start: str | None = Field(
        None,
        description="name or folder of an older run of the same space, data, device and recipe, "
        "whose trials the strategy begins with",
    )
    init: str | None = Field(
        None,
        description="what trainings begin with: `scratch`, or nothing; `supernet`, that of the "
        "strategy; or a file with the weights of the trained plain backbone",
    )
    metrics: list[str] | None = Field(
        None,
        description="metrics to record beside the usual ones: zero-cost proxies ({proxies}) and "
        "your own; those among the objectives and constraints are taken anyway",
    )
    plugins: list[str] = Field(
        default_factory=list,
        description="modules to import first: they register blocks, strategies, tasks and others",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, given: Any) -> Any:
        """Takes keys where earlier versions had them."""
        if not isinstance(given, dict):
            return given
        given = dict(given)
        if "proxies" in given:
            proxies = given.pop("proxies")
            given["metrics"] = [*(given.get("metrics") or ()), *(proxies or ())] or None
        training = given.get("training")
        if isinstance(training, dict) and "label_smoothing" in training:
            training = dict(training)
            if not training["label_smoothing"]:
                del training["label_smoothing"]
                return {**given, "training": training}
            task = given.get("task", "classification")
            task = {"name": task} if isinstance(task, str) else dict(task)
            given["task"] = {"label_smoothing": training.pop("label_smoothing"), **task}
            given["training"] = training
        return given

    @model_validator(mode="before")
    @classmethod
    def _data_of_own_training(cls, given: Any) -> Any:
        """A training of one's own has no data unless the config says so."""
        if not isinstance(given, dict) or "data" in given:
            return given
        training = given.get("training")
        own = isinstance(training, dict) and training.get("function") is not None
        return {**given, "data": None} if own else given

    @model_validator(mode="before")
    @classmethod
    def _usual_objectives(cls, given: Any) -> Any:
        """Accuracy and latency, if nothing else is asked for."""
        if not isinstance(given, dict) or given.get("objectives") is not None:
            return given
        task, training = given.get("task", "classification"), given.get("training")
        name = task.get("name", "classification") if isinstance(task, dict) else task
        own = isinstance(training, dict) and training.get("function") is not None
        if name != "classification" or own or "objectives" in given:
            return given
        return {**given, "objectives": {"accuracy": "max", "latency_ms": "min"}}

    @model_validator(mode="before")
    @classmethod
    def _epochs_of_halving(cls, given: Any) -> Any:
        """Takes `training.epochs` from `strategy.max_epochs` where it is not given."""
        if not isinstance(given, dict):
            return given
        strategy, training = given.get("strategy"), given.get("training", {})
        if not isinstance(strategy, dict) or not isinstance(training, dict):
            return given
        most = strategy.get("max_epochs") if strategy.get("name") == "halving" else None
        if most is None or "epochs" in training:
            return given
        return {**given, "training": {**training, "epochs": most}}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a config file; `overrides` are `dotted.key=value` with the value in YAML.

    Raises:
        InputError: anything in it is wrong; the message names file, key and remedy.
    """
    content = read_content(path)
    for override in overrides:
        _apply(content, override)
    return parse_config(content, file=str(path))


def read_content(path: str | Path) -> dict[str, Any]:
    """What a config file says, not yet held against what a config may say.

    Raises:
        InputError: it is no YAML, or no mapping.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError("a config is a mapping of keys. `attnas init` writes one.", file=str(path))
    return content


def parse_config(content: Mapping[str, Any], file: str = "") -> Config:
    """Validates a config given as a mapping.

    Raises:
        InputError: as `load_config`.
    """
    config = validated(Config, content, file=file)
    try:
        check_finite(content)  # those that go on to data, devices, strategies as they are
    except InputError as error:
        raise error.inside(file=file) from error
    return config


@contextmanager
def read_from(file: str | Path) -> Iterator[None]:
    """Names the config's file in errors on its keys that are found after it was read."""
    try:
        yield
    except InputError as error:
        if error.file or not error.key:
            raise
        raise error.inside(file=str(file)) from error


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        shown = without_passwords(shortened(override))
        raise InputError(f"cannot read '{shown}'. Write --set dotted.key=value.", key="--set")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"'{parent}' in '{key}' is not a section.", key="--set")
        place = inner
    try:
        place[last] = parse_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        shown = without_passwords(shortened(override))
        raise InputError(f"the value of '{shown}' is not valid YAML.", key="--set") from error


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of the config by its dotted key, in the order of the file."""
    pending: list[tuple[str, type[BaseModel]]] = [("", Config)]
    while pending:
        key, model = pending.pop(0)
        yield key, model
        inner = []
        for name, field in model.model_fields.items():
            annotation, path = field.annotation, f"{key}.{name}" if key else name
            if get_origin(annotation) is dict:
                annotation, path = get_args(annotation)[1], f"{path}.STAGE"
            if (found := model_in(annotation)) is not None:
                inner.append((path, found))
        pending = inner + pending
