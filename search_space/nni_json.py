"""The search space in NNI's format, and back.

Source of the format: NNI 3.0, "Search Space",
https://nni.readthedocs.io/en/v3.0/hpo/search_space.html.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attnas.core import InputError, unknown

from .architecture import stage_decisions
from .backbone import Backbone
from .configured import variants_of
from .decisions.decision import Decision
from .space import SearchSpace


def to_nni_json(space: SearchSpace) -> dict[str, Any]:
    """`{"layer1": {"_type": "choice", "_value": ["none", "se:r4@residual"]}, ...}`.

    One entry per decision, in order; a frozen one has one value. Every tuner of NNI that takes
    `choice` takes it, but those that want numbers (GP, Metis).
    """
    return {
        name: {"_type": "choice", "_value": list(options)}
        for name, options in zip(space.names, space.options, strict=True)
    }


def from_nni_json(
    content: Mapping[str, Any],
    backbone: Backbone,
    decisions: Sequence[Decision] | None = None,
    *,
    identity_start: bool = True,
) -> SearchSpace:
    """The space on that backbone that `to_nni_json` wrote, or that was written by hand.

    Without `decisions`, one for the attention of each stage. The order of the values is kept. Of
    several spellings of one network the first represents all. How the blocks start is not in
    NNI's format.

    Raises:
        InputError: a decision is unknown or missing, its type is not `choice`, or a value is no
            option that can be applied; the key is the place in the content.
    """
    if not isinstance(content, Mapping):
        raise InputError("must be an object with one entry per decision.")
    decided = stage_decisions(backbone) if decisions is None else tuple(decisions)
    names = [decision.name for decision in decided]
    for name in content:
        if name not in names:
            raise unknown("decision", name, names).inside(key=str(name))
    read = [(d, _read(content.get(d.name), d)) for d in decided]
    varied = [(d, texts) for d, texts in read if any(map(d.arguments, texts))]
    variants = variants_of(backbone, varied)
    options = tuple(_distinct(d, texts, variants) for d, texts in read)
    return SearchSpace(backbone, decided, options, identity_start)


def _read(entry: Any, decision: Decision) -> tuple[str, ...]:
    """The options of a decision in their usual spelling."""
    name, example = decision.name, '{"_type": "choice", "_value": ["none"]}'
    if entry is None:
        raise InputError(f"is missing. Write {example} for no attention there.", key=name)
    if not isinstance(entry, Mapping) or entry.get("_type") != "choice":
        raise InputError(f"must be of the type 'choice', such as {example}.", key=name)
    values = entry.get("_value")
    if not isinstance(values, list) or not values:
        raise InputError("must be a list of options, with one at least.", key=f"{name}._value")
    read: list[str] = []
    for i, value in enumerate(values):
        key = f"{name}._value[{i}]"
        if not isinstance(value, str):
            raise InputError(
                f"must be an option as a string, such as 'se:r8@residual', not {value!r}.", key=key
            )
        try:
            read.append(decision.read(value))
        except InputError as error:
            raise error.inside(key=key) from error
    return tuple(read)


def _distinct(
    decision: Decision, options: Sequence[str], variants: Sequence[Backbone]
) -> tuple[str, ...]:
    """The options that are another network on some variant; each must do something on one."""
    distinct: dict[Any, str] = {}
    for i, option in enumerate(options):
        arguments = tuple(sorted(decision.arguments(option).items()))
        edits = tuple(decision.edits(option, variant) for variant in variants)
        plain = any(option == decision.plain(variant) for variant in variants)
        if not arguments and not any(edits) and not plain:
            raise InputError(
                f"the option '{option}' cannot be placed in {decision.name}.",
                key=f"{decision.name}._value[{i}]",
            )
        distinct.setdefault((arguments, edits), option)
    return tuple(distinct.values())
