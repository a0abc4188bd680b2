"""Backbones: a plain network and the description of where blocks can be placed in it."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from attnas.core import InputError, unknown

from .stages import Stage, StagePattern, expand

if TYPE_CHECKING:
    from torch import nn

    from .tracing import Site, TracedUnit

KEY = "search_space.backbone"


@dataclass(frozen=True)
class Backbone:
    """A plain network by name and arguments, on one shape of input.

    `name` is a registered backbone, `package.module:function`, or a model of a library such as
    `timm/mobilenetv3_small_100`. `stages` describes where
    blocks can be placed; left empty, the network's own `stages()` says so. Lists among the
    arguments are tuples here, and lists again for the function. `output_shape` is what the
    network gives for one input; its first size, the number of classes or the like, is what the
    function gets as `classes`. Empty: whatever the network gives.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...]
    input_shape: tuple[int, ...]  # of images: channels, height, width
    output_shape: tuple[int, ...]
    stages: tuple[StagePattern, ...] = ()

    def __post_init__(self) -> None:
        if not self.input_shape or min(self.input_shape) < 1:
            raise ValueError(f"input_shape has sizes of at least 1, not {self.input_shape}")
        if self.output_shape and min(self.output_shape) < 1:
            raise ValueError(f"output_shape has sizes of at least 1, not {self.output_shape}")

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """The fields without the kept hash: that of a string is another in another process."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _hash(self) -> int:
        return hash((self.name, self.arguments, self.input_shape, self.output_shape, self.stages))

    @cached_property
    def stage_names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages) or tuple(_traced(self))

    def with_arguments(self, arguments: Mapping[str, Any]) -> "Backbone":
        """The backbone whose function gets these arguments instead of its own of that name."""
        changed = {name: freeze(value, name) for name, value in arguments.items()}
        together = {**dict(self.arguments), **changed}
        return replace(self, arguments=tuple(sorted(together.items())))

    def network(self) -> "nn.Module":
        """The plain network, made anew; its random weights come from torch's generator.

        Raises:
            InputError: there is no such network, or the arguments do not fit it.
        """
        # Here, since the networks describe themselves with classes of this package.
        from .backbones import construct

        arguments = {name: thaw(value) for name, value in self.arguments}
        return construct(
            self.name,
            arguments,
            classes=self.output_shape[0] if self.output_shape else None,
            input_shape=self.input_shape,
        )

    def replaces(self, stage: str) -> bool:
        """Whether a described stage has sites in place of modules that are there.

        What a network says of itself names where blocks are added, not what it has already.
        """
        found = (pattern for pattern in self.stages if pattern.name == stage)
        return any(
            insertion.mode == "replace" for pattern in found for _, insertion in pattern.sites
        )

    def units(self, stage: str) -> "tuple[TracedUnit, ...]":
        """The units of a stage with their sites, found by one forward; kept. () if it has none.

        Raises:
            InputError: the network does not run as its stages say.
        """
        return _traced(self).get(stage, ())

    def sites(self, stage: str) -> "tuple[Mapping[str, Site], ...]":
        """The sites by placement of each unit of a stage.

        Raises:
            InputError: no such stage, or the network does not run as its stages say.
        """
        if stage not in _traced(self):
            raise unknown("stage", stage, _traced(self))
        return tuple(unit.sites for unit in self.units(stage))

    def to_dict(self) -> dict[str, Any]:
        """Plain types for YAML or JSON, from which `from_dict` makes an equal backbone."""
        plain: dict[str, Any] = {
            "name": self.name,
            "arguments": {name: thaw(value) for name, value in self.arguments},
            "input_shape": list(self.input_shape),
            "output_shape": list(self.output_shape),
        }
        if self.stages:
            plain["stages"] = [stage.to_dict() for stage in self.stages]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Backbone":
        """The backbone that `to_dict` wrote, also in format 1, which knew classes alone.

        Raises:
            InputError: it is not of that form.
        """
        try:
            output = plain["output_shape"] if "output_shape" in plain else [plain["classes"]]
            return cls(
                name=str(plain["name"]),
                arguments=freeze_arguments(plain["arguments"]),
                input_shape=tuple(int(size) for size in plain["input_shape"]),
                output_shape=tuple(int(size) for size in output),
                stages=tuple(map(StagePattern.from_dict, plain.get("stages", []))),
            )
        except InputError as error:
            raise error.inside(key="backbone.stages") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                "a backbone has name, arguments, input_shape, output_shape and for a network of "
                f"your own stages; this one does not: {error!r}.",
                key="backbone",
            ) from error


def freeze_arguments(arguments: Mapping[str, Any], *, key: str = "") -> tuple[tuple[str, Any], ...]:
    """Arguments as hashable pairs sorted by name, lists as tuples.

    Raises:
        InputError: a value is not a number, string, truth value, nothing or list of those.
    """
    return tuple(
        (str(name), freeze(arguments[name], f"{key}.{name}" if key else str(name)))
        for name in sorted(arguments, key=str)
    )


def thaw(value: Any) -> Any:
    """The argument as YAML gives it: tuples become lists."""
    return [thaw(item) for item in value] if isinstance(value, tuple) else value


def freeze(value: Any, key: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(freeze(item, f"{key}[{i}]") for i, item in enumerate(value))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(
        f"an argument is a number, a string, true, false, null or a list of those, not {value!r}.",
        key=key,
    )


@lru_cache(maxsize=4096)
def _traced(backbone: Backbone) -> "Mapping[str, tuple[TracedUnit, ...]]":
    """The units of all stages by stage name; torch's generator is left as it was."""
    import torch

    from .tracing import trace

    with torch.random.fork_rng(devices=[]):
        network = backbone.network()
        return trace(
            network,
            expand(network, backbone.stages, key=f"{KEY}.stages")
            if backbone.stages
            else _own_stages(network),
            backbone.input_shape,
            backbone.output_shape,
            network_key=f"{KEY}.factory" if backbone.stages else KEY,
            stages_key=f"{KEY}.stages",
        )


def describes_itself(network: "nn.Module") -> bool:
    """Whether the network's class has a method `stages` that needs no argument."""
    method = getattr(type(network), "stages", None)
    if not callable(method):  # such as a submodule of that name
        return False
    parameters = list(inspect.signature(method).parameters.values())
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not p.empty or p.kind in kinds for p in parameters[1:])


def _own_stages(network: "nn.Module") -> tuple[Stage, ...]:
    if not describes_itself(network):
        raise InputError(
            f"a {type(network).__name__} does not say where blocks can be placed. Give its stages.",
            key=f"{KEY}.stages",
        )
    return network.stages()  # type: ignore[operator]
