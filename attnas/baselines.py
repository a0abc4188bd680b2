"""Architectures that a person would have placed by hand, trained beside what a search finds."""

from collections.abc import Mapping, Sequence

from attnas.core import InputError, unknown
from attnas.search_space import Architecture, Attention, SearchSpace

Given = Sequence[str] | Mapping[str, str | Mapping[str, str]]


def read_baselines(given: Given, space: SearchSpace) -> dict[str, Architecture]:
    """The baselines of a config by name.

    An option alone (`se:r16@residual`) is that option everywhere it can be placed, and names the
    baseline where no name is given; a mapping gives options by decision. Decisions that are not
    named, or are frozen to one option, keep what they have. A baseline need not be in the space.

    Raises:
        InputError: an option or decision is unknown, nothing can be placed, or two baselines,
            or one and the plain backbone, are the same network; the key is `baselines...`.
    """
    named = given.items() if isinstance(given, Mapping) else [(option, option) for option in given]
    found: dict[str, Architecture] = {}
    for i, (name, wanted) in enumerate(named):
        key = f"baselines.{name}" if isinstance(given, Mapping) else f"baselines[{i}]"
        try:
            architecture = _architecture(wanted, space)
        except InputError as error:
            raise error.inside(key=key) from error
        if architecture.is_plain:
            raise InputError("is the plain backbone, which is trained anyway.", key=key)
        same = next((other for other, known in found.items() if known == architecture), None)
        if same is not None:
            raise InputError(f"is the same network as '{same}'. Leave one out.", key=key)
        found[name] = architecture
    return found


def _architecture(wanted: str | Mapping[str, str], space: SearchSpace) -> Architecture:
    options = space.plain.by_name
    options |= {name: only[0] for name, only in _lists(space).items() if len(only) == 1}
    for name in () if isinstance(wanted, str) else wanted:
        if name not in options:
            raise unknown("decision", name, options).inside(key=name)
    options |= _everywhere(wanted, space) if isinstance(wanted, str) else wanted
    try:
        return space.architecture(options)
    except InputError:
        return space.read(options)  # outside the space, or wrong, which this tells


def _lists(space: SearchSpace) -> dict[str, tuple[str, ...]]:
    return dict(zip(space.names, space.options, strict=True))


def _everywhere(option: str, space: SearchSpace) -> dict[str, str]:
    """The option for each decision on attention at which it can be placed."""
    decided = [
        decision
        for decision, options in zip(space.decisions, space.options, strict=True)
        if isinstance(decision, Attention) and len(options) > 1
    ]
    spelled = [decision.read(option) for decision in decided]
    placed = {
        decision.name: text
        for decision, text in zip(decided, spelled, strict=True)
        if decision.placed(text, space.backbone)
    }
    if not placed:
        raise InputError(f"'{option}' can be placed nowhere in {space.backbone.name}.")
    return placed
