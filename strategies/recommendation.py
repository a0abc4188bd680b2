"""What a weight-sharing strategy recommends, and the file that keeps it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnas.core import RECOMMENDATIONS_FORMAT, AttnasError, read, write_checked, writing

if TYPE_CHECKING:
    from attnas.search_space import Architecture, SearchSpace

Target = Mapping[str, float]
"""Upper bounds to aim at by metric, in the metric's unit; empty: the constraints alone."""


@dataclass(frozen=True)
class Recommendation:
    """An architecture with what the supernet says of it.

    `target` are the bounds that it was asked to keep. `predicted` has the inherited metrics of
    the task, `validation_loss` among them, and the costs that can be predicted. `undecided` has
    by decision the `entropy` of its architecture weights (nats) and the `margin` of the largest
    over the next, where there are any.
    """

    architecture: "Architecture"
    target: Target = field(default_factory=dict)
    predicted: Mapping[str, float] = field(default_factory=dict)
    undecided: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """All that a search on a supernet found.

    `candidates`: for each target its recommendations, the best first, and architectures
    without a target. `controls` are drawn at random, whatever the supernet says of them.
    `measured` are real costs of some, taken when the search ended; the `rejected` of them broke
    a constraint.
    """

    targets: tuple[Target, ...]
    candidates: tuple[Recommendation, ...]
    controls: tuple[Recommendation, ...]
    measured: "Mapping[Architecture, Mapping[str, float]]" = field(default_factory=dict)
    rejected: "frozenset[Architecture]" = frozenset()


def write_found(found: Found, facts: Mapping[str, Any], file: Path) -> None:
    """Writes it as JSON, whole or not at all.

    Raises:
        AttnasError: the file cannot be written.
    """
    content = {
        "format": RECOMMENDATIONS_FORMAT,
        "facts": facts,
        "targets": [dict(target) for target in found.targets],
        "candidates": [_written(entry) for entry in found.candidates],
        "controls": [_written(entry) for entry in found.controls],
        "measured": [
            {
                "architecture": architecture.by_name,
                "metrics": dict(metrics),
                "rejected": architecture in found.rejected,
            }
            for architecture, metrics in found.measured.items()
        ],
    }
    with writing(file, named=False):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_checked(file, content)


def read_found(
    file: Path, facts: Mapping[str, Any], space: "SearchSpace", note: Callable[[str], None]
) -> Found | None:
    """What an earlier call wrote; None, with a note, if it is of other facts or damaged."""
    if not file.exists():
        return None
    try:
        content = read(file)
        if content["format"] != RECOMMENDATIONS_FORMAT or content["facts"] != _plain(facts):
            note(f"{file} is of other settings or data: it is not used.")
            return None
        measured = [(space.architecture(e["architecture"]), e) for e in content["measured"]]
        return Found(
            tuple(content["targets"]),
            _read(content["candidates"], space),
            _read(content["controls"], space),
            {architecture: entry["metrics"] for architecture, entry in measured},
            frozenset(architecture for architecture, entry in measured if entry["rejected"]),
        )
    except (ValueError, KeyError, TypeError, AttnasError) as error:
        note(f"{file} is damaged and not used ({error}): the search on the supernet is repeated.")
        return None


def _written(entry: Recommendation) -> dict[str, Any]:
    return {
        "architecture": entry.architecture.by_name,
        "target": dict(entry.target),
        "predicted": dict(entry.predicted),
        "undecided": {name: dict(figures) for name, figures in entry.undecided.items()},
    }


def _read(entries: Sequence[Mapping[str, Any]], space: "SearchSpace") -> tuple[Recommendation, ...]:
    return tuple(
        Recommendation(
            space.architecture(e["architecture"]), e["target"], e["predicted"], e["undecided"]
        )
        for e in entries
    )


def _plain(facts: Mapping[str, Any]) -> Any:
    """As JSON gives them back: lists for tuples, text for keys."""
    return json.loads(json.dumps(facts))
