"""Backbones: a plain network and the description of where blocks may stand in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import nn

from .errors import InputError, unknown
from .stages import MODES, Insertion, Mode, Stage, Unit
from .tracing import Site, trace

__all__ = ["Backbone", "Insertion", "Mode", "Site", "Stage", "Unit"]

KEY = "search_space.backbone"


@dataclass(frozen=True)
class Backbone:
    """A plain network by name and arguments, on one input shape.

    `name` is a registered backbone or `package.module:function`. `stages` describes where
    blocks may stand; left empty, the network's own `stages()` says so. Lists among the
    arguments are tuples here, and lists again for the function.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...]
    input_shape: tuple[int, int, int]  # channels, height, width
    classes: int
    stages: tuple[Stage, ...] = ()

    def __post_init__(self) -> None:
        if len(self.input_shape) != 3 or min(self.input_shape) < 1:
            raise ValueError(f"input_shape is (channels, height, width), not {self.input_shape}")
        if self.classes < 2:
            raise ValueError(f"a classifier needs at least 2 classes, not {self.classes}")

    @cached_property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages) or tuple(_traced(self))

    def network(self) -> nn.Module:
        """The plain network, made anew; its random weights come from torch's generator.

        Raises:
            InputError: there is no such network, or the arguments do not fit it.
        """
        # Here, since the networks describe themselves with classes of this module.
        from .backbones.registry import construct

        arguments = {name: thaw(value) for name, value in self.arguments}
        return construct(
            self.name, arguments, classes=self.classes, in_channels=self.input_shape[0]
        )

    def sites(self, stage: str) -> tuple[Mapping[str, Site], ...]:
        """The sites by placement of each unit of a stage, found by one forward; kept.

        Raises:
            InputError: no such stage, or the network does not run as its stages say.
        """
        traced = _traced(self)
        if stage not in traced:
            raise unknown("stage", stage, traced)
        return traced[stage]

    def to_dict(self) -> dict[str, Any]:
        """Plain types for YAML or JSON, from which `from_dict` makes an equal backbone."""
        plain: dict[str, Any] = {
            "name": self.name,
            "arguments": {name: thaw(value) for name, value in self.arguments},
            "input_shape": list(self.input_shape),
            "classes": self.classes,
        }
        if self.stages:
            plain["stages"] = [
                {"name": stage.name, "units": [_unit_to_dict(unit) for unit in stage.units]}
                for stage in self.stages
            ]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Backbone":
        """The backbone that `to_dict` wrote.

        Raises:
            InputError: it is not of that form.
        """
        try:
            channels, height, width = plain["input_shape"]
            return cls(
                name=str(plain["name"]),
                arguments=freeze_arguments(plain["arguments"]),
                input_shape=(int(channels), int(height), int(width)),
                classes=int(plain["classes"]),
                stages=tuple(
                    Stage(str(stage["name"]), tuple(map(_unit_from_dict, stage["units"])))
                    for stage in plain.get("stages", [])
                ),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                "a backbone has name, arguments, input_shape (channels, height, width), classes "
                f"and for a network of your own stages; this one does not: {error!r}.",
                key="backbone",
            ) from error


def freeze_arguments(arguments: Mapping[str, Any], *, key: str = "") -> tuple[tuple[str, Any], ...]:
    """Arguments as hashable pairs sorted by name, lists as tuples.

    Raises:
        InputError: a value is not a number, text, truth value, nothing or list of those.
    """
    return tuple(
        (str(name), _freeze(arguments[name], f"{key}.{name}" if key else str(name)))
        for name in sorted(arguments, key=str)
    )


def thaw(value: Any) -> Any:
    """The argument as YAML gives it: tuples become lists."""
    return [thaw(item) for item in value] if isinstance(value, tuple) else value


def _freeze(value: Any, key: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_freeze(item, f"{key}[{i}]") for i, item in enumerate(value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"an argument is a number, a text, true, false, null or a list of those, not {value!r}.",
        key=key,
    )


def _unit_to_dict(unit: Unit) -> dict[str, Any]:
    return {"path": unit.path, "sites": {name: {i.mode: i.path} for name, i in unit.insertions}}


def _unit_from_dict(plain: Mapping[str, Any]) -> Unit:
    insertions = []
    for placement, site in plain["sites"].items():
        [(mode, relative)] = site.items()
        if mode not in MODES:
            raise ValueError(f"'{mode}' is not one of {', '.join(MODES)}")
        insertions.append((str(placement), Insertion(mode, str(relative))))
    return Unit(str(plain["path"]), tuple(insertions))


@lru_cache(maxsize=64)
def _traced(backbone: Backbone) -> Mapping[str, tuple[Mapping[str, Site], ...]]:
    """The sites of all stages by stage name; torch's generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        network = backbone.network()
        return trace(
            network,
            backbone.stages or _own_stages(network),
            backbone.input_shape,
            backbone.classes,
            network_key=f"{KEY}.factory" if backbone.stages else KEY,
            stages_key=f"{KEY}.stages",
        )


def _own_stages(network: nn.Module) -> tuple[Stage, ...]:
    if not hasattr(network, "stages"):
        raise InputError(
            f"a {type(network).__name__} does not say where blocks may stand. Give its stages.",
            key=f"{KEY}.stages",
        )
    return network.stages()  # type: ignore[operator]
