"""The config of a search: what a YAML file may say, and how it is read."""

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from attnas.search_space import InputError

from .engine_config import EngineConfig
from .section import OpenSection, Section
from .yaml_file import read_yaml


class DataConfig(OpenSection):
    """The images and how they are split. Further keys are options of the source."""

    source: str = Field(
        "digits",
        description="`digits`, `folder`, `parquet`, `npz`, or your own `package.module:function`",
    )
    path: str | None = Field(None, description="file or folder, relative to the working directory")
    train: int | float | None = Field(
        None, description="training images: a count, a share below 1, or all that are left"
    )
    validation: int | float | None = Field(
        None, description="images that score the trials and are never trained on"
    )
    test: int | float | None = Field(
        None,
        description="images that only `confirm` and `train` look at, where the source has none",
    )
    split_seed: int = Field(0, ge=0, description="draws the splits, apart from the search's seed")


class BackboneConfig(OpenSection):
    """The network that gets the attention. Further keys are options of the named backbone."""

    name: str | None = Field(None, description="`resnet_cifar`, `resnet`, `mobilenetv2`")
    factory: str | None = Field(
        None, description="your own network: `package.module:function` that returns it"
    )
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="keyword arguments of the factory"
    )
    stages: dict[str, Any] | None = Field(
        None, description="where blocks may stand in your own network: units and sites by stage"
    )

    @model_validator(mode="after")
    def _one_of_name_and_factory(self) -> "BackboneConfig":
        if (self.name is None) == (self.factory is None):
            raise ValueError("give either 'name' (one of ours) or 'factory' (your own network)")
        if self.factory is not None and self.stages is None:
            raise ValueError("a 'factory' needs 'stages': the module paths where blocks may stand")
        return self


class StageConfig(Section):
    """What differs in one stage."""

    blocks: list[str] | None = Field(None, description="blocks allowed in this stage")
    ratios: list[int] | None = Field(None, description="ratios allowed in this stage")
    placements: list[str] | None = Field(None, description="placements allowed in this stage")
    choice: str | None = Field(
        None, description="freezes the stage to one choice, such as `se:r8@residual`"
    )


class SearchSpaceConfig(Section):
    """The backbone and the choices allowed per stage."""

    backbone: BackboneConfig = Field(
        default_factory=lambda: BackboneConfig(name="resnet_cifar"), description="the network"
    )
    blocks: list[str] = Field(
        ["none", "se", "eca", "cbam"], description="attention blocks to try; `none` is no block"
    )
    ratios: list[int] = Field(
        [4, 8, 16], description="reduction ratios to try in the blocks that have one"
    )
    placements: list[str] = Field(["residual"], description="where in a unit a block may stand")
    stages: dict[str, StageConfig] = Field(
        default_factory=dict, description="what differs in single stages, by stage name"
    )
    identity_start: bool = Field(
        True, description="blocks compute (nearly) the identity before training"
    )


class DeviceConfig(OpenSection):
    """What latency is measured on."""

    name: str = Field("torch-cpu", description="`attnas devices` lists all")
    threads: int = Field(1, ge=1, description="threads of the measured network")
    batch_size: int = Field(1, ge=1, description="images in the batch whose time is measured")


class StrategyConfig(OpenSection):
    """What proposes architectures. Further keys are settings of the strategy."""

    name: str = Field("local", description="`attnas strategies` lists all")


class TrainingConfig(Section):
    """The brief training of a trial: SGD with Nesterov momentum under a one-cycle rate."""

    epochs: int = Field(6, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=2, description="images a step")
    learning_rate: float = Field(0.03, gt=0, description="the peak of the one-cycle")
    momentum: float = Field(0.9, gt=0, lt=1, description="Nesterov momentum")
    weight_decay: float = Field(5e-4, ge=0, description="not applied to norms and biases")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly")
    warmup: float = Field(0.2, ge=0, lt=1, description="share of all steps in which the rate rises")
    half_resolution: float = Field(
        0.75, ge=0, le=1, description="share of the epochs that see images of half the side"
    )
    augment: Literal["auto", "flip_crop", "crop", "none"] = Field(
        "auto", description="drawn on whole batches; `auto` flips colour images only"
    )
    time_limit_s: float | None = Field(
        None,
        gt=0,
        description="seconds after which a trial's training counts as failed; a supernet's may "
        "take longer",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="`auto` takes bfloat16 where a probe shows that it is faster"
    )


class BudgetConfig(Section):
    """When a search ends. Architectures that break a constraint are not trained and not counted."""

    trials: int | None = Field(
        40,
        ge=1,
        description="trainings, that of the plain backbone included; no bound if `epochs` is given",
    )
    epochs: int | None = Field(
        None, ge=1, description="epochs over all trainings; one that goes on counts what it adds"
    )
    hours: float | None = Field(None, gt=0, description="hours of evaluation, over all resumptions")

    @model_validator(mode="before")
    @classmethod
    def _epochs_instead_of_trials(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("epochs") is not None:
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


def _accuracy_and_latency() -> dict[str, Literal["max", "min"]]:
    return {"accuracy": "max", "latency_ms": "min"}


class Config(Section):
    """A whole search."""

    name: str = Field(
        "search", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="of the run's folder"
    )
    data: DataConfig = Field(default_factory=DataConfig, description="images")
    search_space: SearchSpaceConfig = Field(
        default_factory=SearchSpaceConfig, description="what may be built"
    )
    objectives: dict[str, Literal["max", "min"]] = Field(
        default_factory=_accuracy_and_latency,
        min_length=1,
        description="metrics to push, and in which direction",
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
    training: TrainingConfig = Field(default_factory=TrainingConfig, description="brief training")
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="when to stop")
    seed: int = Field(0, ge=0, description="of proposals, initial weights and data order")
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
    proxies: list[Literal["synflow", "naswot", "grad_norm"]] | None = Field(
        None,
        description="zero-cost proxies to record beside the cheap metrics; those among the "
        "objectives and constraints are taken anyway",
    )
    plugins: list[str] = Field(
        default_factory=list,
        description="modules to import first: they register blocks, strategies, devices, backbones",
    )

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
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise InputError("a config is a mapping of keys. `attnas init` writes one.", file=str(path))
    for override in overrides:
        _apply(content, override)
    return parse_config(content, file=str(path))


def parse_config(content: Mapping[str, Any], file: str = "") -> Config:
    """Validates a config given as a mapping.

    Raises:
        InputError: as `load_config`.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        problems = [_readable(e) for e in error.errors(include_url=False)]
        first, *others = {p.key: p for p in problems}.values()
        more = "".join(f"\n{InputError(p.problem, key=p.key, file=file)}" for p in others)
        raise InputError(first.problem + more, key=first.key, file=file) from None


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
        raise InputError(f"cannot read '{override}'. Write --set dotted.key=value.", key="--set")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        inner = place.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise InputError(f"'{parent}' in '{key}' is not a section.", key="--set")
        place = inner
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"the value of '{override}' is not valid YAML.", key="--set") from error


def _readable(error: Any) -> InputError:
    """One of pydantic's errors as a sentence with its dotted key."""
    location = error["loc"]
    if location and location[-1] in ("int", "float"):  # what pydantic calls a number of any kind
        return _readable({**error, "loc": location[:-1], "type": "float_type"})
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    kind, message = error["type"], error["msg"]
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = get_close_matches(str(location[-1]), known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
        return InputError(f"unknown key '{location[-1]}'. {hint}", key=key)
    if kind in ("model_type", "dict_type"):
        given = "empty" if error["input"] is None else repr(error["input"])
        return InputError(f"must be a mapping of keys, not {given}.", key=key)
    if kind == "too_short":
        return InputError("is empty: give at least one.", key=key)
    if kind == "string_type" and location[0] == "constraints":
        return InputError(
            f"cannot read {error['input']!r}. Write it with its operator, as '<= 5'.", key=key
        )
    if kind == "missing":
        return InputError("is missing.", key=key)
    if kind == "value_error":
        return InputError(f"{error['ctx']['error']!s}.", key=key)
    if kind == "string_pattern_mismatch":
        return InputError(
            f"'{error['input']}' may have letters, digits, '.', '_' and '-' only, "
            "and begins with a letter or digit.",
            key=key,
        )
    if (wanted := next((w for k, w in _WANTED.items() if k in kind), None)) is None:
        wanted = message[0].lower() + message[1:]
        for theirs, ours in _PHRASES.items():
            wanted = wanted.replace(theirs, ours)
    given = "empty" if error["input"] is None else repr(error["input"])
    return InputError(f"{wanted}, not {given}.", key=key)


_WANTED = {  # by pydantic's kind of error, or a part of it
    "finite_number": "must be a finite number",
    "int_": "must be a whole number",
    "float_": "must be a number",
    "bool_": "must be true or false",
    "string_type": "must be a text",
    "list_type": "must be a list",
}
_PHRASES = {
    "input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "less than": "below",
    "greater than": "above",
}


def _known_keys(location: Sequence[int | str]) -> list[str]:
    """The keys of the section at that place of the config."""
    section: Any = Config
    for part in location:
        model = _model_in(section)
        if model is not None and part in model.model_fields:
            section = model.model_fields[str(part)].annotation
        elif get_origin(section) is dict:
            section = get_args(section)[1]
    model = _model_in(section)
    return sorted(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next((m for a in get_args(annotation) if (m := _model_in(a))), None)
    return None


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
            if (found := _model_in(annotation)) is not None:
                inner.append((path, found))
        pending = inner + pending
