"""The search space in NNI's format, and back.

Source of the format: NNI 3.0, "Search Space",
https://nni.readthedocs.io/en/v3.0/hpo/search_space.html.
"""

from collections.abc import Mapping
from typing import Any

from .backbone import Backbone
from .choice import Choice
from .errors import InputError, unknown
from .options import can_stand, checked, realisation
from .space import SearchSpace


def to_nni_json(space: SearchSpace) -> dict[str, Any]:
    """`{"layer1": {"_type": "choice", "_value": ["none", "se:r4@residual"]}, ...}`.

    One entry per stage, in order; a frozen stage has one value. Every tuner of NNI that takes
    `choice` takes it, but those that want numbers (GP, Metis).
    """
    return {
        stage: {"_type": "choice", "_value": [str(choice) for choice in options]}
        for stage, options in zip(space.stage_names, space.allowed, strict=True)
    }


def from_nni_json(
    content: Mapping[str, Any], backbone: Backbone, *, identity_start: bool = True
) -> SearchSpace:
    """The space on that backbone that `to_nni_json` wrote, or that was written by hand.

    The order of the values is kept. Of several spellings of one network the first stands for
    all. How the blocks start is not in NNI's format.

    Raises:
        InputError: a stage is unknown or missing, its type is not `choice`, or a value is no
            choice that can stand there; the key is the place in the content.
    """
    if not isinstance(content, Mapping):
        raise InputError("must be an object with one entry per stage.")
    for stage in content:
        if stage not in backbone.stage_names:
            raise unknown("stage", stage, backbone.stage_names).inside(key=str(stage))
    allowed = tuple(_options(content.get(stage), stage, backbone) for stage in backbone.stage_names)
    return SearchSpace(backbone, allowed, identity_start)


def _options(entry: Any, stage: str, backbone: Backbone) -> tuple[Choice, ...]:
    example = '{"_type": "choice", "_value": ["none"]}'
    if entry is None:
        raise InputError(f"is missing. Write {example} for no attention there.", key=stage)
    if not isinstance(entry, Mapping) or entry.get("_type") != "choice":
        raise InputError(f"must be of the type 'choice', such as {example}.", key=stage)
    values = entry.get("_value")
    if not isinstance(values, list) or not values:
        raise InputError("must be a list of choices, with one at least.", key=f"{stage}._value")
    distinct: dict[Any, Choice] = {}
    for i, value in enumerate(values):
        try:
            choice = _standing(value, stage, backbone)
        except InputError as error:
            raise error.inside(key=f"{stage}._value[{i}]") from error
        distinct.setdefault(realisation(backbone, stage, choice), choice)
    return tuple(distinct.values())


def _standing(value: Any, stage: str, backbone: Backbone) -> Choice:
    if not isinstance(value, str):
        raise InputError(f"must be a choice as text, such as 'se:r8@residual', not {value!r}.")
    choice = checked(Choice.parse(value))
    if not can_stand(backbone, stage, choice):
        raise InputError(f"the choice '{choice}' cannot stand in {stage}.")
    return choice
