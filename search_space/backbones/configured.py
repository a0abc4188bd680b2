"""The backbone that a config describes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from attnas.core import InputError

from ..backbone import Backbone, describes_itself, freeze_arguments
from ..stages import parse_stages
from .libraries import LIBRARIES
from .registry import KEY, default_arguments

_MAY_BE_HIDDEN = ("expanded", "residual", "pre")


def make_backbone(
    *,
    name: str | None = None,
    factory: str | None = None,
    arguments: Mapping[str, Any],
    stages: Mapping[str, Any] | None = None,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    libraries: Mapping[str, str | None] | None = None,
) -> Backbone:
    """One of our backbones by `name`, or any network by `factory` or by that of a library.

    `stages` say where blocks can be placed in a network that is not ours; without them that is
    found by running it (`discovery`). Checked at once: the network is made and run. Arguments
    that are not given have their defaults in one of ours, so that equal networks are equal
    backbones. `libraries` names a model by its library: {"timm": "convnext_tiny"}.

    Raises:
        InputError: something of it is wrong; with its key.
    """
    named = {library: model for library, model in (libraries or {}).items() if model is not None}
    if (name is not None) + (factory is not None) + len(named) != 1:
        others = ", ".join(f"'{library}'" for library in LIBRARIES)
        raise InputError(
            f"give one of 'name' (one of ours), 'factory' (your own), {others}.", key=KEY
        )
    key = f"{KEY}.arguments"
    if name is not None:
        if stages is not None:
            raise InputError(f"{name} describes its stages itself.", key=f"{KEY}.stages")
        if ":" in name:
            raise InputError(f"'{name}' is a function. Write it as 'factory'.", key=f"{KEY}.name")
        made, key = name, KEY
        arguments = {**default_arguments(made), **arguments}
    elif factory is not None:
        made = factory
        if ":" not in made:
            raise InputError(
                f"cannot read '{made}'. Write 'package.module:function'.", key=f"{KEY}.factory"
            )
    else:
        [(library, model)] = named.items()
        made = f"{library}/{model}"
    frozen = freeze_arguments(arguments, key=key)
    parsed = () if stages is None else parse_stages(stages, key=f"{KEY}.stages")
    backbone = Backbone(made, frozen, input_shape, output_shape, parsed)
    if name is None and stages is None:
        backbone = _discovered(backbone)
    backbone.units(backbone.stage_names[0])
    return backbone


def _discovered(backbone: Backbone) -> Backbone:
    """The backbone with the stages that are found, unless its network describes itself."""
    import torch

    from ..discovery import discover

    with torch.random.fork_rng(devices=[]):
        network = backbone.network()
        if describes_itself(network):
            return backbone
        found = discover(network, backbone.input_shape, key=f"{KEY}.stages")
    return _running(replace(backbone, stages=found.stages))


def _running(backbone: Backbone) -> Backbone:
    """The backbone, without a placement that keeps its network from running with blocks in it:
    some look into their modules, which a block before or behind hides.

    Raises:
        InputError: it does not run without any one of them either.
    """
    try:
        backbone.units("")
    except InputError:
        for placement in _MAY_BE_HIDDEN:
            fewer = tuple(
                replace(stage, sites=tuple(site for site in stage.sites if site[0] != placement))
                for stage in backbone.stages
            )
            found = replace(backbone, stages=tuple(stage for stage in fewer if stage.sites))
            try:
                found.units("")
            except InputError:
                continue
            return found
        raise
    return backbone
