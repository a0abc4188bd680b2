"""What the trials of a run say of the supernet that recommended some of them, from its files."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnas.core import (
    ENOUGH,
    RECOMMENDATIONS_FILE,
    AttnasError,
    SupernetRanking,
    Trial,
    read,
    supernet_ranking,
    write_checked,
)

if TYPE_CHECKING:
    from attnas.search_space import Architecture

    from .run import Run

RANKING_FILE = "ranking_reliability.json"


def ranking_reliability(run: "Run") -> SupernetRanking | None:
    """How far the ranking of the run's supernet can be believed; None if it has none."""
    file = _recommendations(run)
    if file is None:
        return None
    return supernet_ranking(_inherited(file, run.trials), run.trials, run.objectives)


def write_ranking_reliability(run: "Run") -> None:
    """Puts the verdict beside the recommendations, if the run has any.

    Raises:
        AttnasError: it cannot be written.
    """
    file, found = _recommendations(run), ranking_reliability(run)
    if file is None or found is None:
        return
    ranking = found.by_loss
    content = {
        "metric": found.metric,
        "tau": _or_none(ranking.tau),
        "interval": [ranking.low, ranking.high],
        "tau_of_metric": _or_none(found.by_metric.tau),
        "architectures": ranking.pairs,
        "enough": ranking.pairs >= ENOUGH,
        "trusted": ranking.trusted,
        "text": str(found),
    }
    write_checked(file.with_name(RANKING_FILE), content)


def _recommendations(run: "Run") -> Path | None:
    """The file of the run's recommendations; a run has one strategy, so there is one."""
    return next(iter(sorted(run.checkpoints.glob(f"*/{RECOMMENDATIONS_FILE}"))), None)


def _or_none(tau: float) -> float | None:
    return None if math.isnan(tau) else tau


def _inherited(file: Path, trials: Sequence[Trial]) -> "dict[Architecture, Mapping[str, float]]":
    """The inherited figures of the trials' architectures; empty if it cannot be read."""
    try:
        content = read(file)
        entries: list[Any] = [*content["candidates"], *content["controls"]]
        known = {
            _key(_by_name(entry)): {n: float(value) for n, value in entry["predicted"].items()}
            for entry in entries
        }
    except (AttnasError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    architectures = {t.architecture: _key(t.architecture.by_name) for t in trials}
    return {a: known[key] for a, key in architectures.items() if key in known}


def _by_name(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options by name; format 1 called them choices."""
    found: Mapping[str, Any] = entry["architecture" if "architecture" in entry else "choices"]
    return found


def _key(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(option)) for name, option in sorted(options.items()))
