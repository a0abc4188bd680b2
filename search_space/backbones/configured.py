"""The backbone that a config describes."""

from collections.abc import Mapping
from typing import Any

from attnas.core import InputError

from ..backbone import Backbone, freeze_arguments
from ..stages import StagePattern, parse_stages
from .registry import KEY, default_arguments


def make_backbone(
    *,
    name: str | None = None,
    factory: str | None = None,
    arguments: Mapping[str, Any],
    stages: Mapping[str, Any] | None = None,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
) -> Backbone:
    """One of our backbones by `name`, or any network by `factory` and `stages`.

    Checked at once: the network is made and run. Arguments that are not given have their
    defaults in one of ours, so that equal networks are equal backbones.

    Raises:
        InputError: something of it is wrong; with its key.
    """
    if (name is None) == (factory is None):
        raise InputError("give either 'name' (one of ours) or 'factory' (your own).", key=KEY)
    if factory is None:
        if stages is not None:
            raise InputError(f"{name} describes its stages itself.", key=f"{KEY}.stages")
        made = str(name)
        if ":" in made:
            raise InputError(f"'{made}' is a function. Write it as 'factory'.", key=f"{KEY}.name")
        arguments = {**default_arguments(made), **arguments}
        key = KEY
    else:
        made, key = factory, f"{KEY}.arguments"
        if ":" not in made:
            raise InputError(
                f"cannot read '{made}'. Write 'package.module:function'.", key=f"{KEY}.factory"
            )
    frozen = freeze_arguments(arguments, key=key)
    parsed: tuple[StagePattern, ...] = ()
    if factory is not None:
        parsed = parse_stages(stages, key=f"{KEY}.stages")
    backbone = Backbone(made, frozen, input_shape, output_shape, parsed)
    backbone.units(backbone.stage_names[0])
    return backbone
